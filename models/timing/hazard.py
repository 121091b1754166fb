"""The hazard of return in discrete time, and from it S(t): the chance that somebody is still away t after as_of.

The hazard of period k is h_k = P(return in period k | still away at its start), one LightGBM model over all periods; then
S(t_k) = (1 - h_1) ... (1 - h_k), and within a period S falls geometrically.

References
----------
Singer and Willett (1993), https://doi.org/10.3102/10769986018002155; Tutz and Schmid (2016), https://doi.org/10.1007/978-3-319-28158-2
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import ModelError
from models.risk import RiskModel
from models.timing.periods import HOURS_OF_DAY, HOURS_OF_WEEK, hour_of_week

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

PERIOD_INPUTS = ("period", "local_hour", "local_weekday", "habit")
"""What a person-period row has besides the model inputs of its (user, as_of)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """About whom and from when: one element per row."""

    encoded: FloatArray  # (n_rows, n_inputs) model inputs at as_of
    as_of_us: IntArray  # (n_rows,)
    utc_offset_s: IntArray  # (n_rows,) of the user's zone at as_of
    habit: FloatArray  # (n_rows, 168) probabilities by local hour of the week, see `models.timing.receptivity`

    def at(self, positions: IntArray) -> Asked:
        """Take the rows at these positions, with repetition."""
        return Asked(
            encoded=self.encoded[positions],
            as_of_us=self.as_of_us[positions],
            utc_offset_s=self.utc_offset_s[positions],
            habit=self.habit[positions],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """What follows from the edges alone, one element per period."""

    middle_us: IntArray  # after as_of
    first_h: IntArray  # whole hours after the hour of as_of
    width_h: IntArray

    @classmethod
    def of(cls, edges_s: FloatArray) -> Periods:
        """Periods between ascending edges."""
        edges_s = np.asarray(edges_s, dtype=np.float64)
        return cls(
            middle_us=((edges_s[:-1] + edges_s[1:]) / 2 * 1e6).astype(np.int64),
            first_h=np.round(edges_s[:-1] / 3600).astype(np.int64),
            width_h=np.round(np.diff(edges_s) / 3600).astype(np.int64),
        )

    def until(self, n_periods: int) -> Periods:
        """The first of them."""
        return Periods(middle_us=self.middle_us[:n_periods], first_h=self.first_h[:n_periods], width_h=self.width_h[:n_periods])

    def at(self, period: IntArray) -> Periods:
        """One for each element, with repetition."""
        return Periods(middle_us=self.middle_us[period], first_h=self.first_h[period], width_h=self.width_h[period])


def person_period_rows(asked: Asked, row: IntArray, period: IntArray, edges_s: FloatArray) -> FloatArray:
    """Inputs of the hazard of these periods, shape (n, n_inputs + 4), for positions ``row`` of ``asked``, shapes (n,).

    Hour and weekday are the local ones at the middle of the period; habit is the mean chance of the hours that the period covers, in units
    of an even week (1 is average).
    """
    return _inputs(asked, row, period, Periods.of(edges_s).at(period))


def _inputs(asked: Asked, row: IntArray, number: IntArray, periods: Periods) -> FloatArray:
    """``row`` is of shape (n,) or (n, 1), ``number`` and ``periods`` are of shape (k,): (n or k, n_inputs + 4) or (n, k, n_inputs + 4)."""
    hour = hour_of_week(asked.as_of_us[row] + periods.middle_us, asked.utc_offset_s[row])
    n_inputs = asked.encoded.shape[1]
    rows = np.empty((*hour.shape, n_inputs + len(PERIOD_INPUTS)))
    rows[..., :n_inputs] = asked.encoded[row]
    rows[..., n_inputs] = number
    rows[..., n_inputs + 1] = hour % HOURS_OF_DAY
    rows[..., n_inputs + 2] = hour // HOURS_OF_DAY
    rows[..., n_inputs + 3] = _habit(asked, row, periods)
    return rows


def _habit(asked: Asked, row: IntArray, periods: Periods) -> FloatArray:
    """Mean of the habit over each period's hours: a difference of running sums over two weeks and more."""
    start = hour_of_week(asked.as_of_us, asked.utc_offset_s)
    first = (start[row] + periods.first_h) % HOURS_OF_WEEK
    running = np.zeros((len(asked.habit), 2 * HOURS_OF_WEEK + 1))
    np.cumsum(np.concatenate([asked.habit, asked.habit], axis=1), axis=1, out=running[:, 1:])
    mean: FloatArray = (running[row, first + periods.width_h] - running[row, first]) / periods.width_h * HOURS_OF_WEEK
    return mean


@dataclass(frozen=True, kw_only=True)
class HazardModel:
    """Return hazard by period, as LightGBM's text."""

    model_text: str
    n_inputs: int  # of the vector and the profile, without `PERIOD_INPUTS`
    edges_s: tuple[float, ...]  # of the periods, ascending from 0
    _model: RiskModel = field(init=False, repr=False, compare=False)
    _edges_s: FloatArray = field(init=False, repr=False, compare=False)
    _periods: Periods = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Load the model now: a broken one is refused before the first question."""
        if self.edges_s[0] != 0 or np.any(np.diff(self.edges_s) <= 0):
            raise ModelError(f"edges_s is {self.edges_s[:3]}..., expected to ascend from 0; fit the timing model again")
        object.__setattr__(self, "_model", RiskModel(self.model_text, self.n_inputs + len(PERIOD_INPUTS)))
        object.__setattr__(self, "_edges_s", np.array(self.edges_s, dtype=np.float64))
        object.__setattr__(self, "_periods", Periods.of(self._edges_s))

    def hazard(self, asked: Asked, n_periods: int | None = None) -> FloatArray:
        """P(return in a period | away at its start), shape (n_rows, n_periods), of the first periods; None: of all."""
        periods = self._periods if n_periods is None else self._periods.until(n_periods)
        number = np.arange(len(periods.first_h))
        rows = _inputs(asked, np.arange(len(asked.as_of_us))[:, None], number, periods)
        scores = self._model.raw_scores(rows.reshape(-1, rows.shape[-1]))
        return (1.0 / (1.0 + np.exp(-scores))).reshape(rows.shape[:2])

    def survival(self, asked: Asked, n_periods: int | None = None) -> FloatArray:
        """S at every edge, or at those of the first periods, shape (n_rows, n_edges); the first is 1."""
        hazard = self.hazard(asked, n_periods)
        away = np.ones((hazard.shape[0], hazard.shape[1] + 1))
        np.cumprod(1.0 - hazard, axis=1, out=away[:, 1:])
        return away

    def still_away(self, asked: Asked, delays_s: Sequence[float]) -> FloatArray:
        """S at any delays, shape (n_rows, n_delays); past the last edge it stays what it is there.

        No period after the last delay is asked about: of a curve of two days that are 15 of 38.
        """
        times_s, edges_s = np.asarray(delays_s, dtype=np.float64), self._edges_s
        n_periods = min(max(int(edges_s.searchsorted(times_s.max(initial=0.0))), 1), len(edges_s) - 1)
        return interpolate(self.survival(asked, n_periods), edges_s[: n_periods + 1], times_s)

    def to_json(self) -> dict[str, Any]:
        """All but the model text, which is a file of its own."""
        return {"n_inputs": self.n_inputs, "edges_s": list(self.edges_s)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], model_text: str) -> HazardModel:
        """Invert `to_json`."""
        return cls(model_text=model_text, n_inputs=content["n_inputs"], edges_s=tuple(content["edges_s"]))


def interpolate(survival: FloatArray, edges_s: FloatArray, times_s: FloatArray) -> FloatArray:
    """S between the edges, as if the hazard were constant within a period; shape (n_rows, n_times).

    Examples
    --------
    >>> interpolate(np.array([[1.0, 0.25]]), np.array([0.0, 10.0]), np.array([0.0, 5.0, 99.0])).tolist()
    [[1.0, 0.5, 0.25]]
    """
    logs = np.log(np.maximum(survival, 1e-12))
    within = np.minimum(np.maximum(times_s, 0.0), edges_s[-1])
    upper = np.maximum(edges_s.searchsorted(within), 1)
    lower_s = edges_s[upper - 1]
    share = (within - lower_s) / (edges_s[upper] - lower_s)
    return np.asarray(np.exp(logs[:, upper - 1] * (1 - share) + logs[:, upper] * share), dtype=np.float64)
