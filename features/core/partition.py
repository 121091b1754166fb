"""A log cut into ranges of users, compiled: the sorting half of the batch path, made for the memory of the machine.

Gathering each user's events from columns touches eight cache lines per event, all far apart. Instead the columns are read
once, in order, and every event is written as one record (one cache line, past the cache) to its range of users; a range is
small enough to stay in the cache while its users are computed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.core.columns import Int64s
from features.core.compiled import compiled
from features.core.layout import KIND_BITS, N_PROPERTIES
from features.core.streaming import CACHE_LINE_BYTES, finish_streaming, stream

Matrix = npt.NDArray[np.int64]
Log = tuple[Int64s, npt.NDArray[np.int16], Int64s, Int64s, Int64s, Int64s, Int64s, Int64s, Int64s]
"""user, kind, occurred, known, skew, hash, subject, value, session."""
Cut = tuple[int, int, npt.NDArray[np.bool_]]
"""The shift from users to ranges, the number of users, and by kind whether some feature looks at it: other events are left out."""

RECORDS_PER_RANGE = 8_192
MAX_RANGES = 512


def range_shift(n_events: int, n_users: int) -> int:
    """User ``u`` belongs to range ``u >> shift``: few enough ranges that each has enough events to be worth it."""
    n_ranges = min(max(n_events // RECORDS_PER_RANGE, 1), MAX_RANGES)
    shift = 0
    while (max(n_users, 1) - 1) >> shift >= n_ranges:
        shift += 1
    return shift


def empty_records(n: int) -> Matrix:
    """Room for ``n`` records, each in one cache line: int64 ``(n, N_PROPERTIES)``, not filled in."""
    numbers = np.empty((n + 1) * N_PROPERTIES, np.int64)
    first = -numbers.ctypes.data % CACHE_LINE_BYTES // numbers.itemsize
    return numbers[first : first + n * N_PROPERTIES].reshape(n, N_PROPERTIES)


@compiled
def count_ranges(log: Log, bounds: tuple[int, int], cut: Cut, counts: Int64s) -> bool:
    """Add to ``counts`` how many of the wanted events ``bounds[0] .. bounds[1] - 1`` belong to each range.

    False if a code of a user or kind is out of range.
    """
    shift, n_users, wanted = cut
    users, kinds = log[:2]
    for i in range(bounds[0], bounds[1]):
        if not ((0 <= users[i] < n_users) & (0 <= kinds[i] < len(wanted))):
            return False
        counts[np.uint64(users[i]) >> np.uint64(shift)] += wanted[np.uint64(kinds[i])]
    return True


@compiled
def scatter(log: Log, bounds: tuple[int, int], cut: Cut, free: Int64s, records: Matrix) -> bool:
    """Write the wanted events ``bounds[0] .. bounds[1] - 1`` as records to the free places of their ranges, in order.

    A record's KIND holds ``user << KIND_BITS | kind``. False if some event was known before it happened.
    """
    shift, _, wanted = cut
    user, kind, occurred, known, skew, event_hash, subject, value, session = log
    right = True
    for i in range(bounds[0], bounds[1]):
        right &= (skew[i] >= 0) & (known[i] >= occurred[i] - skew[i])
        if not wanted[np.uint64(kind[i])]:
            continue
        position = np.uint64(user[i]) >> np.uint64(shift)
        place = np.uint64(free[position])
        free[position] += 1
        coded = user[i] << KIND_BITS | np.int64(kind[i])
        # in the order of features.core.layout
        stream(records, place, (coded, occurred[i], event_hash[i], known[i], skew[i], subject[i], value[i], session[i]))
    finish_streaming()
    return right
