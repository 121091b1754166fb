from dataclasses import fields, replace
from datetime import timedelta

import pytest

from features.core.catalogue import Aggregation, Feature, Zone
from features.core.plain import feature_from_plain, feature_to_plain

EVERYTHING = Feature(
    aggregation=Aggregation.HOUR_SHARE,
    of="view/docs",
    kinds=("view/docs", "login"),
    window=timedelta(days=7),
    to="any",
    to_kinds=("login", "click"),
    first=3,
    last=2,
    within=timedelta(milliseconds=1),
    half_life=timedelta(hours=1),
    hours=(0, 6),
    zone=Zone(name="Europe/Berlin", starts_us=(1, 2), offsets_s=(3600, 7200, 3600)),
)
CHANGES_NO_NUMBER = ("cause", "unit", "direction", "description")


@pytest.mark.parametrize("feature", [EVERYTHING, Feature(aggregation=Aggregation.COUNT, of="none", kinds=())])
def test_what_was_made_plain_comes_back(feature: Feature) -> None:
    assert feature_from_plain(feature_to_plain(feature)) == feature


def test_everything_that_makes_a_number_is_carried() -> None:
    carried = feature_to_plain(EVERYTHING)
    assert set(carried) == {field.name for field in fields(Feature)} - set(CHANGES_NO_NUMBER)
    described = replace(EVERYTHING, cause="silence", unit="s", description="For people.")
    assert feature_to_plain(described) == carried
