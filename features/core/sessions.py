"""Aggregations of the last session, compiled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.core.catalogue import Aggregation
from features.core.columns import Int64s, Places
from features.core.compiled import borrowing, shared
from features.core.families import AGGREGATIONS
from features.core.layout import EFFECTIVE, SESSION
from features.core.parameters import AGGREGATION
from features.core.statistics import MICROSECONDS, SESSION_GAP_US

Matrix = npt.NDArray[np.int64]

_EVENTS = AGGREGATIONS.index(Aggregation.LAST_SESSION_EVENTS)


@shared
def of_last_session(numbers: Int64s, events: Matrix, own: Places) -> float:
    """The number of a feature of `families.SESSIONS` over these events."""
    of_events = numbers[AGGREGATION] == _EVENTS
    if len(own) == 0:
        return 0.0 if of_events else np.nan
    n, begin_us = _last_session(events, own)
    return np.float64(n) if of_events else np.float64(events[EFFECTIVE, own[-1]] - begin_us) / MICROSECONDS


@borrowing
def _last_session(events: Matrix, own: Places) -> tuple[int, int]:
    """Number of events of the session of the newest event, and when its oldest was."""
    session, begin_us = events[SESSION, own[-1]], events[EFFECTIVE, own[-1]]
    n = 0
    for i in range(len(own) - 1, -1, -1):
        event = own[i]
        if events[SESSION, event] != session:
            continue
        if session == 0 and begin_us - events[EFFECTIVE, event] > SESSION_GAP_US:
            break
        begin_us = events[EFFECTIVE, event]
        n += 1
    return n, begin_us
