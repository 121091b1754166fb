"""When in the week somebody uses a product, and how long they stay away, compiled: what the curve of one user is drawn from.

Each function costs a microsecond or two for one user; some thirty calls of numpy would do the same in a hundred. What it all means is said
where it is learned and used: `models.timing.receptivity` and `models.timing.hazard`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from features.core.compiled import compiled, inlined
from features.core.layout import KIND, OCCURRED, SKEW

Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]
Whole = TypeVar("Whole", int, Int64s)
"""One whole number or an array of them."""

HOUR_US = 3_600_000_000
HOUR_S = 3_600.0
HOURS_OF_DAY = 24
HOURS_OF_WEEK = 168
_EPOCH_HOURS = 72  # 1970-01-01 was a Thursday; Monday is 0
_LEAST = 1e-12  # a chance of still being away below this is no chance


def hour_of_week(at_us: Whole, utc_offset_s: Whole) -> Whole:
    """Local hour of the week of each instant, 0 (Monday 00:00 to 01:00) to 167, shapes broadcast; compiled as `_hour_of_week` for one.

    Parameters
    ----------
    at_us
        Microseconds since the Unix epoch.
    utc_offset_s
        Of the user's zone at as_of. A change of the clocks between as_of and the instant shifts the hour by one.

    Examples
    --------
    The epoch was a Thursday:

    >>> hour_of_week(np.array([0, 3_600_000_000]), np.array([0, 7_200])).tolist()
    [72, 75]
    """
    return ((at_us + utc_offset_s * 1_000_000) // HOUR_US + _EPOCH_HOURS) % HOURS_OF_WEEK


_hour_of_week: Callable[[int, int], int] = inlined(hour_of_week)


@compiled
def instants_of(events: Int64s, kinds: Int64s) -> Int64s:
    """Effective instants of a timeline's events (8, n) of these kinds, by their hashes, in the order of the events."""
    found, n_found = np.empty(events.shape[1], np.int64), 0
    for i in range(events.shape[1]):
        for kind in kinds:
            if events[KIND, i] == kind:
                found[n_found] = events[OCCURRED, i] - events[SKEW, i]
                n_found += 1
                break
    return found[:n_found].copy()


@compiled
def decayed_hours(occurred_us: Int64s, as_of_us: int, utc_offset_s: int, half_life_s: float, forgotten: float) -> Float64s:
    """Hours of use by hour of the local week, shape (168,), each weighing 2^(-age / half life), for instants in any order.

    Those after as_of and those older than ``forgotten`` half lives do not count. The age of an hour is that of its first instant.

    Examples
    --------
    Two clicks in the first hour of 1970, a Thursday, seen one half life later:

    >>> counts = decayed_hours(np.array([5_000_000, 0]), 3_600_000_000, 0, 3_600.0, 8.0)
    >>> float(counts[72]), float(counts.sum())
    (0.5, 0.5)
    """
    counts = np.zeros(HOURS_OF_WEEK)
    last_hour = -1
    for at_us in np.sort(occurred_us):
        hour = at_us // HOUR_US
        if at_us > as_of_us:
            break
        if hour == last_hour:
            continue
        last_hour = hour
        half_lives = (as_of_us - at_us) / 1e6 / half_life_s
        if half_lives <= forgotten:
            counts[_hour_of_week(at_us, utc_offset_s)] += 2.0**-half_lives
    return counts


@compiled
def shrunk(counts: Float64s, kernel: Float64s, day: Float64s, week_of_hour: Float64s, strengths: tuple[float, float]) -> Float64s:
    """Habits, shape (n_users, 168), of decayed hours of that shape: towards everybody's day, then towards everybody's week.

    Parameters
    ----------
    kernel
        Shape (24, 24): how an hour of use is spread over the hours of the day.
    day, week_of_hour
        Everybody's: shares of the hours of the day, shape (24,), and of the weekdays by hour of the day, shape (7, 24).
    strengths
        Pseudo-hours of both.
    """
    habits, of_day, spread = np.empty_like(counts), np.empty(HOURS_OF_DAY), np.empty(HOURS_OF_DAY)
    for user in range(len(counts)):
        of_day[:] = 0.0
        for hour in range(HOURS_OF_WEEK):
            of_day[hour % HOURS_OF_DAY] += counts[user, hour]
        spread[:] = 0.0
        for used in range(HOURS_OF_DAY):
            for hour in range(HOURS_OF_DAY):
                spread[hour] += of_day[used] * kernel[used, hour]
        total, total_spread = of_day.sum(), spread.sum()
        for hour in range(HOURS_OF_WEEK):
            weekday, of = hour // HOURS_OF_DAY, hour % HOURS_OF_DAY
            own = (spread[of] + strengths[0] * day[of]) / (total_spread + strengths[0])
            habits[user, hour] = (counts[user, hour] + strengths[1] * own * week_of_hour[weekday, of]) / (total + strengths[1])
    return habits


@compiled
def fill_periods(rows: Float64s, users: tuple[Float64s, Int64s, Int64s, Float64s], row: Int64s, period: Int64s, edges_s: Float64s) -> None:
    """Fill rows, shape (n, n_inputs + 4), of users in periods between edges: inputs, number, local hour and weekday, habit.

    Parameters
    ----------
    users
        Inputs, as_of (us), offset from UTC (s) and habit, an element or a row each.
    row, period
        Which user and which period, shapes (n,).
    """
    encoded, as_of_us, utc_offset_s, habit = users
    n_inputs = encoded.shape[1]
    for i in range(len(row)):
        user, number = row[i], period[i]
        start_s, end_s = edges_s[number], edges_s[number + 1]
        middle = _hour_of_week(as_of_us[user] + int((start_s + end_s) / 2 * 1e6), utc_offset_s[user])
        first = _hour_of_week(as_of_us[user], utc_offset_s[user]) + round(start_s / HOUR_S)
        width, usual = round((end_s - start_s) / HOUR_S), 0.0
        for hour in range(first, first + width):
            usual += habit[user, hour % HOURS_OF_WEEK]
        rows[i, :n_inputs] = encoded[user]
        rows[i, n_inputs] = number
        rows[i, n_inputs + 1] = middle % HOURS_OF_DAY
        rows[i, n_inputs + 2] = middle // HOURS_OF_DAY
        rows[i, n_inputs + 3] = usual / width * HOURS_OF_WEEK


@compiled
def usual_after(habit: Float64s, as_of_us: int, utc_offset_s: int, times_s: Float64s) -> Float64s:
    """How usual the local hours after these times are for one user, shape (n_times,); 1 is an hour of an even week."""
    usual = np.empty(len(times_s))
    for place in range(len(times_s)):
        usual[place] = habit[_hour_of_week(as_of_us + int(times_s[place] * 1e6), utc_offset_s)] * HOURS_OF_WEEK
    return usual


@compiled
def away_after(scores: Float64s, edges_s: Float64s, times_s: Float64s) -> Float64s:
    """Chance of not having returned by any times, shape (n_users, n_times).

    Within a period it falls as if the hazard were constant there; past the last edge it stays what it is.

    Parameters
    ----------
    scores
        Log-odds of returning in each period between the edges, shape (n_users, n_periods).

    Examples
    --------
    >>> away_after(np.log([[3.0]]), np.array([0.0, 10.0]), np.array([0.0, 5.0, 99.0])).round(9).tolist()
    [[1.0, 0.5, 0.25]]
    """
    n_users, n_periods = scores.shape
    away, logs = np.empty((n_users, len(times_s))), np.zeros(n_periods + 1)
    for user in range(n_users):
        still = 1.0
        for period in range(n_periods):
            still *= 1.0 - 1.0 / (1.0 + math.exp(-scores[user, period]))
            logs[period + 1] = math.log(max(still, _LEAST))
        for place in range(len(times_s)):
            time_s = min(max(times_s[place], 0.0), edges_s[-1])
            upper = max(np.searchsorted(edges_s, time_s), 1)
            share = (time_s - edges_s[upper - 1]) / (edges_s[upper] - edges_s[upper - 1])
            away[user, place] = math.exp(logs[upper - 1] * (1.0 - share) + logs[upper] * share)
    return away
