"""One vector, compiled: the row evaluator that the online and the batch path share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.core.catalogue import Aggregation
from features.core.compiled import borrowing, shared
from features.core.layout import EFFECTIVE, KNOWN, PART
from features.core.parameters import AGGREGATION
from features.core.program import AGGREGATIONS, Tables
from features.core.scans import fill_scans
from features.core.statistics import MICROSECONDS, SUBJECTS, SUM_HIGH, SUM_LOW, Desk, exact_float, fill_suffixes, streak_days
from features.core.user import User

Matrix = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]

_COUNT = AGGREGATIONS.index(Aggregation.COUNT)
_SUM = AGGREGATIONS.index(Aggregation.SUM)
_DISTINCT_SUBJECTS = AGGREGATIONS.index(Aggregation.DISTINCT_SUBJECTS)
_SECONDS_SINCE_LAST = AGGREGATIONS.index(Aggregation.SECONDS_SINCE_LAST)
_STREAK_DAYS = AGGREGATIONS.index(Aggregation.STREAK_DAYS)


@shared
def evaluate(instants: tuple[int, int], user: User, tables: Tables, desk: Desk, vector: Float64s) -> None:
    """Fill ``vector`` with the features of ``user`` at the first instant, from the events known at the second."""
    as_of_us, known_us = instants
    desk.stamp[0] += 1
    if user.overflows:
        _choose(known_us, user, tables, desk.stamp[0])
    _collect(as_of_us, known_us, user, tables, desk)
    fill_suffixes(user, tables, desk)
    _fill_counts(tables, desk, vector)
    _fill_sums(tables, desk, vector)
    _look_up(tables, desk, vector)
    _fill_times(as_of_us, user.events, tables, desk, vector)
    _fill_streaks(as_of_us, user.events, tables, desk, vector)
    if tables.feature_start[_STREAK_DAYS + 1] < len(tables.feature_column):
        fill_scans(as_of_us, user.events, tables, desk, vector)


@borrowing
def _choose(known_us: int, user: User, tables: Tables, stamp: int) -> None:
    """Stamp the newest ``keep`` and the oldest ``keep_first`` known events of the kinds that have more."""
    for kind in range(len(tables.keep)):
        low, high = user.kind_start[kind], user.kind_start[kind + 1]
        keep, keep_first = tables.keep[kind], tables.keep_first[kind]
        if high - low <= keep + keep_first:
            continue
        i = high - 1
        while i >= low and keep > 0:
            event = user.kind_place[i]
            if user.events[KNOWN, event] <= known_us:
                user.chosen[event] = stamp
                keep -= 1
            i -= 1
        i = low
        while i < high and keep_first > 0:
            event = user.kind_place[i]
            if user.events[KNOWN, event] <= known_us:
                user.chosen[event] = stamp
                keep_first -= 1
            i += 1


@borrowing
def _collect(as_of_us: int, known_us: int, user: User, tables: Tables, desk: Desk) -> None:
    """List the selected events of every kind set, oldest first, and where each window begins in each list."""
    n_windows, stamp = len(tables.window_us), desk.stamp[0]
    for kind_set in range(len(desk.end)):
        desk.end[kind_set] = user.set_base[kind_set]
    window, begin_us = 0, as_of_us - tables.window_us[0]  # descending windows begin later and later
    for event in range(user.n):
        effective_us = user.events[EFFECTIVE, event]
        if effective_us > known_us:
            break
        while effective_us > begin_us:
            _begin_window(window, desk)
            window += 1
            begin_us = as_of_us - tables.window_us[window] if window < n_windows else as_of_us
        if user.events[KNOWN, event] <= known_us and (not user.overflows or user.chosen[event] >= stamp):
            part = np.uint64(user.events[PART, event])
            for member in range(tables.most_members[0]):  # as often for every part: a count that varies cannot be predicted
                kind_set = tables.member_set[part, member]
                place = desk.end[kind_set]
                desk.sequence[place] = event
                desk.end[kind_set] = place + 1
    while window < n_windows:
        _begin_window(window, desk)
        window += 1


@borrowing
def _begin_window(window: int, desk: Desk) -> None:
    n_sets = len(desk.end) - 1
    for kind_set in range(n_sets):  # a loop: a slice assignment takes numba seconds to compile
        desk.start[window * n_sets + kind_set] = desk.end[kind_set]


@borrowing
def _fill_counts(tables: Tables, desk: Desk, vector: Float64s) -> None:
    for feature in range(tables.feature_start[_COUNT], tables.feature_start[_COUNT + 1]):
        kind_set = tables.feature_set[feature]
        vector[tables.feature_column[feature]] = np.int64(desk.end[kind_set]) - np.int64(desk.start[tables.feature_slot[feature]])


@borrowing
def _look_up(tables: Tables, desk: Desk, vector: Float64s) -> None:
    """Different subjects, sessions and days: aggregations and statistics stand in the same order."""
    for feature in range(tables.feature_start[_DISTINCT_SUBJECTS], tables.feature_start[_SECONDS_SINCE_LAST]):
        statistic = tables.parameters.numbers[feature, AGGREGATION] - _DISTINCT_SUBJECTS + SUBJECTS
        vector[tables.feature_column[feature]] = desk.suffix[statistic, desk.start[tables.feature_slot[feature]]]


@borrowing
def _fill_sums(tables: Tables, desk: Desk, vector: Float64s) -> None:
    for feature in range(tables.feature_start[_SUM], tables.feature_start[_SUM + 1]):
        start = desk.start[tables.feature_slot[feature]]
        vector[tables.feature_column[feature]] = exact_float(desk.suffix[SUM_HIGH, start], desk.suffix[SUM_LOW, start])


@borrowing
def _fill_times(as_of_us: int, events: Matrix, tables: Tables, desk: Desk, vector: Float64s) -> None:
    """Seconds since the newest and since the oldest event."""
    for feature in range(tables.feature_start[_SECONDS_SINCE_LAST], tables.feature_start[_STREAK_DAYS]):
        start, end = desk.start[tables.feature_slot[feature]], desk.end[tables.feature_set[feature]]
        place = end - 1 if tables.parameters.numbers[feature, AGGREGATION] == _SECONDS_SINCE_LAST else start
        seconds = np.nan if start == end else (as_of_us - events[EFFECTIVE, desk.sequence[place]]) / MICROSECONDS
        vector[tables.feature_column[feature]] = seconds


@borrowing
def _fill_streaks(as_of_us: int, events: Matrix, tables: Tables, desk: Desk, vector: Float64s) -> None:
    for feature in range(tables.feature_start[_STREAK_DAYS], tables.feature_start[_STREAK_DAYS + 1]):
        kind_set = tables.feature_set[feature]
        start, end = desk.start[tables.feature_slot[feature]], desk.end[kind_set]
        vector[tables.feature_column[feature]] = streak_days(events, desk.sequence[start:end], as_of_us)
