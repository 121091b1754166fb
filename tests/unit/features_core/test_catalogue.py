from dataclasses import replace
from datetime import timedelta

import pytest

from features.core.catalogue import Aggregation, Catalogue, Direction, Feature, Kind, Zone, window_text

LOGINS = Feature(aggregation=Aggregation.COUNT, of="login", kinds=("login",), window=timedelta(days=7))
CATALOGUE = Catalogue(kinds=(Kind(name="login"), Kind(name="click")), features=(LOGINS,))


@pytest.mark.parametrize(
    "changed",
    [
        replace(CATALOGUE, kinds=(Kind(name="login", keep=65), Kind(name="click"))),
        replace(CATALOGUE, kinds=(Kind(name="login", keep_first=3), Kind(name="click"))),
        replace(CATALOGUE, kinds=(Kind(name="login", value_unit="cents"), Kind(name="click"))),
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


BERLIN = Zone(name="Europe/Berlin", starts_us=(1,), offsets_s=(3600, 7200))
EVERY_KEY = replace(
    LOGINS,
    aggregation=Aggregation.HOUR_SHARE,
    of="page_view/docs/Start here",
    kinds=("page_view/docs/Start here",),
    to="login",
    to_kinds=("login",),
    first=3,
    last=2,
    within=timedelta(hours=1),
    half_life=timedelta(days=2),
    hours=(22, 6),
    zone=BERLIN,
)


def test_a_name_says_everything_that_makes_the_number() -> None:
    assert EVERY_KEY.name == (
        "hour_share_page_view_docs_start_here_to_login_first_3_last_2_within_1h_half_life_2d_hours_22_6_europe_berlin_7d"
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"to": "click"},
        {"to_kinds": ("login", "click")},
        {"first": 4},
        {"last": 3},
        {"within": timedelta(hours=2)},
        {"half_life": timedelta(days=1)},
        {"hours": (6, 22)},
        {"zone": None},
        {"zone": replace(BERLIN, offsets_s=(3600, 0))},
    ],
)
def test_whatever_defines_a_feature_is_in_the_fingerprint(changed: dict[str, object]) -> None:
    fingerprints = {Catalogue(kinds=(), features=(each,)).fingerprint for each in (EVERY_KEY, replace(EVERY_KEY, **changed))}
    assert len(fingerprints) == 2


def test_the_order_of_kinds_matters_in_a_funnel_alone() -> None:
    def fingerprints(aggregation: Aggregation) -> set[str]:
        orders = (("login", "click"), ("click", "login"))
        return {Catalogue(kinds=(), features=(Feature(aggregation=aggregation, of="x", kinds=kinds),)).fingerprint for kinds in orders}

    assert len(fingerprints(Aggregation.FUNNEL_POSITION)) == 2
    assert len(fingerprints(Aggregation.COUNT)) == 1


def test_a_window_longer_than_any_past_has_a_fingerprint() -> None:
    longest = replace(LOGINS, window=timedelta.max)
    assert Catalogue(kinds=(), features=(longest,)).fingerprint == Catalogue(kinds=(), features=(longest,)).fingerprint
