"""Learn how quickly habits fade and how much of everybody's week a user's week needs; measured beside moving averages of activity."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.core.columns import Int64s
from features.core.weekly import HOURS_OF_DAY, HOURS_OF_WEEK, hour_of_week
from models.timing.receptivity import FORGOTTEN, Receptivity, decayed_counts, hours_of
from training.timing.returns import ActivityLog, activity_log, position_after, returns_of

FloatArray = npt.NDArray[np.float64]

DAY_S = 86_400.0
HALF_LIVES_S = tuple(days * DAY_S for days in (3.0, 10.0, 30.0, 100.0))
KERNELS_H = (0.0, 1.0, 2.0, 3.0)
STRENGTHS = (1.0, 4.0, 15.0, 60.0)
SMOOTHINGS = (0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class HabitRows:
    """(user, as_of) rows, and when their users came back."""

    user: Int64s  # code of the id itself: whose habit
    person: Int64s  # code of whom it ends up attached to: whose return
    as_of_us: Int64s
    utc_offset_s: Int64s

    def at(self, positions: Int64s) -> HabitRows:
        """Take the rows at these positions."""
        return HabitRows(
            user=self.user[positions],
            person=self.person[positions],
            as_of_us=self.as_of_us[positions],
            utc_offset_s=self.utc_offset_s[positions],
        )


def hours_log(log: ActivityLog) -> ActivityLog:
    """The log with one instant for each hour of use; see `models.timing.receptivity.hours_of`."""
    parts = [hours_of(log.occurred_us[low:high]) for low, high in itertools.pairwise(log.start.tolist())]
    user = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    hours = np.concatenate(parts) if parts else np.empty(0, np.int64)
    return activity_log(user, hours, n_users=len(parts), end_us=log.end_us)


def counts_of(hours: ActivityLog, rows: HabitRows, half_life_s: float) -> FloatArray:
    """Decayed hours of use before each as_of by hour of the week, shape (n_rows, 168)."""
    end = position_after(hours, rows.user, rows.as_of_us)
    oldest = position_after(hours, rows.user, rows.as_of_us - round(FORGOTTEN * half_life_s * 1e6))
    return decayed_counts(
        hours.occurred_us,
        row_start=oldest,
        row_end=end,
        as_of_us=rows.as_of_us,
        utc_offset_s=rows.utc_offset_s,
        half_life_s=half_life_s,
    )


def next_hours(log: ActivityLog, rows: HabitRows) -> tuple[Int64s, Int64s]:
    """Positions of the rows whose users were seen to come back, and the local hour of the week at which they did."""
    returns = returns_of(log, rows.person, rows.as_of_us)
    seen = np.flatnonzero(returns.observed)
    next_us = rows.as_of_us[seen] + np.round(returns.times_s[seen] * 1e6).astype(np.int64)
    return seen, hour_of_week(next_us, rows.utc_offset_s[seen])


def population_week(hours: ActivityLog, utc_offset_s: Int64s) -> FloatArray:
    """Share of everybody's hours of use that fall on each hour of the week, shape (168,); one pseudo-hour each keeps all above 0.

    Parameters
    ----------
    utc_offset_s
        Of each user, shape (n_users,).
    """
    known = hours.occurred_us <= hours.end_us
    of_week = hour_of_week(hours.occurred_us[known], utc_offset_s[hours.user[known]])
    counts = np.bincount(of_week, minlength=HOURS_OF_WEEK) + 1.0
    return np.asarray(counts / counts.sum(), dtype=np.float64)


def log_likelihood(probabilities: FloatArray, hour: Int64s) -> float:
    """Mean log probability of what came, for probabilities of shape (n_rows, 168)."""
    return float(np.log(probabilities[np.arange(len(hour)), hour]).mean())


def fit_receptivity(log: ActivityLog, hours: ActivityLog, rows: HabitRows, population: FloatArray) -> Receptivity:
    """Choose half life, kernel and both strengths by the likelihood of the hour of the next activity of these rows.

    That hour is never among those that a row's habit is counted from, so even rows of the training slice are held out here; and of the
    population a row is a tiny part.
    """
    seen, hour = next_hours(log, rows)
    kept = rows.at(seen)
    best: tuple[float, Receptivity] | None = None
    for half_life_s in HALF_LIVES_S:
        counts = counts_of(hours, kept, half_life_s)
        for kernel_h, day_strength, week_strength in itertools.product(KERNELS_H, STRENGTHS, STRENGTHS):
            one = Receptivity(
                population=tuple(population.tolist()),
                half_life_s=half_life_s,
                kernel_h=kernel_h,
                day_strength=day_strength,
                week_strength=week_strength,
            )
            score = log_likelihood(one.probabilities(counts), hour) if len(hour) else 0.0
            if best is None or score > best[0]:
                best = score, one
    assert best is not None  # the grid is not empty
    return best[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class MovingAverage:
    """S2.26: a user's own activity by hour, exponentially weighted, made a probability by a constant for every hour.

    The baseline to beat. Half life, constant and whether hours are of the day or of the week are chosen by likelihood as ours are.
    """

    half_life_s: float
    smoothing: float
    of_week: bool

    def probabilities(self, counts: FloatArray) -> FloatArray:
        """Shape (n_users, 168), for decayed counts of that shape."""
        own = counts if self.of_week else np.tile(counts.reshape(-1, 7, HOURS_OF_DAY).sum(axis=1), (1, 7))
        smoothed = own + self.smoothing
        even: FloatArray = smoothed / smoothed.sum(axis=1, keepdims=True)
        return even


def fit_moving_average(
    log: ActivityLog, hours: ActivityLog, rows: HabitRows, half_lives_s: tuple[float, ...] = HALF_LIVES_S
) -> MovingAverage:
    """Give the baseline its best half life, smoothing and hours on these rows; an infinite half life alone makes it the hour histogram."""
    seen, hour = next_hours(log, rows)
    kept = rows.at(seen)
    best: tuple[float, MovingAverage] | None = None
    for half_life_s in half_lives_s:
        counts = counts_of(hours, kept, half_life_s)
        for smoothing, of_week in itertools.product(SMOOTHINGS, (False, True)):
            one = MovingAverage(half_life_s=half_life_s, smoothing=smoothing, of_week=of_week)
            score = log_likelihood(one.probabilities(counts), hour) if len(hour) else 0.0
            if best is None or score > best[0]:
                best = score, one
    assert best is not None  # the grid is not empty
    return best[1]
