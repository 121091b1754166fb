from dataclasses import replace
from datetime import timedelta

import pytest

from features.core.catalogue import Aggregation, Catalogue, Feature, Kind, Zone
from features.core.event import text_hash
from features.core.families import PARAMETERS
from features.core.parameters import AGGREGATION, BASE, LAST, PLACES, SLOT_OF_TWO, ZONE
from features.core.program import AGGREGATIONS, ALL_TIME_US, IncompleteFeatureError, UnknownKindError, compile_program

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
    assert tables.capacity.tolist() == [10]  # 3 + 1 + 2 + 0 kept events and one place, then 2 + 0 and one place
    assert tables.window_us.tolist() == [ALL_TIME_US, 86_400_000_000]


def test_features_of_one_aggregation_are_neighbours() -> None:
    plain = [aggregation for aggregation in AGGREGATIONS if aggregation not in PARAMETERS]
    features = tuple(feature(aggregation, "login", window=window) for window in (DAY, None) for aggregation in reversed(plain))
    tables = compile_program(Catalogue(kinds=KINDS, features=features)).tables
    found = [AGGREGATIONS[number] for number in tables.parameters.numbers[:, AGGREGATION]]
    assert found == [aggregation for aggregation in plain for _ in range(2)]
    assert tables.feature_start[-1] == len(features)


def test_kinds_are_divided_only_by_the_subjects_that_features_ask_for() -> None:
    features = (feature(Aggregation.COUNT, "click/a"), feature(Aggregation.COUNT, "click"), feature(Aggregation.COUNT, "login", "click/b"))
    tables = compile_program(Catalogue(kinds=KINDS, features=features)).tables
    login, click, about_a, about_b = range(4)
    assert tables.most_kept.tolist() == [4, 2, 2, 2]
    places = {text_hash("a"): about_a, text_hash("b"): about_b}
    assert tables.subject_hash.tolist() == sorted(places)
    assert tables.part.tolist() == [[login] * 3, [*(places[subject] for subject in sorted(places)), click]]
    assert tables.set_needs.tolist() == [0, 0, 0]  # (login, about b), (click, about a, about b), (about a)
    assert [sorted(set(row) - {3}) for row in tables.member_set.tolist()] == [[0], [1], [1, 2], [0, 1]]


def test_a_catalogue_may_be_empty() -> None:
    tables = compile_program(Catalogue(kinds=(), features=())).tables
    assert tables.parameters.places.shape == (0, 0)
    assert tables.part.shape == (0, 1)


def test_a_kind_of_which_no_feature_wants_anything_is_left_out() -> None:
    tables = compile_program(Catalogue(kinds=KINDS, features=(feature(Aggregation.COUNT, "click/a"),))).tables
    assert tables.wanted.tolist() == [False, True]


def test_a_trend_looks_back_over_two_windows() -> None:
    features = (feature(Aggregation.TREND, "login", window=DAY), feature(Aggregation.TREND, "login", window=timedelta.max))
    tables = compile_program(Catalogue(kinds=KINDS, features=features)).tables
    assert tables.window_us.tolist() == [ALL_TIME_US, 172_800_000_000, 86_400_000_000]
    assert tables.feature_slot.tolist() == [2, 0]
    assert tables.parameters.numbers[:, SLOT_OF_TWO].tolist() == [1, 0]


def test_the_steps_of_a_funnel_keep_their_order_and_the_last_kinds_are_in_that_of_the_alphabet() -> None:
    funnel = feature(Aggregation.FUNNEL_POSITION, "login", "click/b", "click/a")
    last = replace(feature(Aggregation.LAST_KINDS, "login", "click/b", "click/a", "click"), last=3)
    tables = compile_program(Catalogue(kinds=KINDS, features=(funnel, last))).tables
    code, position = tables.parameters.numbers.tolist()
    assert code[LAST] == 3
    assert code[BASE] == 5
    assert tables.parameters.places[code[PLACES]].tolist() == [4, 1, 2, 3]
    assert tables.parameters.places[position[PLACES]].tolist() == [1, 0, 3, 2]


def test_features_share_the_transitions_of_one_zone() -> None:
    berlin = Zone(name="Europe/Berlin", starts_us=(10, 20), offsets_s=(3600, 7200, 3600))
    at_night = replace(feature(Aggregation.HOUR_SHARE, "login"), hours=(22, 6), zone=berlin)
    features = (at_night, replace(at_night, zone=None), replace(at_night, hours=(1, 2)))
    parameters = compile_program(Catalogue(kinds=KINDS, features=features)).tables.parameters
    assert parameters.zone_start.tolist() == [0, 2, 2]
    assert parameters.starts_us.tolist() == [10, 20]
    assert parameters.offsets_us.tolist() == [3_600_000_000, 7_200_000_000, 3_600_000_000, 0]
    assert parameters.numbers[:, ZONE].tolist() == [0, 1, 0]


@pytest.mark.parametrize("aggregation", PARAMETERS)
def test_a_feature_without_what_its_aggregation_needs_is_refused_by_name(aggregation: Aggregation) -> None:
    with pytest.raises(IncompleteFeatureError, match=f"feature {aggregation.value}_x: got no {PARAMETERS[aggregation][0]}"):
        compile_program(Catalogue(kinds=KINDS, features=(feature(aggregation, "login"),)))


def test_a_feature_over_an_unknown_kind_is_refused_by_name() -> None:
    with pytest.raises(UnknownKindError, match=r"feature count_x: kinds: got hover, expected kinds of the product \(click, login\)"):
        compile_program(Catalogue(kinds=KINDS, features=(feature(Aggregation.COUNT, "login", "hover"),)))
