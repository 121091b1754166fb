"""What each aggregation computes, compiled. Every window ends at as_of, so it is a suffix of the events in time order.

A *suffix statistic* is computed for all suffixes of a kind set in one pass from the newest event backwards; a feature then
only looks up the suffix at which its window begins.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from features.core.catalogue import ALL_TIME_US
from features.core.columns import Int64s, Places
from features.core.compiled import borrowing, compiled
from features.core.layout import DAY, EFFECTIVE, SESSION, SUBJECT, VALUE
from features.core.program import NEEDS_DAYS, NEEDS_SESSIONS, NEEDS_SUBJECTS, NEEDS_SUM, Tables
from features.core.user import ALWAYS, DAY_US, User

Matrix = npt.NDArray[np.int64]

SUBJECTS, SESSIONS, DAYS, SUM_HIGH, SUM_LOW = range(5)
N_STATISTICS = 5

MICROSECONDS = 1_000_000.0
SESSION_GAP_US = 30 * 60 * 1_000_000
LOW_32_BITS = 0xFFFF_FFFF


class Desk(NamedTuple):
    """Scratch for one row (user, as_of) at a time."""

    sequence: Places  # (> capacity,) positions of the selected events of each kind set, oldest first
    end: Places  # (n_sets + 1,) where each set's events end in `sequence`; the last set is no set: see `Tables.member_set`
    start: Places  # (n_windows * n_sets,) where each window begins
    suffix: Matrix  # (N_STATISTICS, capacity) at i: over the events i .. end of the set; at its end: over none
    seen: Int64s  # (n_texts + 1,) stamp of the last pass that met a text
    stamp: Int64s  # (1,) the newest stamp given out


@compiled
def make_desk(n_events: int, tables: Tables) -> Desk:
    """Scratch for rows of users of up to ``n_events``."""
    n_sets, n_places = len(tables.set_needs), tables.capacity[0]
    return Desk(
        np.empty(n_places + n_events * tables.most_members[0], np.uint32),
        np.empty(n_sets + 1, np.uint32),
        np.empty(len(tables.window_us) * n_sets, np.uint32),
        np.empty((N_STATISTICS, n_places), np.int64),
        np.zeros(n_events + 1, np.int64),
        np.zeros(1, np.int64),
    )


@borrowing
def fill_suffixes(user: User, tables: Tables, desk: Desk) -> None:
    """All suffix statistics that the program asks for."""
    for kind_set in range(len(tables.set_needs)):
        needs, low, high = tables.set_needs[kind_set], user.set_base[kind_set], desk.end[kind_set]
        if needs & NEEDS_SUBJECTS:
            _fill_subjects(user.events, low, high, desk)
        if needs & NEEDS_SESSIONS:
            _fill_sessions(user.events, low, high, desk)
        if needs & NEEDS_DAYS:
            _fill_days(user.events, low, high, desk)
        if needs & NEEDS_SUM:
            _fill_sums(user.events, low, high, desk)


@borrowing
def _fill_subjects(events: Matrix, low: int, high: int, desk: Desk) -> None:
    desk.stamp[0] += 1
    stamp, n = desk.stamp[0], 0
    desk.seen[0] = stamp  # "none" does not count
    desk.suffix[SUBJECTS, high] = 0
    for i in range(high - 1, low - 1, -1):
        subject = np.uint64(events[SUBJECT, desk.sequence[i]])
        n += desk.seen[subject] != stamp
        desk.seen[subject] = stamp
        desk.suffix[SUBJECTS, i] = n


@borrowing
def _fill_sessions(events: Matrix, low: int, high: int, desk: Desk) -> None:
    """Distinct session ids, plus the runs of events without one (gaps of at most 30 minutes)."""
    desk.stamp[0] += 1
    stamp, n = desk.stamp[0], 0
    desk.seen[0] = stamp
    newer_us = np.int64(ALL_TIME_US)  # of the events without an id: none yet, so the first one always begins a run
    desk.suffix[SESSIONS, high] = 0
    for i in range(high - 1, low - 1, -1):  # without branches: which events carry an id cannot be predicted
        event = desk.sequence[i]
        session = np.uint64(events[SESSION, event])
        n += desk.seen[session] != stamp
        desk.seen[session] = stamp
        unnamed = session == 0
        n += unnamed & (newer_us - events[EFFECTIVE, event] > SESSION_GAP_US)
        newer_us = events[EFFECTIVE, event] if unnamed else newer_us
        desk.suffix[SESSIONS, i] = n


@borrowing
def _fill_days(events: Matrix, low: int, high: int, desk: Desk) -> None:
    n = 0
    newer = ALWAYS  # no event's day
    desk.suffix[DAYS, high] = 0
    for i in range(high - 1, low - 1, -1):
        day = events[DAY, desk.sequence[i]]
        n += day != newer
        newer = day
        desk.suffix[DAYS, i] = n


@borrowing
def _fill_sums(events: Matrix, low: int, high: int, desk: Desk) -> None:
    """Sums in two halves, so that no value can make them overflow."""
    upper, lower = np.int64(0), np.int64(0)
    desk.suffix[SUM_HIGH, high] = 0
    desk.suffix[SUM_LOW, high] = 0
    for i in range(high - 1, low - 1, -1):
        value = events[VALUE, desk.sequence[i]]
        upper += value >> 32
        lower += value & LOW_32_BITS
        desk.suffix[SUM_HIGH, i] = upper
        desk.suffix[SUM_LOW, i] = lower


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
