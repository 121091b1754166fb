"""What each aggregation computes, compiled. Every window ends at as_of, so it is a suffix of the events in time order.

The events that a row may see, its *stock*, are laid out by kind set, and what is needed of them is worked out once for every
event, from those before it. It then answers for every stretch of the stock, so for every window and also for every earlier row
that sees the stock's first events.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from features.core.columns import Int64s, Places
from features.core.compiled import borrowing, compiled
from features.core.lanes import LANES, count_at_most
from features.core.layout import DAY, EFFECTIVE, KNOWN, PART, SESSION, SUBJECT, VALUE
from features.core.program import NEEDS_DAYS, NEEDS_SESSIONS, NEEDS_SUBJECTS, NEEDS_SUM, Tables
from features.core.user import ALWAYS, DAY_US, User, n_slots

Matrix = npt.NDArray[np.int64]

SUBJECTS, SESSIONS = range(2)
"""What different ones are counted of."""
DAYS, SUM_HIGH, SUM_LOW = range(3)
"""What is added up."""

MICROSECONDS = 1_000_000.0
SESSION_GAP_US = 30 * 60 * 1_000_000
LOW_32_BITS = 0xFFFF_FFFF
UNCOUNTED = np.uint32(LOW_32_BITS)
"""In `Desk.before`: the event counts in no stretch."""


class Desk(NamedTuple):
    """Scratch for one stock and one row (user, as_of) at a time. A *place* is one in ``sequence``."""

    sequence: Places  # (> capacity,) positions of the stock's events by kind set, oldest first; one place more after each set
    position: Places  # (n_rows, n_windows + 1) of each row: how many events lie before each window, and how many the row sees
    marked: npt.NDArray[np.bool_]  # (n_events + 1,) whether the next stock is asked where sets stand after so many events
    rank: Places  # (n_events + 1, n_sets) where each set stands in ``sequence`` after so many events, if that was marked
    before: Places  # (2, capacity + LANES) one more than the place of the set's last event before this one with the same text; 0: none
    total: Matrix  # (3, capacity + 1) DAYS: different days of the set up to and with this event; SUM_: of the events before it
    seen: Int64s  # (2, n_codes) one more than where the text was last met, plus the clock at that time
    clock: Int64s  # (1,) > 0; grows by all places with every stock, so that what an earlier stock left in ``seen`` lies before its places
    start: Places  # (n_windows * n_sets,) where each window of the row begins
    end: Places  # (n_sets + 1,) where each set's events that the row sees end; the last set is no set: see `Tables.member_set`


@compiled
def make_desk(n_events: int, n_rows: int, tables: Tables) -> Desk:
    """Scratch for users of up to ``n_events`` and ``n_rows``."""
    n_sets, n_windows, n_places = len(tables.set_needs), len(tables.window_us), n_events * tables.most_members[0]
    capacity = min(tables.capacity[0], n_places + n_sets)
    return Desk(
        np.empty(capacity + n_places, np.uint32),
        np.empty((n_rows, n_windows + 1), np.uint32),
        np.zeros(n_events + 1, np.bool_),
        np.empty((n_events + 1, n_sets), np.uint32),
        np.empty((2, capacity + LANES), np.uint32),
        np.empty((3, capacity + 1), np.int64),
        np.zeros((2, n_slots(n_events)), np.int64),
        np.ones(1, np.int64),
        np.empty(n_windows * n_sets, np.uint32),
        np.empty(n_sets + 1, np.uint32),
    )


@borrowing
def take_stock(user: User, n_events: int, known_us: int, tables: Tables, desk: Desk) -> None:
    """Take those of the user's first ``n_events`` that were known by then, and are chosen where some kind has too many."""
    _lay_out(user, n_events, known_us, tables, desk)
    desk.clock[0] += len(desk.sequence)
    for kind_set in range(len(tables.set_needs)):
        needs, low, high = tables.set_needs[kind_set], user.set_base[kind_set], desk.end[kind_set]
        if needs & NEEDS_SUBJECTS:
            _link_subjects(user.events, low, high, desk)
        if needs & NEEDS_SESSIONS:
            _link_sessions(user.events, low, high, desk)
        if needs & NEEDS_DAYS:
            _count_days(user.events, low, high, desk)
        if needs & NEEDS_SUM:
            _add_values(user.events, low, high, desk)


@borrowing
def _lay_out(user: User, n_events: int, known_us: int, tables: Tables, desk: Desk) -> None:
    """Fill ``sequence``, and ``rank`` where that is marked; ``end`` is then where the sets end."""
    events, sequence, end = user.events, desk.sequence, desk.end
    for kind_set in range(len(end)):
        end[kind_set] = user.set_base[kind_set]
    for event in range(n_events):
        if desk.marked[event]:
            _rank(event, desk)
        if events[KNOWN, event] <= known_us and (not user.overflows or user.chosen[event] >= desk.clock[0]):
            part = np.uint64(events[PART, event])
            for member in range(tables.most_members[0]):  # as often for every part: a count that varies cannot be predicted
                kind_set = tables.member_set[part, member]
                place = end[kind_set]
                sequence[place] = event
                end[kind_set] = place + 1
    if desk.marked[n_events]:
        _rank(n_events, desk)


@borrowing
def _rank(n_events: int, desk: Desk) -> None:
    desk.marked[n_events] = False
    for kind_set in range(desk.rank.shape[1]):  # a loop: a slice assignment takes numba seconds to compile
        desk.rank[n_events, kind_set] = desk.end[kind_set]


@borrowing
def _link_subjects(events: Matrix, low: int, high: int, desk: Desk) -> None:
    seen, before, clock = desk.seen[SUBJECTS], desk.before[SUBJECTS], desk.clock[0]
    for i in range(low, high):
        subject = np.uint64(events[SUBJECT, desk.sequence[i]])
        before[i] = max(seen[subject] - clock, 0) if subject else UNCOUNTED
        seen[subject] = clock + i + 1


@borrowing
def _link_sessions(events: Matrix, low: int, high: int, desk: Desk) -> None:
    """Events without an id follow each other as if they had the same, except after a gap of more than 30 minutes."""
    seen, before, clock = desk.seen[SESSIONS], desk.before[SESSIONS], desk.clock[0]
    older_us = np.int64(0)  # of the events without an id: nothing, but then none has been met in this set anyway
    for i in range(low, high):  # without branches: which events carry an id cannot be predicted
        event = desk.sequence[i]
        session, effective_us = np.uint64(events[SESSION, event]), events[EFFECTIVE, event]
        unnamed = session == 0
        begins = unnamed & (effective_us - older_us > SESSION_GAP_US)
        before[i] = 0 if begins else max(seen[session] - clock, 0)
        seen[session] = clock + i + 1
        older_us = effective_us if unnamed else older_us


@borrowing
def _count_days(events: Matrix, low: int, high: int, desk: Desk) -> None:
    n = 0
    older = ALWAYS  # no event's day
    for i in range(low, high):
        day = events[DAY, desk.sequence[i]]
        n += day != older
        older = day
        desk.total[DAYS, i] = n


@borrowing
def _add_values(events: Matrix, low: int, high: int, desk: Desk) -> None:
    """Sums in two halves, so that no value can make them overflow."""
    upper, lower = np.int64(0), np.int64(0)
    for i in range(low, high):
        desk.total[SUM_HIGH, i] = upper
        desk.total[SUM_LOW, i] = lower
        value = events[VALUE, desk.sequence[i]]
        upper += value >> 32
        lower += value & LOW_32_BITS
    desk.total[SUM_HIGH, high] = upper
    desk.total[SUM_LOW, high] = lower


@borrowing
def different(texts: int, start: int, end: int, desk: Desk) -> int:
    """How many different subjects, or sessions, a stretch has: as many as events that are the first in it of theirs."""
    return count_at_most(desk.before[texts], start, end, start)


@borrowing
def days_of(start: int, end: int, desk: Desk) -> int:
    """How many different days a stretch has."""
    return np.int64(0) if start == end else desk.total[DAYS, end - 1] - desk.total[DAYS, start] + 1  # type: ignore[return-value]


@borrowing
def sum_of(start: int, end: int, desk: Desk) -> float:
    """The sum of the values of a stretch."""
    total = desk.total
    return exact_float(total[SUM_HIGH, end] - total[SUM_HIGH, start], total[SUM_LOW, end] - total[SUM_LOW, start])


@borrowing
def exact_float(upper: int, lower: int) -> float:
    """The float64 nearest to ``upper * 2**32 + lower``."""
    upper += lower >> 32
    lower &= LOW_32_BITS
    if -(1 << 31) <= upper < 1 << 31:
        return np.float64((upper << 32) | lower)
    bits_left = 32
    while bits_left > 0 and -(1 << 60) <= upper < 1 << 60:
        bits_left -= 1
        upper = 2 * upper + ((lower >> bits_left) & 1)
    if lower & ((1 << bits_left) - 1):
        upper |= 1  # what is cut off lies below the last bit of a float64, but decides a tie
    return np.float64(upper) * np.float64(1 << bits_left)


@borrowing
def streak_days(events: Matrix, sequence: Places, as_of_us: int) -> int:
    """Length of the run of consecutive days that ends on as_of's day or the day before, of events oldest first."""
    n = 0
    oldest = as_of_us // DAY_US
    for i in range(len(sequence) - 1, -1, -1):
        day = events[DAY, sequence[i]]
        if day < oldest - 1:
            break
        if n == 0 or day == oldest - 1:
            n += 1
        oldest = day
    return n
