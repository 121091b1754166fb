"""Survival figures under right censoring: Kaplan-Meier, and the Brier score with inverse probabilities of censoring as weights.

References
----------
Kaplan and Meier (1958), https://doi.org/10.1080/01621459.1958.10501452; Graf, Schmoor, Sauerbrei and Schumacher (1999),
https://doi.org/10.1002/(SICI)1097-0258(19990915/30)18:17/18<2529::AID-SIM274>3.0.CO;2-5; Gerds and Schumacher (2006),
https://doi.org/10.1002/bimj.200610301
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """A survival function that falls in steps: 1 before the first time, ``survival[i]`` from ``times_s[i]`` on."""

    times_s: FloatArray  # ascending, distinct
    survival: FloatArray

    def at(self, times_s: FloatArray) -> FloatArray:
        """S(t): the chance to last longer than t."""
        return self._value(np.searchsorted(self.times_s, times_s, side="right"))

    def before(self, times_s: FloatArray) -> FloatArray:
        """S(t-): the chance to last at least until t."""
        return self._value(np.searchsorted(self.times_s, times_s, side="left"))

    def _value(self, n_steps: npt.NDArray[np.intp]) -> FloatArray:
        return np.concatenate([[1.0], self.survival])[n_steps]


def kaplan_meier(times_s: FloatArray, observed: BoolArray) -> Steps:
    """Estimate S(t) as the product of (1 - events / at risk) over the event times up to t.

    Parameters
    ----------
    times_s
        Time of the event or of the censoring, shape (n,).
    observed
        Whether it was the event. At equal times events come before censorings.

    Examples
    --------
    Of four, one returns after 1, one is lost from sight at 2, two return after 3:

    >>> steps = kaplan_meier(np.array([1.0, 2.0, 3.0, 3.0]), np.array([True, False, True, True]))
    >>> steps.at(np.array([0.5, 1.0, 2.9, 3.0])).tolist()
    [1.0, 0.75, 0.75, 0.0]
    """
    if len(times_s) == 0:
        return Steps(times_s=np.empty(0), survival=np.empty(0))
    event_times, events = np.unique(times_s[observed], return_counts=True)
    at_risk = len(times_s) - np.searchsorted(np.sort(times_s), event_times, side="left")
    return Steps(times_s=event_times, survival=np.asarray(np.cumprod(1.0 - events / at_risk), np.float64))


def censoring(times_s: FloatArray, observed: BoolArray) -> Steps:
    """Estimate G(t), the chance not to be lost from sight by t: Kaplan-Meier with the roles swapped.

    At equal times events come first, so somebody whose event is at t is not at risk of being lost at t.

    Examples
    --------
    >>> censoring(np.array([1.0, 2.0, 2.0]), np.array([True, True, False])).at(np.array([1.5, 2.0])).tolist()
    [1.0, 0.0]
    """
    lost_times, lost = np.unique(times_s[~observed], return_counts=True)
    left = np.sort(times_s)
    at_risk = len(times_s) - np.searchsorted(left, lost_times, side="left")
    events_then = np.searchsorted(np.sort(times_s[observed]), lost_times, side="right")
    events_before = np.searchsorted(np.sort(times_s[observed]), lost_times, side="left")
    return Steps(times_s=lost_times, survival=np.asarray(np.cumprod(1.0 - lost / (at_risk - (events_then - events_before))), np.float64))


def brier_scores(away: FloatArray, grid_s: FloatArray, times_s: FloatArray, observed: BoolArray, lost: Steps | None = None) -> FloatArray:
    """BS(t) at every time of a grid, shape (n_times,): the mean squared error of S(t), as if nobody had been lost from sight.

    BS(t) = mean of  S_i(t)^2 [T_i <= t, observed] / G(T_i-)  +  (1 - S_i(t))^2 [T_i > t] / G(t)

    Parameters
    ----------
    away
        Predicted S_i(t), shape (n_rows, n_times).
    grid_s
        Times, shape (n_times,); none past the time by which everybody was lost.
    times_s, observed
        As for `kaplan_meier`.
    lost
        G; default: estimated from these rows.
    """
    lost = censoring(times_s, observed) if lost is None else lost
    returned = (times_s[:, None] <= grid_s) & observed[:, None]
    still = times_s[:, None] > grid_s
    by_then = np.maximum(lost.before(times_s), 1e-12)[:, None]
    at_t = np.maximum(lost.at(grid_s), 1e-12)
    scores: FloatArray = (away**2 * returned / by_then + (1.0 - away) ** 2 * still / at_t).mean(axis=0)
    return scores


def integrated_brier_score(
    away: FloatArray, grid_s: FloatArray, times_s: FloatArray, observed: BoolArray, lost: Steps | None = None
) -> float:
    """Mean of BS(t) over the grid's span by the trapezoidal rule; 0 is perfect, 0.25 what a constant 1/2 gets.

    Examples
    --------
    >>> times, seen = np.array([1.0, 3.0]), np.array([True, True])
    >>> grid = np.array([0.0, 2.0])
    >>> integrated_brier_score(np.array([[1.0, 0.0], [1.0, 1.0]]), grid, times, seen)
    0.0
    >>> integrated_brier_score(np.full((2, 2), 0.5), grid, times, seen)
    0.25
    """
    scores = brier_scores(away, grid_s, times_s, observed, lost)
    return float(np.trapezoid(scores, grid_s) / (grid_s[-1] - grid_s[0]))
