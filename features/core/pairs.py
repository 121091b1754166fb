"""Aggregations that set one kind of event against another, compiled."""

from __future__ import annotations

import numpy as np

from features.core.catalogue import Aggregation
from features.core.columns import Int64s, Places
from features.core.compiled import borrowing, shared
from features.core.families import AGGREGATIONS
from features.core.order import lower_bound
from features.core.parameters import AGGREGATION, FIRST
from features.core.statistics import MICROSECONDS

_TO_FIRST = AGGREGATIONS.index(Aggregation.SECONDS_TO_FIRST)
_TO_LAST = AGGREGATIONS.index(Aggregation.SECONDS_TO_LAST)
_WAITING = AGGREGATIONS.index(Aggregation.SECONDS_WAITING)
_SHARE = AGGREGATIONS.index(Aggregation.SHARE_OF_FIRST)


@shared
def of_pairs(numbers: Int64s, times_us: Int64s, own: Places, other: Places, as_of_us: int) -> float:
    """The number of a feature of `PAIRS`: ``own`` set against ``other``, both in the order of the events."""
    aggregation = numbers[AGGREGATION]
    if aggregation == _SHARE:
        return _share_of_first(numbers[FIRST], own, other)
    if len(own) == 0:
        return np.nan
    if aggregation == _TO_LAST:
        last = lower_bound(own, other[-1]) - 1 if len(other) else -1
        return np.nan if last < 0 else np.float64(times_us[other[-1]] - times_us[own[last]]) / MICROSECONDS
    begin = own[0] if aggregation == _TO_FIRST else own[-1]
    after = lower_bound(other, begin + 1)
    if aggregation == _WAITING:
        return np.float64(as_of_us - times_us[begin]) / MICROSECONDS if after == len(other) else np.nan
    return np.float64(times_us[other[after]] - times_us[begin]) / MICROSECONDS if after < len(other) else np.nan


@borrowing
def _share_of_first(most: int, own: Places, other: Places) -> float:
    i, j = 0, 0
    while i + j < most and i + j < len(own) + len(other):
        is_own = j == len(other) or (i < len(own) and own[i] < other[j])
        i, j = i + is_own, j + (not is_own)
    return np.float64(i) / np.float64(i + j) if i + j else np.nan
