"""One user's events made ready for any as_of, compiled: in effective order, each once, with what selection needs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from features.core.columns import Int64s
from features.core.compiled import compiled, inlined
from features.core.layout import DAY, EFFECTIVE, HASH, KIND, KNOWN, N_ROWS, OCCURRED, SESSION, SKEW, SUBJECT
from features.core.order import key_order
from features.core.program import NEEDS_SESSIONS, NEEDS_SUBJECTS, Tables

Matrix = npt.NDArray[np.int64]

DAY_US = 86_400_000_000
ALWAYS = int(np.iinfo(np.int64).max)


class Room(NamedTuple):
    """Scratch for one user at a time; reused from user to user within one call."""

    staging: Matrix  # (N_ROWS, n): events as they came, KIND an index in the catalogue
    ordered: Matrix  # (N_ROWS, n): events by (occurred as sent, hash), each once
    order: Matrix  # (3, n + 1)
    chosen: Int64s  # (n,)
    place: Int64s  # (n,)
    kind_place: Int64s  # (n,)
    kind_start: Int64s  # (n_kinds + 1,)
    kind_free: Int64s  # (n_kinds,)
    table: Matrix  # (2, power of two >= 2 n): open addressing of texts and their codes


class User(NamedTuple):
    """One user's events, ready."""

    n: int
    events: Matrix  # (N_ROWS, >= n) by (effective, hash); row EFFECTIVE replaces OCCURRED, row DAY replaces SKEW
    chosen: Int64s  # (n,): ALWAYS, or the stamp of the last as_of that selected the event
    kind_place: Int64s  # positions in `events`, by kind and, within it, by (occurred as sent, hash)
    kind_start: Int64s  # (n_kinds + 1,) ranges of kind_place
    overflows: bool  # whether any kind has more events than are kept


@compiled
def make_room(n_events: int, n_kinds: int) -> Room:
    """Scratch for users of up to ``n_events``."""
    slots = 4
    while slots < 2 * n_events:
        slots *= 2
    return Room(
        np.empty((N_ROWS, n_events), np.int64),
        np.empty((N_ROWS, n_events), np.int64),
        np.empty((3, n_events + 1), np.int64),
        np.empty(n_events, np.int64),
        np.empty(n_events, np.int64),
        np.empty(n_events, np.int64),
        np.empty(n_kinds + 1, np.int64),
        np.empty(n_kinds, np.int64),
        np.empty((2, slots), np.int64),
    )


@compiled
def arrange(n_staged: int, room: Room, tables: Tables) -> User:
    """The first ``n_staged`` events of ``room.staging`` in effective order, duplicates united, known times and skews merged."""
    n, skewed = _unite(n_staged, room)
    events = room.ordered
    if skewed:
        _by_effective_time(n, room)
        events = room.staging
    else:
        for i in range(n):
            room.place[i] = i
    for i in range(n):
        events[DAY, i] = events[EFFECTIVE, i] // DAY_US
    overflows = _by_kind(n, room, tables)
    for i in range(n):
        kind = events[KIND, i]
        kept_whole = room.kind_start[kind + 1] - room.kind_start[kind] <= tables.keep[kind] + tables.keep_first[kind]
        room.chosen[i] = ALWAYS if kept_whole else 0
    return User(n, events, room.chosen, room.kind_place, room.kind_start, overflows)


@inlined
def _unite(n_staged: int, room: Room) -> tuple[int, bool]:
    """Order by sent key, unite duplicates; OCCURRED becomes the effective time. Number of events, whether any is skewed."""
    staging, ordered = room.staging, room.ordered
    order = key_order(staging[OCCURRED], staging[HASH], n_staged, room.order)
    n = 0
    for position in range(n_staged):
        i = order[position]
        if n > 0 and _same_event(staging, order[n - 1], i):
            staging[KNOWN, order[n - 1]] = min(staging[KNOWN, order[n - 1]], staging[KNOWN, i])
            staging[SKEW, order[n - 1]] = max(staging[SKEW, order[n - 1]], staging[SKEW, i])
        else:
            order[n] = i
            n += 1
    for row in range(N_ROWS):
        for position in range(n):
            ordered[row, position] = staging[row, order[position]]
    skewed = False
    for i in range(n):
        skewed |= ordered[SKEW, i] != 0
        ordered[EFFECTIVE, i] -= ordered[SKEW, i]
    return n, skewed


@inlined
def _same_event(staging: Matrix, i: int, j: int) -> bool:
    return staging[HASH, i] == staging[HASH, j] and staging[OCCURRED, i] == staging[OCCURRED, j] and staging[KIND, i] == staging[KIND, j]


@inlined
def _by_effective_time(n: int, room: Room) -> None:
    """Move ``ordered`` to ``staging`` in effective order and remember where each event went."""
    ordered, staging = room.ordered, room.staging
    order = key_order(ordered[EFFECTIVE], ordered[HASH], n, room.order)
    for position in range(n):
        room.place[order[position]] = position
    for row in range(N_ROWS):
        for position in range(n):
            staging[row, position] = ordered[row, order[position]]


@inlined
def _by_kind(n: int, room: Room, tables: Tables) -> bool:
    """Fill the kind ranges; True if some kind has more events than are kept."""
    kinds, start, free = room.ordered[KIND], room.kind_start, room.kind_free
    start[:] = 0
    for i in range(n):
        start[kinds[i] + 1] += 1
    overflows = False
    for kind in range(len(free)):
        overflows |= start[kind + 1] > tables.keep[kind] + tables.keep_first[kind]
        start[kind + 1] += start[kind]
        free[kind] = start[kind]
    if overflows:
        for i in range(n):
            room.kind_place[free[kinds[i]]] = room.place[i]
            free[kinds[i]] += 1
    return overflows


@compiled
def number_texts(n_staged: int, room: Room, tables: Tables) -> None:
    """Replace the hashes of subjects and sessions by codes 1, 2, ... where the program needs them; 0 stays 0."""
    if tables.needs[0] & NEEDS_SUBJECTS:
        _number(room.staging[SUBJECT, :n_staged], room.table)
    if tables.needs[0] & NEEDS_SESSIONS:
        _number(room.staging[SESSION, :n_staged], room.table)


@inlined
def _number(texts: Int64s, table: Matrix) -> None:
    mask = 3  # the smallest table of at most half load: it is cleared for every user
    while mask + 1 < 2 * len(texts):
        mask = 2 * mask + 1
    keys, codes = table[0], table[1]
    keys[: mask + 1] = 0
    n_texts = 0
    for i in range(len(texts)):
        if texts[i] == 0:
            continue
        slot = texts[i] & mask
        while keys[slot] != 0 and keys[slot] != texts[i]:
            slot = (slot + 1) & mask
        if keys[slot] == 0:
            n_texts += 1
            keys[slot], codes[slot] = texts[i], n_texts
        texts[i] = codes[slot]
