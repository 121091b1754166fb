"""The two passes that feed the row evaluator, compiled: over packed timelines and over a log grouped by user."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.core.columns import Int64s
from features.core.compiled import compiled, inlined
from features.core.layout import HASH, KIND, KNOWN, N_LET_GO_ROWS, OCCURRED, SESSION, SKEW, SUBJECT, VALUE
from features.core.program import Tables
from features.core.row import evaluate
from features.core.statistics import make_desk
from features.core.timeline_format import HEADER_BYTES, N_SIZES, read_events, read_sizes
from features.core.user import Room, arrange, make_room, number_texts

Float64s = npt.NDArray[np.float64]
Groups = tuple[Int64s, Int64s]
Log = tuple[npt.NDArray[np.int16], Int64s, Int64s, Int64s, Int64s, Int64s, Int64s, Int64s]

N_EVENTS = 2
"""Place of the number of events among the sizes of a packed timeline."""


@compiled
def pass_over_bytes(buffer: npt.NDArray[np.uint8], ends: Int64s, as_of_us: Int64s, tables: Tables, vectors: Float64s) -> int:
    """Fill ``vectors`` (n_users, n_features); user i's bytes are ``buffer[ends[i]:ends[i + 1]]``.

    Returns the position of the first user whose bytes do not fit together, -1 if there is none.
    """
    sizes = np.empty(N_SIZES, np.int64)
    most_events, most_bytes = 0, 0
    for user in range(len(as_of_us)):
        low, high = ends[user], ends[user + 1]
        if low < high:
            if high - low < HEADER_BYTES or not read_sizes(buffer, low, high, sizes):
                return user
            most_events, most_bytes = max(most_events, sizes[N_EVENTS]), max(most_bytes, sizes[0], sizes[1])
    room, desk = make_room(most_events, len(tables.keep)), make_desk(most_events, tables)
    kinds, let_go = np.empty((2, most_bytes), np.int64), np.empty((N_LET_GO_ROWS, most_bytes), np.int64)
    for user in range(len(as_of_us)):
        low, high = ends[user], ends[user + 1]
        n_staged = 0
        if low < high:
            read_sizes(buffer, low, high, sizes)
            if read_events(buffer, (low, high), sizes, (kinds, let_go), room.staging) < 0:
                return user
            n_staged = _keep_wanted(sizes, kinds[0], tables, room)
        evaluate(as_of_us[user], arrange(n_staged, room, tables), tables, desk, vectors[user])
    return -1


@inlined
def _keep_wanted(sizes: Int64s, kind_hashes: Int64s, tables: Tables, room: Room) -> int:
    """Turn KIND from an index in the bytes into one in the catalogue; leave out kinds that no feature looks at."""
    staging = room.staging
    for kind in range(sizes[0]):
        kind_hashes[kind] = _wanted_kind(kind_hashes[kind], tables)
    n = 0
    for i in range(sizes[N_EVENTS]):
        kind = kind_hashes[staging[KIND, i]]
        if kind >= 0:
            if n < i:
                for row in range(staging.shape[0]):
                    staging[row, n] = staging[row, i]
            staging[KIND, n] = kind
            n += 1
    return n


@inlined
def _wanted_kind(kind_hash: int, tables: Tables) -> int:
    place = np.searchsorted(tables.kind_hash, kind_hash)
    if place == len(tables.kind_hash) or tables.kind_hash[place] != kind_hash:
        return -1
    kind = tables.kind_index[place]
    return kind if tables.member_start[kind] < tables.member_start[kind + 1] else -1


@compiled
def pass_over_log(users: tuple[int, int], events: tuple[Log, Groups], rows: tuple[Int64s, Groups], tables: Tables, vectors: Float64s) -> None:
    """Fill the rows of ``vectors`` (n_rows, n_features) that belong to users ``users[0] .. users[1] - 1``."""
    log, (event_start, event_order) = events
    as_of_us, (row_start, row_order) = rows
    most = 0
    for user in range(users[0], users[1]):
        most = max(most, event_start[user + 1] - event_start[user])
    room, desk = make_room(most, len(tables.keep)), make_desk(most, tables)
    for user in range(users[0], users[1]):
        if row_start[user] == row_start[user + 1]:
            continue
        n_staged = _stage(log, event_order[event_start[user] : event_start[user + 1]], tables, room)
        number_texts(n_staged, room, tables)
        ready = arrange(n_staged, room, tables)
        for row in row_order[row_start[user] : row_start[user + 1]]:
            evaluate(as_of_us[row], ready, tables, desk, vectors[row])


@inlined
def _stage(log: Log, places: Int64s, tables: Tables, room: Room) -> int:
    """Copy one user's events of wanted kinds into the staging matrix."""
    kinds, occurred, hashes, known, skew, subject, value, session = log
    staging = room.staging
    n = 0
    for place in places:
        kind = kinds[place]
        if tables.member_start[kind] < tables.member_start[kind + 1]:
            staging[KIND, n] = kind
            staging[OCCURRED, n] = occurred[place]
            staging[HASH, n] = hashes[place]
            staging[KNOWN, n] = known[place]
            staging[SKEW, n] = skew[place]
            staging[SUBJECT, n] = subject[place]
            staging[VALUE, n] = value[place]
            staging[SESSION, n] = session[place]
            n += 1
    return n
