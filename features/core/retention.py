"""Which events a timeline keeps, compiled: sort, drop duplicates, keep the newest and the oldest of each kind."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.core.columns import Places
from features.core.compiled import compiled, inlined
from features.core.layout import HASH, KIND, KNOWN, LET_GO_HASH, LET_GO_KIND, LET_GO_OCCURRED, N_LET_GO, N_PROPERTIES, OCCURRED, SKEW
from features.core.order import key_order

Matrix = npt.NDArray[np.int64]


@compiled
def retain(events: Matrix, let_go: Matrix, limits: Matrix) -> tuple[Matrix, Matrix]:
    """The canonical events and newest let-go keys of everything given.

    Parameters
    ----------
    events
        int64[8, n], any order, duplicates allowed; rows as in `layout`, KIND a hash.
    let_go
        int64[3, m]: newest keys let go earlier, several per kind allowed.
    limits
        int64[3, k]: kind hash, keep, keep_first; the last column holds the defaults for all other kinds.

    Returns
    -------
    tuple
        Events in order (kind hash, occurred_us, event_hash), and one let-go key per kind that ever let one go, in kind order.
    """
    merged = _deduplicate(_sorted(events))
    n = merged.shape[1]
    kept = np.empty(n, np.uint32)
    dropped = np.empty((N_LET_GO, n + let_go.shape[1]), np.int64)
    for row in range(N_LET_GO):
        for i in range(let_go.shape[1]):
            dropped[row, i] = let_go[row, i]
    n_kept, n_dropped, low = 0, let_go.shape[1], 0
    while low < n:
        high = _kind_end(merged, low)
        keep, keep_first = _limit(limits, merged[KIND, low])
        first_end, last_start = min(low + keep_first, high), max(high - keep, low)
        for i in range(low, high):
            if i < first_end or i >= last_start:
                kept[n_kept] = i
                n_kept += 1
        if first_end < last_start:
            _note(dropped, n_dropped, merged, last_start - 1)
            n_dropped += 1
        low = high
    return _columns(merged, kept[:n_kept]), _newest_per_kind(dropped[:, :n_dropped])


@inlined
def _sorted(events: Matrix) -> Matrix:
    n = events.shape[1]
    scratch = np.empty((3, n + 1), np.uint32)
    by_key = _columns(events, scratch[key_order(events[OCCURRED], events[HASH], n, scratch), :n])
    return _columns(by_key, scratch[key_order(by_key[KIND], by_key[KIND], n, scratch), :n])


@inlined
def _columns(matrix: Matrix, positions: Places) -> Matrix:
    taken = np.empty((matrix.shape[0], len(positions)), np.int64)
    for row in range(matrix.shape[0]):
        for position in range(len(positions)):
            taken[row, position] = matrix[row, positions[position]]
    return taken


@inlined
def _deduplicate(events: Matrix) -> Matrix:
    n = 0
    for i in range(events.shape[1]):
        if n > 0 and _same_key(events, n - 1, i):
            events[KNOWN, n - 1] = min(events[KNOWN, n - 1], events[KNOWN, i])
            events[SKEW, n - 1] = max(events[SKEW, n - 1], events[SKEW, i])
        else:
            for row in range(N_PROPERTIES):
                events[row, n] = events[row, i]
            n += 1
    return events[:, :n]


@inlined
def _same_key(events: Matrix, i: int, j: int) -> bool:
    same: bool = events[HASH, i] == events[HASH, j] and events[OCCURRED, i] == events[OCCURRED, j] and events[KIND, i] == events[KIND, j]
    return same


@inlined
def _kind_end(events: Matrix, low: int) -> int:
    high = low + 1
    while high < events.shape[1] and events[KIND, high] == events[KIND, low]:
        high += 1
    return high


@inlined
def _limit(limits: Matrix, kind_hash: int) -> tuple[int, int]:
    last = limits.shape[1] - 1
    for i in range(last):
        if limits[0, i] == kind_hash:
            return limits[1, i], limits[2, i]
    return limits[1, last], limits[2, last]


@inlined
def _note(dropped: Matrix, position: int, events: Matrix, i: int) -> None:
    dropped[LET_GO_KIND, position] = events[KIND, i]
    dropped[LET_GO_OCCURRED, position] = events[OCCURRED, i]
    dropped[LET_GO_HASH, position] = events[HASH, i]


@inlined
def _newest_per_kind(keys: Matrix) -> Matrix:
    n = keys.shape[1]
    scratch = np.empty((3, n + 1), np.uint32)
    by_key = _columns(keys, scratch[key_order(keys[LET_GO_OCCURRED], keys[LET_GO_HASH], n, scratch), :n])
    by_kind = _columns(by_key, scratch[key_order(by_key[LET_GO_KIND], by_key[LET_GO_KIND], n, scratch), :n])
    newest = np.empty(n, np.uint32)
    n_kinds = 0
    for i in range(n):
        if i + 1 == n or by_kind[LET_GO_KIND, i + 1] != by_kind[LET_GO_KIND, i]:
            newest[n_kinds] = i
            n_kinds += 1
    return _columns(by_kind, newest[:n_kinds])
