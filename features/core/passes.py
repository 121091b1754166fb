"""The two passes that feed the row evaluator, compiled: over packed timelines and over one range of a log's users."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.core.column_coding import read_column
from features.core.columns import Int64s, Places
from features.core.compiled import borrowing, compiled, inlined
from features.core.layout import KIND, KIND_BITS, N_LET_GO, N_PROPERTIES, SUBJECT
from features.core.order import lower_bound
from features.core.program import Tables
from features.core.row import evaluate
from features.core.statistics import Desk, make_desk
from features.core.timeline_format import CHECKSUM_BYTES, HEADER_BYTES, N_SIZES, read_events, read_sizes
from features.core.user import Room, arrange, make_room, number_sessions, number_subjects

Matrix = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]
Machine = tuple[Room, Desk, Tables]
Ranges = tuple[Matrix, Int64s, int]

Instants = tuple[Int64s, Int64s]
"""By row, as_of_us and the instant up to which events are known."""
Rows = tuple[Instants, Int64s, Places]

N_EVENTS, N_SUBJECTS = 2, 3
"""Places of two numbers among the sizes of a packed timeline."""


@compiled
def pass_over_bytes(buffer: npt.NDArray[np.uint8], ends: Int64s, instants: Instants, tables: Tables, vectors: Float64s) -> int:
    """Fill ``vectors`` (n_users, n_features); user i's bytes are ``buffer[ends[i]:ends[i + 1]]``.

    Returns the position of the first user whose bytes do not fit together, -1 if there is none.
    """
    as_of_us, known_us = instants
    sizes = np.empty(N_SIZES, np.int64)
    most_events, most_kinds = np.int64(0), np.int64(0)
    for user in range(len(as_of_us)):
        low, high = ends[user], ends[user + 1]
        if low < high:
            if high - low < HEADER_BYTES or not read_sizes(buffer, low, high, sizes):
                return user
            most_events, most_kinds = max(most_events, sizes[N_EVENTS]), max(most_kinds, sizes[0], sizes[1])
    room, desk = make_room(most_events, tables), make_desk(most_events, tables)  # type: ignore[arg-type]
    kinds, let_go = np.empty((2, most_kinds), np.int64), np.empty((N_LET_GO, most_kinds), np.int64)
    records, subjects = np.empty((most_events, N_PROPERTIES), np.int64), np.zeros(most_events + 1, np.int64)
    for user in range(len(as_of_us)):
        packed = (buffer, ends[user], ends[user + 1])
        read = (sizes, kinds, let_go, records, subjects)
        if not _one_timeline(packed, (as_of_us[user], known_us[user]), read, (room, desk, tables), vectors[user]):
            return user
    return -1


@borrowing
def _one_timeline(
    packed: tuple[npt.NDArray[np.uint8], int, int],
    instants: tuple[int, int],
    read: tuple[Int64s, Matrix, Matrix, Matrix, Int64s],
    machine: Machine,
    vector: Float64s,
) -> bool:
    """Fill ``vector``; False if the bytes do not fit together."""
    buffer, low, high = packed
    sizes, kinds, let_go, records, subjects = read
    room, desk, tables = machine
    n_places = 0
    if low < high:
        read_sizes(buffer, low, high, sizes)
        at = read_events(buffer, (low, high), sizes, (kinds, let_go), records)
        if len(tables.subject_hash):
            at = _spell_subjects(packed, at, sizes, records, subjects)
        if at < 0:
            return False
        n_places = _place_wanted(sizes, kinds[0], records, tables, room)
    ready = arrange(records, n_places, room, tables)
    if len(tables.subject_hash):
        number_subjects(ready, room, tables)
    evaluate(instants, ready, tables, desk, vector)
    return True


@borrowing
def _spell_subjects(packed: tuple[npt.NDArray[np.uint8], int, int], at: int, sizes: Int64s, records: Matrix, subjects: Int64s) -> int:
    """Turn SUBJECT from a code in the bytes into the hash; the position after the subjects, or -1 if they do not fit."""
    buffer, _, high = packed
    at = read_column(buffer, at, high - CHECKSUM_BYTES, subjects[1 : sizes[N_SUBJECTS] + 1])
    if at >= 0:
        for i in range(sizes[N_EVENTS]):
            records[i, SUBJECT] = subjects[records[i, SUBJECT]]
    return at


@borrowing
def _place_wanted(sizes: Int64s, kind_hashes: Int64s, records: Matrix, tables: Tables, room: Room) -> int:
    """Turn KIND from an index in the bytes into one in the catalogue; leave out kinds that no feature looks at."""
    for kind in range(sizes[0]):
        kind_hashes[kind] = _wanted_kind(kind_hashes[kind], tables)
    n = 0
    for place in range(sizes[N_EVENTS]):
        kind = kind_hashes[records[place, KIND]]
        records[place, KIND] = kind
        room.places[n] = place
        n += kind >= 0
    return n


@borrowing
def _wanted_kind(kind_hash: int, tables: Tables) -> int:
    place = lower_bound(tables.kind_hash, kind_hash)
    if place == len(tables.kind_hash) or tables.kind_hash[place] != kind_hash:
        return -1
    kind = tables.kind_index[place]
    return kind if tables.wanted[kind] else -1


@compiled
def pass_over_ranges(log: Ranges, ranges: tuple[int, int], rows: Rows, tables: Tables, vectors: Float64s) -> None:
    """Fill the rows of ``vectors`` (n_rows, n_features) of the users of ranges ``ranges[0] .. ranges[1] - 1``.

    ``log`` is the records, the place where each range starts, and the shift from users to ranges; ``rows`` are the instants by
    row, and the rows of each user as `order.group` gives them.
    """
    records, start, shift = log
    n_users = len(rows[1]) - 1
    for position in range(ranges[0], ranges[1]):
        users = (position << shift, min((position + 1) << shift, n_users))
        _one_range(records[start[position] : start[position + 1]], users, rows, tables, vectors)


@inlined
def _one_range(records: Matrix, users: tuple[int, int], rows: Rows, tables: Tables, vectors: Float64s) -> None:
    first, stop = users
    start, order = _group_records(records, first, stop - first)
    most = 0
    for user in range(stop - first):
        most = max(most, start[user + 1] - start[user])
    room, desk = make_room(most, tables), make_desk(most, tables)
    _all_users((records, start, order), first, rows, (room, desk, tables), vectors)


@borrowing
def _all_users(events: tuple[Matrix, Int64s, Places], first: int, rows: Rows, machine: Machine, vectors: Float64s) -> None:
    records, start, order = events
    (as_of_us, known_us), row_start, row_order = rows
    room, desk, tables = machine
    for user in range(len(start) - 1):
        if row_start[first + user] == row_start[first + user + 1]:
            continue
        n_places = start[user + 1] - start[user]
        for i in range(n_places):
            room.places[i] = order[start[user] + i]
        ready = arrange(records, n_places, room, tables)
        number_subjects(ready, room, tables)
        number_sessions(ready, room, tables)
        for position in range(row_start[first + user], row_start[first + user + 1]):
            row = row_order[position]
            evaluate((as_of_us[row], known_us[row]), ready, tables, desk, vectors[row])


@inlined
def _group_records(records: Matrix, first: int, n_users: int) -> tuple[Int64s, Places]:
    """Places of each user's records, in order."""
    start = np.zeros(n_users + 1, np.int64)
    for place in range(len(records)):
        start[(records[place, KIND] >> KIND_BITS) - first + 1] += 1
    for user in range(n_users):
        start[user + 1] += start[user]
    order, free = np.empty(len(records), np.uint32), start[:-1].copy()
    for place in range(len(records)):
        user = (records[place, KIND] >> KIND_BITS) - first
        order[free[user]] = place
        free[user] += 1
    return start, order
