from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.core.labels import NO_EVENT_US, label_rows, spine_rows
from features.core.product import SpineRule
from features.core.user import DAY_US

HOUR_US = DAY_US // 24
small = st.integers(-20, 20)
pairs = st.lists(st.tuples(st.integers(0, 3), small), max_size=25)


def columns(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    table = np.array(rows, np.int64).reshape(-1, 2)
    return table[:, 0].copy(), table[:, 1].copy()


@given(pairs, pairs, st.integers(0, 10), small)
def test_labels_are_what_the_definition_says(activity: list, spine: list, horizon: int, end: int) -> None:
    found = label_rows(*columns(activity), *columns(spine), horizon_us=horizon, end_of_data_us=end)
    assert found.dropped_out.tolist() == [not any(u == user and t < at <= t + horizon for u, at in activity) for user, t in spine]
    assert found.mature.tolist() == [t + horizon <= end for _, t in spine]


def test_the_spine_stops_with_the_rule_or_the_data() -> None:
    rule = SpineRule(every=timedelta(hours=12), start_after=timedelta(hours=6), stop_after=timedelta(days=2))
    spine = spine_rows(np.array([0, NO_EVENT_US, DAY_US]), rule, end_of_data_us=2 * DAY_US)
    rows = [(user, at // HOUR_US) for user, at in zip(spine.user.tolist(), spine.as_of_us.tolist(), strict=True)]
    assert rows == [(0, 6), (0, 18), (0, 30), (0, 42), (2, 30), (2, 42)]


def test_the_last_instant_of_data_may_be_a_row() -> None:
    rule = SpineRule(start_after=timedelta(0), stop_after=timedelta(days=9))
    assert spine_rows(np.array([0]), rule, end_of_data_us=DAY_US).as_of_us.tolist() == [0, DAY_US]
    assert spine_rows(np.array([1]), rule, end_of_data_us=DAY_US).as_of_us.tolist() == [1]


def test_at_midnight_moves_forward_and_unites_what_coincides() -> None:
    rule = SpineRule(every=timedelta(hours=6), start_after=timedelta(0), stop_after=timedelta(days=1), at_midnight=True)
    spine = spine_rows(np.array([HOUR_US, -DAY_US]), rule, end_of_data_us=DAY_US)
    assert spine.user.tolist() == [0, 1, 1]  # user 0's row at the second midnight lies past the data
    assert spine.as_of_us.tolist() == [DAY_US, -DAY_US, 0]


@given(pairs, st.integers(1, 8))
def test_active_within_keeps_rows_with_recent_activity(activity: list, within: int) -> None:
    us = timedelta(microseconds=1)
    rule = SpineRule(every=3 * us, start_after=0 * us, stop_after=30 * us, active_within=within * us)
    everything = SpineRule(every=3 * us, start_after=0 * us, stop_after=30 * us)
    first = np.array([min((at for u, at in activity if u == user), default=NO_EVENT_US) for user in range(4)])
    user, at_us = columns(activity)
    found = spine_rows(first, rule, end_of_data_us=25, activity_user=user, activity_occurred_us=at_us)
    rows = spine_rows(first, everything, end_of_data_us=25)
    expected = [
        (u, t)
        for u, t in zip(rows.user.tolist(), rows.as_of_us.tolist(), strict=True)
        if any(who == u and t - within < at <= t for who, at in activity)
    ]
    assert list(zip(found.user.tolist(), found.as_of_us.tolist(), strict=True)) == expected


def test_a_rule_that_cannot_work_is_refused() -> None:
    with pytest.raises(ValueError, match="active_within: got no activity"):
        spine_rows(np.array([0]), SpineRule(active_within=timedelta(days=1)), end_of_data_us=9 * DAY_US)
    with pytest.raises(ValueError, match="every: got 0:00:00, expected a positive duration"):
        spine_rows(np.array([0]), SpineRule(every=timedelta(0)), end_of_data_us=0)
