"""Scans: the aggregations that go through their own events, one feature at a time, compiled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.core.catalogue import Aggregation
from features.core.columns import Int64s, Places
from features.core.compiled import borrowing, shared
from features.core.course import of_course
from features.core.families import AGGREGATIONS, COURSE, GAPS, PAIRS, QUOTIENTS, SUFFIXES, VALUES, stop_of
from features.core.families import SESSIONS as FAMILY_OF_SESSIONS
from features.core.gaps import of_gaps
from features.core.layout import EFFECTIVE, VALUE
from features.core.pairs import of_pairs
from features.core.parameters import AGGREGATION, SLOT_OF_TWO
from features.core.program import Tables
from features.core.sessions import of_last_session
from features.core.statistics import SESSIONS, Desk, different, sum_of
from features.core.steps import of_steps

Matrix = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]

_FIRST = stop_of(SUFFIXES)
_QUOTIENTS_STOP, _VALUES_STOP, _PAIRS_STOP = stop_of(QUOTIENTS), stop_of(VALUES), stop_of(PAIRS)
_GAPS_STOP, _COURSE_STOP, _SESSIONS_STOP = stop_of(GAPS), stop_of(COURSE), stop_of(FAMILY_OF_SESSIONS)
_MEAN = AGGREGATIONS.index(Aggregation.MEAN)
_RATIO = AGGREGATIONS.index(Aggregation.RATIO)
_TREND = AGGREGATIONS.index(Aggregation.TREND)


@shared
def fill_scans(as_of_us: int, events: Matrix, tables: Tables, desk: Desk, vector: Float64s) -> None:
    """Fill in every feature that is not answered by the stock alone.

    What is computed gets only what it reads: a function that takes all tables is slow to compile.
    """
    times_us, parameters = events[EFFECTIVE], tables.parameters
    for feature in range(tables.feature_start[_FIRST], len(tables.feature_column)):
        numbers, start, end = parameters.numbers[feature], desk.start[tables.feature_slot[feature]], desk.end[tables.feature_set[feature]]
        aggregation = numbers[AGGREGATION]
        own = desk.sequence[start:end]
        other = desk.sequence[desk.start[tables.other_slot[feature]] : desk.end[tables.other_set[feature]]]
        if aggregation < _QUOTIENTS_STOP:
            before = np.int64(start) - np.int64(desk.start[numbers[SLOT_OF_TWO]])
            number = _quotient(aggregation, (start, end), len(other), before, desk)
        elif aggregation < _VALUES_STOP:
            number = _greatest(events[VALUE], own)
        elif aggregation < _PAIRS_STOP:
            number = of_pairs(numbers, times_us, own, other, as_of_us)
        elif aggregation < _GAPS_STOP:
            number = of_gaps(numbers, times_us, own, as_of_us)
        elif aggregation < _COURSE_STOP:
            number = of_course(feature, parameters, times_us, own, as_of_us)
        elif aggregation < _SESSIONS_STOP:
            number = of_last_session(numbers, events, own)
        else:
            number = of_steps(numbers, parameters.places, events, own, as_of_us)
        vector[tables.feature_column[feature]] = number


@shared
def _quotient(aggregation: int, own: tuple[int, int], n_other: int, n_before: np.int64, desk: Desk) -> float:
    """What the stock answers, of its own stretch, divided; TREND, subtracted."""
    start, end = own
    n = np.int64(end) - np.int64(start)
    if aggregation == _TREND:
        return np.float64(n - n_before)
    if aggregation == _RATIO:
        return np.float64(n) / np.float64(n_other) if n_other else np.nan
    if n == 0:
        return np.nan
    if aggregation == _MEAN:
        return sum_of(start, end, desk) / np.float64(n)
    return np.float64(n) / np.float64(different(SESSIONS, start, end, desk))  # EVENTS_PER_SESSION


@borrowing
def _greatest(values: Int64s, own: Places) -> float:
    if len(own) == 0:
        return np.nan
    greatest = values[own[0]]
    for event in own:
        greatest = max(greatest, values[event])
    return np.float64(greatest)
