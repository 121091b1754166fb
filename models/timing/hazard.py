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

from features.core.weekly import away_after, fill_periods
from models.errors import ModelError
from models.risk import RiskModel

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
    rows = np.empty((len(row), asked.encoded.shape[1] + len(PERIOD_INPUTS)))
    users = asked.encoded, asked.as_of_us, asked.utc_offset_s, asked.habit
    fill_periods(rows, users, row, period, edges_s)
    return rows


@dataclass(frozen=True, kw_only=True)
class HazardModel:
    """Return hazard by period, as LightGBM's text."""

    model_text: str
    n_inputs: int  # of the vector and the profile, without `PERIOD_INPUTS`
    edges_s: tuple[float, ...]  # of the periods, ascending from 0
    _model: RiskModel = field(init=False, repr=False, compare=False)
    _edges_s: FloatArray = field(init=False, repr=False, compare=False)
    _period: IntArray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Load the model now: a broken one is refused before the first question."""
        if self.edges_s[0] != 0 or np.any(np.diff(self.edges_s) <= 0):
            raise ModelError(f"edges_s is {self.edges_s[:3]}..., expected to ascend from 0; fit the timing model again")
        object.__setattr__(self, "_model", RiskModel(self.model_text, self.n_inputs + len(PERIOD_INPUTS)))
        object.__setattr__(self, "_edges_s", np.array(self.edges_s, dtype=np.float64))
        object.__setattr__(self, "_period", np.arange(len(self.edges_s) - 1))

    def hazard(self, asked: Asked) -> FloatArray:
        """P(return in a period | away at its start), shape (n_rows, n_periods)."""
        return np.asarray(1.0 / (1.0 + np.exp(-self._scores(asked, len(self._period)))), dtype=np.float64)

    def _scores(self, asked: Asked, n_periods: int) -> FloatArray:
        """Log-odds of the hazard in the first periods, by one call for all of them."""
        n_rows, period = len(asked.as_of_us), self._period[:n_periods]
        row = np.repeat(np.arange(n_rows), n_periods)
        rows = person_period_rows(asked, row, period if n_rows == 1 else np.tile(period, n_rows), self._edges_s)
        return self._model.raw_scores(rows).reshape(n_rows, n_periods)

    def survival(self, asked: Asked) -> FloatArray:
        """S at every edge, shape (n_rows, n_edges); the first is 1."""
        away = np.cumprod(1.0 - self.hazard(asked), axis=1)
        return np.concatenate([np.ones((len(away), 1)), away], axis=1)

    def still_away(self, asked: Asked, delays_s: Sequence[float] | FloatArray) -> FloatArray:
        """S at any delays, shape (n_rows, n_delays); past the last edge it stays what it is there.

        No period after the last delay is asked about: up to two days that are 16 of the 39 of a horizon of two weeks.
        """
        times_s, edges_s = np.asarray(delays_s, dtype=np.float64), self._edges_s
        n_periods = min(max(int(edges_s.searchsorted(times_s.max(initial=0.0))), 1), len(edges_s) - 1)
        return away_after(self._scores(asked, n_periods), edges_s[: n_periods + 1], times_s)

    def to_json(self) -> dict[str, Any]:
        """All but the model text, which is a file of its own."""
        return {"n_inputs": self.n_inputs, "edges_s": list(self.edges_s)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], model_text: str) -> HazardModel:
        """Invert `to_json`."""
        return cls(model_text=model_text, n_inputs=content["n_inputs"], edges_s=tuple(content["edges_s"]))
