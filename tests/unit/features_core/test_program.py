from datetime import timedelta

import pytest

from features.core.catalogue import Aggregation, Catalogue, Feature, Kind
from features.core.program import AGGREGATIONS, ALL_TIME_US, UnknownKindError, compile_program

DAY = timedelta(days=1)
KINDS = (Kind(name="login", keep=3, keep_first=1), Kind(name="click", keep=2, keep_first=0))


def feature(aggregation: Aggregation, *kinds: str, window: timedelta | None = None) -> Feature:
    return Feature(aggregation=aggregation, of="x", kinds=kinds, window=window)


def test_features_over_the_same_kinds_share_a_kind_set() -> None:
    features = (
        feature(Aggregation.SUM, "login", "click"),
        feature(Aggregation.COUNT, "click", "login", "click", window=DAY),
        feature(Aggregation.COUNT, "click"),
    )
    tables = compile_program(Catalogue(kinds=KINDS, features=features)).tables
    assert len(tables.set_needs) == 2
    assert sorted(tables.feature_column.tolist()) == [0, 1, 2]
    assert tables.set_base.tolist() == [0, 7, 10]  # 3 + 1 + 2 + 0 kept events and one place, then 2 + 0 and one place
    assert tables.window_us.tolist() == [ALL_TIME_US, 86_400_000_000]


def test_features_of_one_aggregation_are_neighbours() -> None:
    features = tuple(feature(aggregation, "login", window=window) for window in (DAY, None) for aggregation in reversed(AGGREGATIONS))
    tables = compile_program(Catalogue(kinds=KINDS, features=features)).tables
    assert tables.feature_start.tolist() == list(range(0, 2 * len(AGGREGATIONS) + 1, 2))


def test_a_feature_over_an_unknown_kind_is_refused_by_name() -> None:
    with pytest.raises(UnknownKindError, match=r"feature count_x: kinds: got hover, expected kinds of the product \(click, login\)"):
        compile_program(Catalogue(kinds=KINDS, features=(feature(Aggregation.COUNT, "login", "hover"),)))
