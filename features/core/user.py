"""One user's events made ready for any as_of, compiled: in effective order, each once, with what selection needs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from features.core.columns import Int64s, Places
from features.core.compiled import borrowing, compiled, shared
from features.core.layout import DAY, EFFECTIVE, HASH, KIND, KIND_MASK, KNOWN, N_PROPERTIES, OCCURRED, PART, SESSION, SKEW, SUBJECT, VALUE
from features.core.order import key_order, lower_bound
from features.core.program import NEEDS_SESSIONS, NEEDS_SUBJECTS, Tables

Matrix = npt.NDArray[np.int64]

DAY_US = 86_400_000_000
ALWAYS = int(np.iinfo(np.int64).max)
NEVER = int(np.iinfo(np.int64).min)
FEWEST_SLOTS = 4
"""Of the hash table of a user's texts: a power of two."""


class Room(NamedTuple):
    """Scratch for one user at a time; reused from user to user within one call."""

    places: Places  # (n,) the user's records
    keys: Matrix  # (2, n) sort keys of those records
    order: Places  # (3, n + 1)
    known_by: Int64s  # (n + 1,)
    events: Matrix  # (N_PROPERTIES, n)
    spare: Matrix  # (N_PROPERTIES, n)
    chosen: Int64s  # (n,)
    kind_place: Places  # (n,)
    kind_start: Int64s  # (n_kinds + 1,)
    kind_free: Int64s  # (n_kinds,)
    part_count: Int64s  # (n_parts,)
    set_base: Places  # (n_sets + 1,)
    texts: Int64s  # (n_slots(n),) open addressing of texts; 0: free


class User(NamedTuple):
    """One user's events, ready."""

    n: int
    events: Matrix  # (N_PROPERTIES, >= n) by (effective, hash); EFFECTIVE replaces OCCURRED, DAY SKEW, PART KIND
    known_by: Int64s  # (n + 1,) from when on each number of first events has been known
    chosen: Int64s  # (n,), if some kind overflows: ALWAYS, or the stamp of the last as_of that selected the event
    kind_place: Places  # positions in `events`, by kind and, within it, by (occurred as sent, hash)
    kind_start: Int64s  # (n_kinds + 1,) ranges of kind_place
    set_base: Places  # (n_sets + 1,) where each kind set's events begin in a row's scratch; the last: where all end
    overflows: bool  # whether any kind has more events than are kept


@borrowing
def n_slots(n_events: int) -> int:
    """Slots of a hash table of the texts of ``n_events``, and so also the number of codes there can be: at most half are used."""
    slots = FEWEST_SLOTS
    while slots < 2 * (n_events + 1):
        slots *= 2
    return slots


@compiled
def make_room(n_events: int, tables: Tables) -> Room:
    """Scratch for users of up to ``n_events``."""
    return Room(
        np.empty(n_events, np.uint32),
        np.empty((2, n_events), np.int64),
        np.empty((3, n_events + 1), np.uint32),
        np.empty(n_events + 1, np.int64),
        np.empty((N_PROPERTIES, n_events), np.int64),
        np.empty((N_PROPERTIES, n_events), np.int64),
        np.empty(n_events, np.int64),
        np.empty(n_events, np.uint32),
        np.empty(len(tables.keep) + 1, np.int64),
        np.empty(len(tables.keep), np.int64),
        np.empty(len(tables.most_kept), np.int64),
        np.empty(len(tables.set_needs) + 1, np.uint32),
        np.empty(n_slots(n_events), np.int64),
    )


@shared
def arrange(records: Matrix, n_places: int, room: Room, tables: Tables) -> User:
    """The records at ``room.places[:n_places]`` in effective order, each event once, known times and skews united."""
    n = _unite(records, n_places, room)
    events, place = room.events, room.order[1]
    for i in range(n):
        place[i] = i
    if _apply_skew(n, events):
        _by_effective_time(n, room)
        events = room.spare
    room.known_by[0] = NEVER
    for i in range(n):
        events[DAY, i] = events[EFFECTIVE, i] // DAY_US
        room.known_by[i + 1] = max(room.known_by[i], events[KNOWN, i])
    overflows = _by_kind(n, room, tables)
    if overflows:
        for i in range(n):
            kind = events[KIND, i]
            kept_whole = room.kind_start[kind + 1] - room.kind_start[kind] <= tables.keep[kind] + tables.keep_first[kind]
            room.chosen[i] = ALWAYS if kept_whole else 0
    _count_parts(n, events, room, tables)
    _lay_out_sets(room, tables)
    return User(n, events, room.known_by, room.chosen, room.kind_place, room.kind_start, room.set_base, overflows)


@borrowing
def _unite(records: Matrix, n_places: int, room: Room) -> int:
    """Fill ``room.events`` by sent key and unite duplicates there. Number of events."""
    places, events, major, minor = room.places, room.events, room.keys[0], room.keys[1]
    for i in range(n_places):
        major[i], minor[i] = records[places[i], OCCURRED], records[places[i], HASH]
    order = room.order[key_order(major, minor, n_places, room.order)]
    n = 0
    for position in range(n_places):
        place = places[order[position]]
        if n > 0 and _same_event(events, n - 1, records, place):
            events[KNOWN, n - 1] = min(events[KNOWN, n - 1], records[place, KNOWN])
            events[SKEW, n - 1] = max(events[SKEW, n - 1], records[place, SKEW])
        else:
            events[KIND, n] = records[place, KIND] & KIND_MASK
            for row in (OCCURRED, HASH, KNOWN, SKEW, SUBJECT, VALUE, SESSION):
                events[row, n] = records[place, row]
            n += 1
    return n


@borrowing
def _same_event(events: Matrix, i: int, records: Matrix, place: int) -> bool:
    same: bool = (
        events[HASH, i] == records[place, HASH]
        and events[OCCURRED, i] == records[place, OCCURRED]
        and events[KIND, i] == records[place, KIND] & KIND_MASK
    )
    return same


@borrowing
def _apply_skew(n: int, events: Matrix) -> bool:
    """Turn sent times into effective ones; True if that changed any, so that the order may have changed."""
    skewed = False
    for i in range(n):
        skewed |= events[SKEW, i] != 0
        events[EFFECTIVE, i] -= events[SKEW, i]
    return skewed


@borrowing
def _by_effective_time(n: int, room: Room) -> None:
    """Move ``events`` to ``spare`` in effective order; ``room.order[1]`` then tells where each event went."""
    events, spare = room.events, room.spare
    order = room.order[key_order(events[EFFECTIVE], events[HASH], n, room.order)]
    places = room.places  # used up
    for position in range(n):
        places[order[position]] = position
    for row in range(N_PROPERTIES):
        for position in range(n):
            spare[row, position] = events[row, order[position]]
    for i in range(n):
        room.order[1, i] = places[i]


@borrowing
def _by_kind(n: int, room: Room, tables: Tables) -> bool:
    """Fill the kind ranges; True if some kind has more events than are kept, and then ``kind_place`` is filled, too."""
    kinds, place, start, free = room.events[KIND], room.order[1], room.kind_start, room.kind_free
    for kind in range(len(start)):
        start[kind] = 0
    for i in range(n):
        start[kinds[i] + 1] += 1
    overflows = False
    for kind in range(len(free)):
        overflows |= start[kind + 1] > tables.keep[kind] + tables.keep_first[kind]
        start[kind + 1] += start[kind]
        free[kind] = start[kind]
    if overflows:
        for i in range(n):
            room.kind_place[free[kinds[i]]] = place[i]
            free[kinds[i]] += 1
    return overflows


@borrowing
def _count_parts(n: int, events: Matrix, room: Room, tables: Tables) -> None:
    """Count the events of every part, and put the part in the place of the kind."""
    for kind in range(len(tables.keep)):
        room.part_count[kind] = room.kind_start[kind + 1] - room.kind_start[kind]
    if len(tables.subject_hash) == 0:
        return  # every part is a whole kind
    for each in range(len(room.part_count)):
        room.part_count[each] = 0
    for i in range(n):
        part = tables.part[events[KIND, i], _subject_place(events[SUBJECT, i], tables.subject_hash)]
        events[PART, i] = part
        room.part_count[part] += 1


@borrowing
def _subject_place(subject: int, subject_hash: Int64s) -> int:
    """Where a subject is among those that features ask for; their number if it is not."""
    place = lower_bound(subject_hash, subject)
    return place if place < len(subject_hash) and subject_hash[place] == subject else len(subject_hash)


@borrowing
def _lay_out_sets(room: Room, tables: Tables) -> None:
    """Begin each kind set right after the one before it, leaving one place: running sums end with that over all events.

    As close together as this user's events allow, since what lies a multiple of 4 KiB apart gets in each other's way.
    """
    base = room.set_base
    for kind_set in range(len(base)):
        base[kind_set] = 0
    for part in range(len(tables.most_kept)):
        kept = min(room.part_count[part], tables.most_kept[part])
        for member in range(tables.most_members[0]):
            member_of = np.int64(tables.member_set[part, member])
            if member_of < len(tables.set_needs):
                base[member_of + 1] += kept
    for kind_set in range(len(base) - 1):
        base[kind_set + 1] += base[kind_set] + 1


@shared
def number_subjects(user: User, room: Room, tables: Tables) -> None:
    """Replace the hashes of subjects by small codes if the program needs them; 0 stays 0."""
    if tables.needs[0] & NEEDS_SUBJECTS:
        _number(user.events[SUBJECT], user.n, room.texts)


@shared
def number_sessions(user: User, room: Room, tables: Tables) -> None:
    """As `number_subjects`, of sessions."""
    if tables.needs[0] & NEEDS_SESSIONS:
        _number(user.events[SESSION], user.n, room.texts)


@borrowing
def _number(texts: Int64s, n: int, table: Int64s) -> None:
    """A text's code is its place in a hash table, of which place 0 is that of "none" alone."""
    size = n_slots(n)  # not the whole table: it is cleared for every user
    last = np.uint64(size - 1)
    for i in range(size):
        table[i] = 0
    for i in range(n):
        text = texts[i]
        slot = _or_next(np.uint64(text ^ (text >> 32)) & last, text)
        while (table[slot] != text) & (table[slot] != 0):
            slot = _or_next((slot + np.uint64(1)) & last, text)
        table[slot] = text
        texts[i] = np.int64(slot)


@borrowing
def _or_next(slot: np.uint64, text: np.int64) -> np.uint64:
    """The slot, but the next one instead of that of "none" for any other text."""
    return slot or np.uint64(text != 0)
