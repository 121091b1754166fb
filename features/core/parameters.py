"""What an aggregation needs beside events and window, as plain arrays: one row of numbers and one rate per feature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from features.core.catalogue import ALL_TIME_US, Aggregation, Feature, Zone, to_duration_us
from features.core.columns import Int64s
from features.core.families import AGGREGATIONS, FUNNELS
from features.core.parts import Parts

N_NUMBERS = 4
AGGREGATION = 0  # its index in AGGREGATIONS, of every feature

FIRST = 1  # SHARE_OF_FIRST
SLOT_OF_TWO = 1  # TREND: index in window_us of twice the window, times n_sets, plus the set
WITHIN_US = 1  # BURST
FROM_HOUR, TO_HOUR, ZONE = range(1, 4)  # HOUR_SHARE
PLACES, LAST, BASE = range(1, 4)  # LAST_KINDS; of the funnels only PLACES: a row of `Parameters.places`

_UTC = Zone(name="UTC", starts_us=(), offsets_s=(0,))


class Parameters(NamedTuple):
    """By feature, in the order of the kernel; the numbers of each aggregation are named above."""

    numbers: npt.NDArray[np.int64]  # (n_features, N_NUMBERS)
    rate: npt.NDArray[np.float64]  # (n_features,) DECAYED_COUNT: by how much the exponent falls in a microsecond
    places: npt.NDArray[np.int64]  # (n_lists of selectors, n_parts) place, from 1, of the selector that chooses a part; 0: none does
    zone_start: Int64s  # (n_zones + 1,) where each zone's transitions begin
    starts_us: Int64s  # transitions of all zones
    offsets_us: Int64s  # of zone z from zone_start[z] + z on: one more than it has transitions


def parameters(features: Sequence[Feature], parts: Parts, slots_of_two: Sequence[int]) -> Parameters:
    """The parameters of the features; ``slots_of_two`` are theirs for twice the window."""
    lists = list(dict.fromkeys(_selectors(feature) for feature in features))
    zones = list(dict.fromkeys(feature.zone or _UTC for feature in features))
    numbers = np.zeros((len(features), N_NUMBERS), dtype=np.int64)
    for row, (feature, slot) in enumerate(zip(features, slots_of_two, strict=True)):
        found = _numbers(feature, slot, lists.index(_selectors(feature)), zones.index(feature.zone or _UTC))
        numbers[row, : 1 + len(found)] = AGGREGATIONS.index(feature.aggregation), *found
    chosen = [parts.places(selectors) for selectors in lists]
    return Parameters(
        numbers=numbers,
        rate=np.array([_rate(feature) for feature in features], dtype=np.float64),
        places=np.array([[of.get(part, 0) for part in range(len(parts.kind))] for of in chosen], dtype=np.int64).reshape(
            len(lists), len(parts.kind)
        ),
        zone_start=np.cumsum([0, *(len(zone.starts_us) for zone in zones)]).astype(np.int64),
        starts_us=np.array([start for zone in zones for start in zone.starts_us], dtype=np.int64),
        offsets_us=np.array([offset * 1_000_000 for zone in zones for offset in zone.offsets_s], dtype=np.int64),
    )


def two_windows_us(feature: Feature) -> int:
    """Twice the window of a feature, as far as there is one."""
    return ALL_TIME_US if feature.window is None else min(2 * to_duration_us(feature.window), ALL_TIME_US)


def _selectors(feature: Feature) -> tuple[str, ...]:
    """What the places are those of: the steps of a funnel, else the selectors in alphabetical order; most need none."""
    if feature.aggregation in FUNNELS:
        return feature.kinds
    return tuple(sorted(set(feature.kinds))) if feature.aggregation is Aggregation.LAST_KINDS else ()


def _numbers(feature: Feature, slot_of_two: int, places: int, zone: int) -> tuple[int, ...]:
    match feature.aggregation:
        case Aggregation.SHARE_OF_FIRST:
            return (feature.first or 0,)
        case Aggregation.TREND:
            return (slot_of_two,)
        case Aggregation.BURST:
            return (0 if feature.within is None else to_duration_us(feature.within),)
        case Aggregation.HOUR_SHARE:
            return (*(feature.hours or (0, 0)), zone)
        case Aggregation.LAST_KINDS | Aggregation.FUNNEL_POSITION | Aggregation.SECONDS_AT_STEP:
            return (places, feature.last or 0, len(_selectors(feature)) + 1)
    return ()


def _rate(feature: Feature) -> float:
    return 0.0 if feature.half_life is None else math.log(2) / (feature.half_life // timedelta(microseconds=1))
