"""When in the week somebody uses the product: their own activity, older hours counting less, shrunk towards everybody's.

Of a user, c(h) is the number of past hours with activity that fell on hour h of the local week, each weighing 2^(-age / half life). Two
Dirichlet priors, one inside the other, give the habit:

    day(g)  = (k(g) + a * P24(g)) / (sum(k) + a)              hour g of the day: own counts towards the population's
    week(h) = (c(h) + b * day(h mod 24) * P(h) / P24(h mod 24)) / (sum(c) + b)

with k the counts by hour of the day, spread over neighbouring hours by a normal kernel: who came at nine may come at ten. A user without
history has the population's week; one with much history their own. Half life, kernel, a and b maximise the likelihood of the hour of the
next activity (``training.timing.habits``).

References
----------
Gelman et al., Bayesian Data Analysis, chapter 3 (Dirichlet prior of a multinomial), https://doi.org/10.1201/b16018
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from features.core.weekly import HOURS_OF_DAY, HOURS_OF_WEEK, decayed_hours, hour_of_week, shrunk
from models.errors import ModelError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_HOUR_US = 3_600_000_000
FORGOTTEN = 8.0
"""Half lives after which an hour no longer counts: it would weigh less than half a percent."""


@dataclass(frozen=True, kw_only=True)
class Receptivity:
    """What turns a user's decayed hours into probabilities by hour of the week."""

    population: tuple[float, ...]  # (168,) probabilities, none of them 0
    half_life_s: float
    kernel_h: float  # standard deviation of the kernel over the hours of the day; 0: none
    day_strength: float  # a: pseudo-hours of the population's day
    week_strength: float  # b: pseudo-hours of the user's day spread over the population's week

    def __post_init__(self) -> None:
        """Refuse what gives no probabilities."""
        if len(self.population) != HOURS_OF_WEEK or min(self.population) <= 0 or min(self.day_strength, self.week_strength) <= 0:
            raise ModelError("receptivity needs 168 positive probabilities and positive strengths; fit the timing model again")

    def probabilities(self, counts: FloatArray) -> FloatArray:
        """Habit by hour of the week, shape (n_users, 168), each row summing to 1, for decayed counts of that shape."""
        return shrunk(counts, self._kernel, self._day, self._week_of_hour, (float(self.day_strength), float(self.week_strength)))

    def of_instants(self, occurred_us: IntArray, *, as_of_us: int, utc_offset_s: int) -> FloatArray:
        """One user's habit, shape (168,), from the instants of their activity, in any order; those after as_of do not count."""
        counts = decayed_hours(occurred_us, as_of_us, utc_offset_s, float(self.half_life_s), FORGOTTEN)
        return np.asarray(self.probabilities(counts[np.newaxis])[0], dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Receptivity:
        """Invert `to_json`."""
        return cls(**{**content, "population": tuple(content["population"])})

    @cached_property
    def _day(self) -> FloatArray:
        """P24."""
        day: FloatArray = np.array(self.population).reshape(7, HOURS_OF_DAY).sum(axis=0)
        return np.asarray(day / day.sum(), dtype=np.float64)

    @cached_property
    def _kernel(self) -> FloatArray:
        """Shape (24, 24), rows summing to 1: how an hour of use is spread over the hours of the day."""
        if self.kernel_h == 0:
            return np.eye(HOURS_OF_DAY)
        off = np.abs(np.subtract.outer(np.arange(HOURS_OF_DAY), np.arange(HOURS_OF_DAY)))
        weight: FloatArray = np.exp(-0.5 * (np.minimum(off, HOURS_OF_DAY - off) / self.kernel_h) ** 2)
        return np.asarray(weight / weight.sum(axis=1, keepdims=True), dtype=np.float64)

    @cached_property
    def _week_of_hour(self) -> FloatArray:
        """P(weekday | hour of the day), shape (7, 24)."""
        by_day = np.array(self.population).reshape(7, HOURS_OF_DAY)
        share: FloatArray = by_day / by_day.sum(axis=0)
        return share


def hours_of(occurred_us: IntArray) -> IntArray:
    """The distinct hours of ascending instants, as the first instant of each: fifty clicks in an hour are one hour of use.

    Examples
    --------
    >>> hours_of(np.array([5, 7, 3_600_000_001])).tolist()
    [5, 3600000001]
    """
    if len(occurred_us) == 0:
        return occurred_us
    is_first: npt.NDArray[np.bool_] = np.concatenate([[True], np.diff(occurred_us // _HOUR_US) > 0])
    return occurred_us[is_first]


def decayed_counts(
    hours_us: IntArray,
    *,
    row_start: IntArray,
    row_end: IntArray,
    as_of_us: IntArray,
    utc_offset_s: IntArray,
    half_life_s: float,
) -> FloatArray:
    """c(h) of each row, shape (n_rows, 168), over the instants ``hours_us[row_start:row_end]``, none after the row's as_of.

    Examples
    --------
    One hour of use at the epoch (Thursday 00:00), seen one half life later:

    >>> one = np.array([0])
    >>> counts = decayed_counts(one, row_start=one, row_end=one + 1, as_of_us=one + 10**6, utc_offset_s=one, half_life_s=1.0)
    >>> float(counts[0, 72]), float(counts.sum())
    (0.5, 0.5)
    """
    n_of = row_end - row_start
    row = np.repeat(np.arange(len(n_of)), n_of)
    hour_us = hours_us[np.repeat(row_start - np.concatenate([[0], np.cumsum(n_of)[:-1]]), n_of) + np.arange(len(row))]
    half_lives = (as_of_us[row] - hour_us) / 1e6 / half_life_s
    place = row * HOURS_OF_WEEK + hour_of_week(hour_us, utc_offset_s[row])
    weight = np.where(half_lives <= FORGOTTEN, np.exp2(-half_lives), 0.0)
    counts = np.bincount(place, weights=weight, minlength=len(n_of) * HOURS_OF_WEEK).astype(np.float64)
    return counts.reshape(len(n_of), HOURS_OF_WEEK)
