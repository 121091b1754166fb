"""By how much a fitted response misses outcomes that it has not seen, beyond chance: what its intervals must hold beside the fit's error.

Left-out rows are sorted into tenths by what is predicted for them. In each tenth the mean residual says by how much the prediction misses,
with a standard error of its own; the mean of its square less that error's is the mean squared miss, by the method of moments. One standard
error of that is added, since chance hides a miss as easily as it feigns one. Everything comes from the trial's outcomes.

Two things push it in opposite directions. The residual of a tenth holds some of the fit's error, which the interval counts again. And
within a tenth misses of both signs cancel, so that what no prediction sorts by is not found. That a person differs from those who look
alike is not found either, and cannot be.

References
----------
Moments: DerSimonian and Laird (1986), https://doi.org/10.1016/0197-2456(86)90046-2. Tenths by prediction among left-out rows: Chernozhukov
et al. (2025), https://doi.org/10.3982/ECTA19303. Residuals weighted by inverse propensity: Robins, Rotnitzky and Zhao (1994),
https://doi.org/10.1080/01621459.1994.10476818
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_TENTHS = np.arange(1, 10) / 10
_LEAST = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Rows with an action, and what a member predicts that has not seen them; one element per row."""

    predicted: FloatArray  # P(dropout) after each drawn delay, shape (n_rows, n_delays); the first delay is now
    drawn: IntArray  # index of the delay
    weight: FloatArray  # 1 / P(this delay | the action)
    prognosis: FloatArray
    dropped_out: npt.NDArray[np.bool_]
    user: npt.NDArray[Any]  # rows of a user are not independent
    was_open: npt.NDArray[np.bool_] | None = None  # which delays could have been drawn, shape (n_rows, n_delays); None: all

    @property
    def open(self) -> npt.NDArray[np.bool_]:
        """Which delays could have been drawn, shape (n_rows, n_delays)."""
        return np.ones(self.predicted.shape, np.bool_) if self.was_open is None else self.was_open

    @property
    def residual(self) -> FloatArray:
        """Outcome less what was predicted after the drawn delay, shape (n_rows,)."""
        return np.asarray(self.dropped_out - self.predicted[np.arange(len(self.drawn)), self.drawn], dtype=np.float64)


class Squared(NamedTuple):
    """A mean squared miss: what was found, below 0 by chance where predictions are right, and its standard error."""

    found: float
    se: float

    @property
    def most(self) -> float:
        """One standard error above what was found, or above 0: a miss that chance has hidden is not taken for none."""
        return max(self.found, 0.0) + self.se


def squared_miss(predicted: FloatArray, residual: FloatArray, user: npt.NDArray[Any]) -> Squared:
    """Mean square of the true mean residual of each tenth by prediction, without bias.

    Parameters
    ----------
    predicted
        What tenths are formed by, shape (n_rows,).
    residual
        Whose mean is 0 in each tenth where predictions are right, shape (n_rows,).

    Examples
    --------
    >>> found = squared_miss(np.zeros(4), np.array([0.5, 0.7, 0.5, 0.7]), np.arange(4)).found
    >>> round(found, 4)  # 0.6 squared, less a standard error of 0.0577 squared
    0.3567
    """
    if len(predicted) == 0:
        return Squared(0.0, 0.0)
    tenth = np.searchsorted(np.quantile(predicted, _TENTHS), predicted)
    parts = np.array([(*_squared(residual[tenth == one], user[tenth == one]), (tenth == one).mean()) for one in np.unique(tenth)])
    found, se, share = parts.T
    return Squared(float((share * found).sum()), float(np.sqrt(((share * se) ** 2).sum())))


def _squared(residual: FloatArray, user: npt.NDArray[Any]) -> Squared:
    """Square of the mean less that of its standard error; nothing is known from a single user.

    A normal mean m with variance v has a square with variance 2 v^2 + 4 m^2 v.
    """
    _, code = np.unique(user, return_inverse=True)
    n_users = int(code.max()) + 1
    if n_users == 1:
        return Squared(0.0, 0.0)
    mean = float(residual.mean())
    sums = np.bincount(code, weights=residual - mean)
    variance = float((sums**2).sum()) / len(residual) ** 2 * n_users / (n_users - 1)
    found = mean**2 - variance
    return Squared(found, float(np.sqrt(2 * variance**2 + 4 * max(found, 0.0) * variance)))


def _together(parts: Sequence[Squared]) -> Squared:
    """Mean of several, whose errors are added up: they share rows, so that this is at most what it can be."""
    return Squared(*np.mean(np.array(parts), axis=0).tolist())


def gain_misses(judged: LeftOut) -> tuple[float, ...]:
    """Root mean square by which the predicted gain of each delay over now misses, one per delay, the first 0.

    Each delay's miss is taken as the same share of the root mean square of its predicted gains: one number from all delays, as that of a
    single one is mostly noise.
    """
    gain = judged.predicted[:, :1] - judged.predicted
    weighted = judged.weight * judged.residual
    n_delays = gain.shape[1]
    found, compared = [], []
    for delay in range(1, n_delays):
        both = judged.open[:, 0] & judged.open[:, delay]
        if not both.any():  # never open to the same people: nothing says by how much it misses
            continue
        compared.append(delay - 1)
        missed = weighted * ((judged.drawn == 0).astype(np.float64) - (judged.drawn == delay))
        found.append(squared_miss(gain[both, delay], missed[both], judged.user[both]))
    size = (gain[:, 1:] ** 2).mean(axis=0)
    size = size if size.sum() > _LEAST else np.ones(n_delays - 1)
    share = _together(found).most / max(float(size[compared].mean()), _LEAST) if found else 0.0
    return 0.0, *np.sqrt(share * size).tolist()


def expected_miss(judged: LeftOut, without: FloatArray, *, nothing: tuple[FloatArray, npt.NDArray[np.bool_], npt.NDArray[Any]]) -> float:
    """Root mean square by which the predicted reduction by acting misses: what is predicted of acting and of not acting, both.

    The two are asked of different rows, so their misses are added as if independent; no chance of acting need be known.

    Parameters
    ----------
    without
        Predicted P(dropout) of ``judged`` rows had nothing been done, shape (n_rows,).
    nothing
        Of rows without action: the same, whether they dropped out, and whose they are.
    """
    predicted, dropped_out, user = nothing
    n_delays, residual = judged.predicted.shape[1], judged.residual
    levels = []
    for mine in (judged.drawn == delay for delay in range(n_delays)):
        own = judged.predicted[mine, judged.drawn[mine]]
        levels.append(squared_miss(without[mine] - own, residual[mine], judged.user[mine]))
    return float(np.sqrt(_together(levels).most + squared_miss(predicted, dropped_out - predicted, user).most))
