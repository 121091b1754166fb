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


def person_period_rows(asked: Asked, row: IntArray, period: IntArray, edges_s: FloatArray) -> FloatArray:
    """Inputs of the hazard of these periods, shape (n, n_inputs + 4), for positions ``row`` of ``asked``, shapes (n,).

    Hour and weekday are the local ones at the middle of the period; habit is the mean chance of the hours that the period covers, in units
    of an even week (1 is average).
    """
    hour = _middle_hour(asked, row, period, edges_s)
    extra = np.stack(
        [period, hour % HOURS_OF_DAY, hour // HOURS_OF_DAY, _habit(asked, row, period, edges_s)],
        axis=1,
    )
    return np.concatenate([asked.encoded[row], extra.astype(np.float64)], axis=1)


def _middle_hour(asked: Asked, row: IntArray, period: IntArray, edges_s: FloatArray) -> IntArray:
    middle_s = (edges_s[period] + edges_s[period + 1]) / 2
    return hour_of_week(asked.as_of_us[row] + (middle_s * 1e6).astype(np.int64), asked.utc_offset_s[row])


def _habit(asked: Asked, row: IntArray, period: IntArray, edges_s: FloatArray) -> FloatArray:
    """Mean of the habit over each period's hours: a difference of running sums over two weeks and more."""
    start = hour_of_week(asked.as_of_us, asked.utc_offset_s)
    width = np.round((edges_s[period + 1] - edges_s[period]) / 3600).astype(np.int64)
    first = (start[row] + np.round(edges_s[period] / 3600).astype(np.int64)) % HOURS_OF_WEEK
    running = np.concatenate(
        [np.zeros((len(asked.habit), 1)), np.cumsum(np.concatenate([asked.habit, asked.habit], axis=1), axis=1)], axis=1
    )
    mean: FloatArray = (running[row, first + width] - running[row, first]) / width * HOURS_OF_WEEK
    return mean


@dataclass(frozen=True, kw_only=True)
class HazardModel:
    """Return hazard by period, as LightGBM's text."""

    model_text: str
    n_inputs: int  # of the vector and the profile, without `PERIOD_INPUTS`
    edges_s: tuple[float, ...]  # of the periods, ascending from 0
    _model: RiskModel = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Load the model now: a broken one is refused before the first question."""
        if self.edges_s[0] != 0 or np.any(np.diff(self.edges_s) <= 0):
            raise ModelError(f"edges_s is {self.edges_s[:3]}..., expected to ascend from 0; fit the timing model again")
        object.__setattr__(self, "_model", RiskModel(self.model_text, self.n_inputs + len(PERIOD_INPUTS)))

    def hazard(self, asked: Asked) -> FloatArray:
        """P(return in a period | away at its start), shape (n_rows, n_periods)."""
        edges = np.array(self.edges_s)
        n_rows, n_periods = len(asked.as_of_us), len(edges) - 1
        row, period = np.repeat(np.arange(n_rows), n_periods), np.tile(np.arange(n_periods), n_rows)
        scores = self._model.raw_scores(person_period_rows(asked, row, period, edges))
        return (1.0 / (1.0 + np.exp(-scores))).reshape(n_rows, n_periods)

    def survival(self, asked: Asked) -> FloatArray:
        """S at every edge, shape (n_rows, n_edges); the first is 1."""
        away = np.cumprod(1.0 - self.hazard(asked), axis=1)
        return np.concatenate([np.ones((len(away), 1)), away], axis=1)

    def still_away(self, asked: Asked, delays_s: Sequence[float]) -> FloatArray:
        """S at any delays, shape (n_rows, n_delays); past the last edge it stays what it is there."""
        return interpolate(self.survival(asked), np.array(self.edges_s), np.asarray(delays_s, dtype=np.float64))

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
    within = np.clip(times_s, 0.0, edges_s[-1])
    upper = np.clip(np.searchsorted(edges_s, within, side="left"), 1, len(edges_s) - 1)
    share = (within - edges_s[upper - 1]) / (edges_s[upper] - edges_s[upper - 1])
    return np.asarray(np.exp(logs[:, upper - 1] * (1 - share) + logs[:, upper] * share), dtype=np.float64)
