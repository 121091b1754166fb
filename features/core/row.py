"""One vector, compiled: the row evaluator that the online and the batch path share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.core.catalogue import Aggregation
from features.core.compiled import borrowing
from features.core.layout import EFFECTIVE, KIND, KNOWN
from features.core.program import AGGREGATIONS, Tables
from features.core.statistics import DAYS, SESSIONS, SUBJECTS, SUM_HIGH, SUM_LOW, Desk, exact_float, fill_suffixes, streak_days
from features.core.user import User

Matrix = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]

_COUNT = AGGREGATIONS.index(Aggregation.COUNT)
_SUM = AGGREGATIONS.index(Aggregation.SUM)
_DISTINCT_SUBJECTS = AGGREGATIONS.index(Aggregation.DISTINCT_SUBJECTS)
_SECONDS_SINCE_LAST = AGGREGATIONS.index(Aggregation.SECONDS_SINCE_LAST)
_SECONDS_SINCE_FIRST = AGGREGATIONS.index(Aggregation.SECONDS_SINCE_FIRST)
_ACTIVE_DAYS = AGGREGATIONS.index(Aggregation.ACTIVE_DAYS)
_SESSION_COUNT = AGGREGATIONS.index(Aggregation.SESSION_COUNT)
_STREAK_DAYS = AGGREGATIONS.index(Aggregation.STREAK_DAYS)

MICROSECONDS = 1_000_000.0


@borrowing
def evaluate(as_of_us: int, user: User, tables: Tables, desk: Desk, vector: Float64s) -> None:
    """Fill ``vector`` with the features of ``user`` at ``as_of_us``."""
    desk.stamp[0] += 1
    if user.overflows:
        _choose(as_of_us, user, tables, desk.stamp[0])
    _collect(as_of_us, user, tables, desk)
    fill_suffixes(user.events, tables, desk)
    _fill_counts(tables, desk, vector)
    _fill_sums(tables, desk, vector)
    _look_up(_DISTINCT_SUBJECTS, SUBJECTS, tables, desk, vector)
    _look_up(_SESSION_COUNT, SESSIONS, tables, desk, vector)
    _look_up(_ACTIVE_DAYS, DAYS, tables, desk, vector)
    _fill_last(as_of_us, user.events, tables, desk, vector)
    _fill_first(as_of_us, user.events, tables, desk, vector)
    _fill_streaks(as_of_us, user.events, tables, desk, vector)


@borrowing
def _choose(as_of_us: int, user: User, tables: Tables, stamp: int) -> None:
    """Stamp the newest ``keep`` and the oldest ``keep_first`` known events of the kinds that have more."""
    for kind in range(len(tables.keep)):
        low, high = user.kind_start[kind], user.kind_start[kind + 1]
        keep, keep_first = tables.keep[kind], tables.keep_first[kind]
        if high - low <= keep + keep_first:
            continue
        i = high - 1
        while i >= low and keep > 0:
            event = user.kind_place[i]
            if user.events[KNOWN, event] <= as_of_us:
                user.chosen[event] = stamp
                keep -= 1
            i -= 1
        i = low
        while i < high and keep_first > 0:
            event = user.kind_place[i]
            if user.events[KNOWN, event] <= as_of_us:
                user.chosen[event] = stamp
                keep_first -= 1
            i += 1


@borrowing
def _collect(as_of_us: int, user: User, tables: Tables, desk: Desk) -> None:
    """List the selected events of every kind set, oldest first, and where each window begins in each list."""
    n_sets, n_windows, stamp = len(desk.end), len(tables.window_us), desk.stamp[0]
    for kind_set in range(n_sets):
        desk.end[kind_set] = tables.set_base[kind_set]
    window = 0  # descending windows begin later and later
    for event in range(user.n):
        effective_us = user.events[EFFECTIVE, event]
        if effective_us > as_of_us:
            break
        while window < n_windows and effective_us > as_of_us - tables.window_us[window]:
            _begin_window(window, desk)
            window += 1
        if user.events[KNOWN, event] <= as_of_us and user.chosen[event] >= stamp:
            kind = np.uint64(user.events[KIND, event])
            for member in range(tables.member_start[kind], tables.member_start[kind + np.uint64(1)]):
                kind_set = tables.member_set[np.uint64(member)]
                desk.sequence[desk.end[kind_set]] = event
                desk.end[kind_set] += 1
    while window < n_windows:
        _begin_window(window, desk)
        window += 1


@borrowing
def _begin_window(window: int, desk: Desk) -> None:
    for kind_set in range(len(desk.end)):  # a loop: a slice assignment takes numba seconds to compile
        desk.start[window * len(desk.end) + kind_set] = desk.end[kind_set]


@borrowing
def _fill_counts(tables: Tables, desk: Desk, vector: Float64s) -> None:
    for feature in range(tables.feature_start[_COUNT], tables.feature_start[_COUNT + 1]):
        kind_set = tables.feature_set[feature]
        vector[tables.feature_column[feature]] = np.int64(desk.end[kind_set]) - np.int64(desk.start[tables.feature_slot[feature]])


@borrowing
def _look_up(aggregation: int, statistic: int, tables: Tables, desk: Desk, vector: Float64s) -> None:
    for feature in range(tables.feature_start[aggregation], tables.feature_start[aggregation + 1]):
        start = desk.start[tables.feature_slot[feature]]
        vector[tables.feature_column[feature]] = desk.suffix[statistic, start]


@borrowing
def _fill_sums(tables: Tables, desk: Desk, vector: Float64s) -> None:
    for feature in range(tables.feature_start[_SUM], tables.feature_start[_SUM + 1]):
        start = desk.start[tables.feature_slot[feature]]
        vector[tables.feature_column[feature]] = exact_float(desk.suffix[SUM_HIGH, start], desk.suffix[SUM_LOW, start])


@borrowing
def _fill_last(as_of_us: int, events: Matrix, tables: Tables, desk: Desk, vector: Float64s) -> None:
    for feature in range(tables.feature_start[_SECONDS_SINCE_LAST], tables.feature_start[_SECONDS_SINCE_LAST + 1]):
        kind_set = tables.feature_set[feature]
        start, end = desk.start[tables.feature_slot[feature]], desk.end[kind_set]
        vector[tables.feature_column[feature]] = (
            np.nan if start == end else (as_of_us - events[EFFECTIVE, desk.sequence[end - 1]]) / MICROSECONDS
        )


@borrowing
def _fill_first(as_of_us: int, events: Matrix, tables: Tables, desk: Desk, vector: Float64s) -> None:
    for feature in range(tables.feature_start[_SECONDS_SINCE_FIRST], tables.feature_start[_SECONDS_SINCE_FIRST + 1]):
        kind_set = tables.feature_set[feature]
        start, end = desk.start[tables.feature_slot[feature]], desk.end[kind_set]
        vector[tables.feature_column[feature]] = (
            np.nan if start == end else (as_of_us - events[EFFECTIVE, desk.sequence[start]]) / MICROSECONDS
        )


@borrowing
def _fill_streaks(as_of_us: int, events: Matrix, tables: Tables, desk: Desk, vector: Float64s) -> None:
    for feature in range(tables.feature_start[_STREAK_DAYS], tables.feature_start[_STREAK_DAYS + 1]):
        kind_set = tables.feature_set[feature]
        start, end = desk.start[tables.feature_slot[feature]], desk.end[kind_set]
        vector[tables.feature_column[feature]] = streak_days(events, desk.sequence[start:end], as_of_us)
