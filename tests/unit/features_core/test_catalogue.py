from dataclasses import replace
from datetime import timedelta

import pytest

from features.core.catalogue import Aggregation, Catalogue, Direction, Feature, Kind, window_text

LOGINS = Feature(aggregation=Aggregation.COUNT, of="login", kinds=("login",), window=timedelta(days=7))
CATALOGUE = Catalogue(kinds=(Kind(name="login"), Kind(name="click")), features=(LOGINS,))


@pytest.mark.parametrize(
    "changed",
    [
        replace(CATALOGUE, kinds=(Kind(name="login", keep=65), Kind(name="click"))),
        replace(CATALOGUE, kinds=(Kind(name="login", keep_first=3), Kind(name="click"))),
        replace(CATALOGUE, features=(replace(LOGINS, window=timedelta(days=8)),)),
        replace(CATALOGUE, features=(replace(LOGINS, kinds=("click",)),)),
        replace(CATALOGUE, features=(replace(LOGINS, aggregation=Aggregation.SUM),)),
        replace(CATALOGUE, features=(LOGINS, replace(LOGINS, window=None))),
    ],
)
def test_whatever_can_change_a_vector_changes_the_fingerprint(changed: Catalogue) -> None:
    assert changed.fingerprint != CATALOGUE.fingerprint


def test_what_changes_no_number_changes_no_fingerprint() -> None:
    described = replace(LOGINS, description="How often they logged in.", cause="silence", direction=Direction.DOWN, unit="logins")
    assert replace(CATALOGUE, features=(described,)).fingerprint == CATALOGUE.fingerprint


def test_names_derive_from_the_definition() -> None:
    assert CATALOGUE.feature_names == ("count_login_7d",)
    assert window_text(timedelta(microseconds=1500)) == "1500us"
