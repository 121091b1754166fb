"""Aggregations of the order of steps, compiled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.core.catalogue import Aggregation
from features.core.columns import Int64s, Places
from features.core.compiled import borrowing, shared
from features.core.families import AGGREGATIONS
from features.core.layout import EFFECTIVE, PART
from features.core.parameters import AGGREGATION, BASE, LAST, PLACES
from features.core.statistics import MICROSECONDS

Matrix = npt.NDArray[np.int64]

_LAST_KINDS = AGGREGATIONS.index(Aggregation.LAST_KINDS)
_POSITION = AGGREGATIONS.index(Aggregation.FUNNEL_POSITION)


@shared
def of_steps(numbers: Int64s, places: Matrix, events: Matrix, own: Places, as_of_us: int) -> float:
    """The number of a feature of `STEPS` over these events; ``places`` are those of all lists of selectors."""
    aggregation = numbers[AGGREGATION]
    of_parts = places[numbers[PLACES]]
    if aggregation == _LAST_KINDS:
        return np.float64(_code(numbers, of_parts, events[PART], own))
    reached, oldest = _reached(of_parts, events[PART], own)
    if aggregation == _POSITION:
        return np.float64(reached)
    return np.nan if reached == 0 else np.float64(as_of_us - events[EFFECTIVE, oldest]) / MICROSECONDS


@borrowing
def _code(numbers: Int64s, places: Int64s, parts: Int64s, own: Places) -> int:
    """The places of the newest events as the digits of one number."""
    code = np.int64(0)
    for i in range(max(len(own) - numbers[LAST], 0), len(own)):
        code = code * numbers[BASE] + places[parts[own[i]]]
    return code  # type: ignore[return-value]


@borrowing
def _reached(places: Int64s, parts: Int64s, own: Places) -> tuple[int, int]:
    """The greatest place, 0 without events, and the oldest event there."""
    reached, oldest = np.int64(0), np.int64(0)
    for event in own:
        place = places[parts[event]]
        if place > reached:
            reached, oldest = place, np.int64(event)
    return reached, oldest  # type: ignore[return-value]
