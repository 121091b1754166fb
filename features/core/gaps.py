"""Aggregations of the gaps between neighbouring events, compiled."""

from __future__ import annotations

import math

import numpy as np

from features.core.catalogue import Aggregation
from features.core.columns import Int64s, Places
from features.core.compiled import borrowing, shared
from features.core.families import AGGREGATIONS
from features.core.parameters import AGGREGATION
from features.core.statistics import MICROSECONDS

_MEAN = AGGREGATIONS.index(Aggregation.MEAN_GAP_SECONDS)
_MAX = AGGREGATIONS.index(Aggregation.MAX_GAP_SECONDS)
_STD = AGGREGATIONS.index(Aggregation.STD_GAP_SECONDS)
_LAST_RATIO = AGGREGATIONS.index(Aggregation.LAST_GAP_RATIO)
_MAX_RATIO = AGGREGATIONS.index(Aggregation.MAX_GAP_RATIO)


@shared
def of_gaps(numbers: Int64s, times_us: Int64s, own: Places, as_of_us: int) -> float:
    """The number of a feature of `GAPS` over these events."""
    if len(own) <= 1:
        return np.nan
    aggregation = numbers[AGGREGATION]
    span_us, mean = times_us[own[-1]] - times_us[own[0]], _mean_gap(times_us, own)
    if aggregation == _MEAN:
        return mean
    if aggregation == _MAX:
        return _max_gap(times_us, own)
    if aggregation == _STD:
        return _std_gap(times_us, own, mean)
    if span_us == 0:
        return np.nan
    return _of_span(aggregation, times_us, own, mean, as_of_us)


@borrowing
def _of_span(aggregation: int, times_us: Int64s, own: Places, mean: float, as_of_us: int) -> float:
    """What is divided by the span that the events cover."""
    if aggregation == _LAST_RATIO:
        return (np.float64(as_of_us - times_us[own[-1]]) / MICROSECONDS) / mean
    if aggregation == _MAX_RATIO:
        return _max_gap(times_us, own) / mean
    return np.float64(len(own) - 1) / (np.float64(times_us[own[-1]] - times_us[own[0]]) / MICROSECONDS)  # EVENTS_PER_SECOND


@borrowing
def _mean_gap(times_us: Int64s, own: Places) -> float:
    return np.float64(times_us[own[-1]] - times_us[own[0]]) / np.float64((len(own) - 1) * 1_000_000)


@borrowing
def _max_gap(times_us: Int64s, own: Places) -> float:
    greatest_us = 0
    for i in range(1, len(own)):
        greatest_us = max(greatest_us, times_us[own[i]] - times_us[own[i - 1]])
    return np.float64(greatest_us) / MICROSECONDS


@borrowing
def _std_gap(times_us: Int64s, own: Places, mean: float) -> float:
    squares = 0.0
    for i in range(1, len(own)):
        gap = np.float64(times_us[own[i]] - times_us[own[i - 1]]) / MICROSECONDS
        squares += (gap - mean) * (gap - mean)
    return math.sqrt(squares / np.float64(len(own) - 1))
