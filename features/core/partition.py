"""A log cut into ranges of users, compiled: the sorting half of the batch path, made for the memory of the machine.

Gathering each user's events from columns touches eight cache lines per event, all far apart. Instead the columns are read
once, in order, and every event is written as one record (one cache line) to its range of users; a range is small enough to
stay in the cache while its users are computed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.core.columns import Int64s
from features.core.compiled import compiled
from features.core.layout import HASH, KIND, KIND_BITS, KNOWN, OCCURRED, SESSION, SKEW, SUBJECT, VALUE

Matrix = npt.NDArray[np.int64]
Log = tuple[Int64s, npt.NDArray[np.int16], Int64s, Int64s, Int64s, Int64s, Int64s, Int64s, Int64s]
"""user, kind, occurred, known, skew, hash, subject, value, session."""

RECORDS_PER_RANGE = 16_384
MAX_RANGES = 512


def range_shift(n_events: int, n_users: int) -> int:
    """User ``u`` belongs to range ``u >> shift``: few enough ranges that each has enough events to be worth it."""
    n_ranges = min(max(n_events // RECORDS_PER_RANGE, 1), MAX_RANGES)
    shift = 0
    while (max(n_users, 1) - 1) >> shift >= n_ranges:
        shift += 1
    return shift


@compiled
def count_ranges(log: Log, bounds: tuple[int, int], limits: tuple[int, int, int], counts: Int64s) -> bool:
    """How many of the events ``bounds[0] .. bounds[1] - 1`` belong to each range.

    ``limits`` are shift, n_users and n_kinds. False if some event is none: a code out of range, or known before it happened.
    """
    shift, n_users, n_kinds = limits
    users, kind, occurred, known, skew = log[:5]
    for i in range(bounds[0], bounds[1]):
        right = (0 <= users[i] < n_users) & (0 <= kind[i] < n_kinds) & (skew[i] >= 0) & (known[i] >= occurred[i] - skew[i])
        if not right:
            return False
        counts[np.uint64(users[i]) >> np.uint64(shift)] += 1
    return True


@compiled
def scatter(log: Log, bounds: tuple[int, int], shift: int, free: Int64s, records: Matrix) -> None:
    """Write the events ``bounds[0] .. bounds[1] - 1`` as records to the free places of their ranges, in order.

    A record's KIND holds ``user << KIND_BITS | kind``.
    """
    user, kind, occurred, known, skew, event_hash, subject, value, session = log
    for i in range(bounds[0], bounds[1]):
        place = np.uint64(free[user[i] >> shift])
        free[user[i] >> shift] += 1
        records[place, KIND] = user[i] << KIND_BITS | np.int64(kind[i])
        records[place, OCCURRED] = occurred[i]
        records[place, HASH] = event_hash[i]
        records[place, KNOWN] = known[i]
        records[place, SKEW] = skew[i]
        records[place, SUBJECT] = subject[i]
        records[place, VALUE] = value[i]
        records[place, SESSION] = session[i]
