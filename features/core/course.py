"""Aggregations of the course of time: decay, hours of the clock, bursts; compiled."""

from __future__ import annotations

import math

import numpy as np

from features.core.catalogue import Aggregation
from features.core.columns import Int64s, Places
from features.core.compiled import borrowing, shared
from features.core.families import AGGREGATIONS
from features.core.parameters import AGGREGATION, FROM_HOUR, TO_HOUR, WITHIN_US, ZONE, Parameters

HOUR_US = 3_600_000_000

_DECAYED = AGGREGATIONS.index(Aggregation.DECAYED_COUNT)
_HOUR_SHARE = AGGREGATIONS.index(Aggregation.HOUR_SHARE)
_BURST = AGGREGATIONS.index(Aggregation.BURST)


@shared
def of_course(feature: int, parameters: Parameters, times_us: Int64s, own: Places, as_of_us: int) -> float:
    """The number of a feature of `COURSE` over these events."""
    aggregation = parameters.numbers[feature, AGGREGATION]
    if aggregation == _DECAYED:
        return _decayed_count(parameters.rate[feature], times_us, own, as_of_us)
    if aggregation == _BURST:
        return _burst(parameters.numbers[feature, WITHIN_US], times_us, own)
    if len(own) == 0:
        return np.nan
    if aggregation == _HOUR_SHARE:
        return _hour_share(parameters.numbers[feature], parameters, times_us, own)
    return np.float64(len(own)) / _n_hours(times_us, own)  # EVENTS_PER_ACTIVE_HOUR


@borrowing
def _decayed_count(rate: float, times_us: Int64s, own: Places, as_of_us: int) -> float:
    total = 0.0
    for event in own:
        total += math.exp(-(np.float64(as_of_us - times_us[event]) * rate))
    return total


@borrowing
def _burst(within_us: int, times_us: Int64s, own: Places) -> float:
    """The fullest span ends at an event: any other can be moved back to the event before its end."""
    most, first = 0, 0
    for i in range(len(own)):
        while first <= i and times_us[own[first]] <= times_us[own[i]] - within_us:
            first += 1
        most = max(most, i + 1 - first)
    return np.float64(most)


@borrowing
def _n_hours(times_us: Int64s, own: Places) -> float:
    n, newer = 0, np.int64(0)
    for i in range(len(own)):
        hour = times_us[own[i]] // HOUR_US
        n += i == 0 or hour != newer
        newer = hour
    return np.float64(n)


@borrowing
def _hour_share(numbers: Int64s, parameters: Parameters, times_us: Int64s, own: Places) -> float:
    from_hour, to_hour, zone = numbers[FROM_HOUR], numbers[TO_HOUR], numbers[ZONE]
    transition, stop = parameters.zone_start[zone], parameters.zone_start[zone + 1]
    n = 0
    for event in own:
        while transition < stop and parameters.starts_us[transition] <= times_us[event]:
            transition += 1
        hour = (times_us[event] + parameters.offsets_us[transition + zone]) // HOUR_US % 24
        since, before = hour >= from_hour, hour < to_hour
        n += (since and before) if from_hour < to_hour else (since or before)
    return np.float64(n) / np.float64(len(own))
