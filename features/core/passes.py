"""The two passes that feed the row evaluator, compiled: over packed timelines and over one range of a log's users."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.core.column_coding import read_column
from features.core.columns import Int64s, Places
from features.core.compiled import borrowing, compiled, inlined
from features.core.fetching import fetch
from features.core.layout import KIND, KIND_BITS, KNOWN, N_LET_GO, N_PROPERTIES, SKEW, SUBJECT
from features.core.order import lower_bound
from features.core.program import Tables
from features.core.row import Asked, Instants, evaluate, newest
from features.core.statistics import Desk, make_desk
from features.core.timeline_format import CHECKSUM_BYTES, HEADER_BYTES, N_SIZES, read_events, read_sizes
from features.core.user import Room, arrange, make_room, number_sessions, number_subjects

Matrix = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]
Machine = tuple[Room, Desk, Tables]
Ranges = tuple[Matrix, Int64s, int]
Rows = tuple[Instants, Int64s, Places]

N_EVENTS, N_SUBJECTS = 2, 3
"""Places of two numbers among the sizes of a packed timeline."""


@compiled
def pass_over_bytes(buffer: npt.NDArray[np.uint8], ends: Int64s, instants: Instants, tables: Tables, vectors: Float64s) -> int:
    """Fill ``vectors`` (n_users, n_features); user i's bytes are ``buffer[ends[i]:ends[i + 1]]``.

    Returns the position of the first user whose bytes do not fit together, -1 if there is none.
    """
    n_users = len(ends) - 1
    sizes = np.empty(N_SIZES, np.int64)
    most_events, most_kinds = np.int64(0), np.int64(0)
    for user in range(n_users):
        low, high = ends[user], ends[user + 1]
        if low < high:
            if high - low < HEADER_BYTES or not read_sizes(buffer, low, high, sizes):
                return user
            most_events, most_kinds = max(most_events, sizes[N_EVENTS]), max(most_kinds, sizes[0], sizes[1])
    room, desk = make_room(most_events, tables), make_desk(most_events, 1, tables)  # type: ignore[arg-type]
    row = np.empty(1, np.uint32)
    kinds, let_go = np.empty((2, most_kinds), np.int64), np.empty((N_LET_GO, most_kinds), np.int64)
    records, subjects = np.empty((most_events, N_PROPERTIES), np.int64), np.zeros(most_events + 1, np.int64)
    for user in range(n_users):
        packed = (buffer, ends[user], ends[user + 1])
        read = (sizes, kinds, let_go, records, subjects)
        row[0] = user
        if not _one_timeline(packed, (row, instants), read, (room, desk, tables), vectors):
            return user
    return -1


@borrowing
def _one_timeline(
    packed: tuple[npt.NDArray[np.uint8], int, int],
    asked: Asked,
    read: tuple[Int64s, Matrix, Matrix, Matrix, Int64s],
    machine: Machine,
    vectors: Float64s,
) -> bool:
    """Fill the user's row of ``vectors``; False if the bytes do not fit together."""
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
    evaluate(asked, ready, (tables, desk), vectors)
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
    most_events, most_rows = np.int64(0), np.int64(0)
    for user in range(stop - first):
        most_events = max(most_events, start[user + 1] - start[user])
        most_rows = max(most_rows, rows[1][first + user + 1] - rows[1][first + user])
    room, desk = make_room(most_events, tables), make_desk(most_events, most_rows, tables)  # type: ignore[arg-type]
    _all_users((records, start, order), first, rows, (room, desk, tables), vectors)


@borrowing
def _all_users(events: tuple[Matrix, Int64s, Places], first: int, rows: Rows, machine: Machine, vectors: Float64s) -> None:
    records, start, order = events
    instants, row_start, row_order = rows
    room, desk, tables = machine
    for user in range(len(start) - 1):
        own_rows = row_order[row_start[first + user] : row_start[first + user + 1]]
        _fetch_user(records, order, start, user + 1)
        if len(own_rows) == 0:
            continue
        asked = (own_rows, instants)
        n_places = _place_visible(records, order[start[user] : start[user + 1]], newest(asked), room)
        ready = arrange(records, n_places, room, tables)
        number_subjects(ready, room, tables)
        number_sessions(ready, room, tables)
        evaluate(asked, ready, (tables, desk), vectors)


@borrowing
def _fetch_user(records: Matrix, order: Places, start: Int64s, user: int) -> None:
    """Ask for the records of the user who comes next, if there is one: they lie apart, each in a cache line of its own."""
    if user + 1 < len(start):
        for place in order[start[user] : start[user + 1]]:
            fetch(records, np.uint64(place))


@borrowing
def _place_visible(records: Matrix, own: Places, newest_us: int, room: Room) -> int:
    """Leave out of the user's own records what became known later; not if it corrects a clock, since skews are united."""
    n = 0
    for place in own:
        room.places[n] = place
        n += (records[place, KNOWN] <= newest_us) | (records[place, SKEW] != 0)
    return n


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
