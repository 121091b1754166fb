"""Base rates that differ from cohort to cohort: measured with intervals, and corrected where that helps.

A cohort is whatever comes together: the people of one course, or those who began in the same week. A model learns the relation between
features and outcome from the cohorts of the past; the level of the next one may be another. What is left of it after calibration is
one number for each cohort, its *shift* in log-odds. The shifts of past cohorts say what to expect of the next, and how far it may be off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from models.calibration import shift_odds, sigmoid
from training.calibrate import BoolArray, FloatArray, IntArray, is_gain, log_losses

_EPS = 1e-9
_MAX_STEPS = 200
_Z = 1.959963984540054  # 95 %


class PriorCorrection(StrEnum):
    """How the level for a cohort of unknown outcomes is set."""

    NONE = "none"
    MEAN = "mean"  # the random-effects mean of the shifts of past cohorts: every cohort has a say, not every row
    LATEST = "latest"  # the shift of the latest known cohort, shrunk to that mean as far as its own noise demands
    EM = "em"  # what the cohort's own scores, without outcomes, say


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortDrift:
    """One cohort's base rate beside what was predicted for it."""

    cohort: str
    rows: int
    predicted: float  # mean probability
    observed: float  # share that dropped out
    low: float  # 95 % interval of observed (Wilson)
    high: float
    shift: float  # log-odds that would bring the mean of the predictions to what was observed; shrunk by half an outcome
    shift_variance: float  # as if rows were independent


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftPrior:
    """What past cohorts say about the shift of the next: its mean and its variance."""

    mean: float
    mean_variance: float
    between_variance: float  # of true shifts between cohorts


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionChoice:
    """The chosen correction, the shift that it gives for the next cohort, and the log loss of every one that was compared."""

    correction: PriorCorrection
    shift: float
    log_loss: Mapping[str, float]
    drift: Sequence[CohortDrift]
    prior: ShiftPrior


def measure_drift(probabilities: FloatArray, outcomes: BoolArray, cohorts: npt.ArrayLike) -> list[CohortDrift]:
    """Compare prediction and outcome cohort by cohort, in the order of their names.

    Parameters
    ----------
    probabilities, outcomes, cohorts
        Predictions by a model that has not seen the cohort, outcomes and cohort of each row, shape (n_rows,).

    Examples
    --------
    >>> one = measure_drift(np.full(100, 0.5), np.arange(100) < 75, ["may"] * 100)[0]
    >>> round(one.predicted, 2), round(one.observed, 2), round(one.low, 3), round(one.high, 3), round(one.shift, 2)
    (0.5, 0.75, 0.657, 0.825, 1.09)

    References
    ----------
    Wilson (1927), doi:10.1080/01621459.1927.10502953.
    """
    names = np.asarray(cohorts)
    return [_drift_of(str(name), probabilities[names == name], outcomes[names == name]) for name in np.unique(names)]


def shift_of(probabilities: FloatArray, outcomes: BoolArray) -> float:
    """Log-odds to add to every prediction so that their mean is the observed rate.

    Half an outcome of each kind is added, so that a cohort of one outcome has a finite shift (as in Jeffreys' prior).

    Examples
    --------
    >>> round(shift_of(np.full(1000, 0.2), np.arange(1000) < 500), 2)
    1.39
    """
    rate = (outcomes.sum() + 0.5) / (len(outcomes) + 1)
    return _level(probabilities, float(rate))


def pool_shifts(drift: Sequence[CohortDrift]) -> ShiftPrior:
    """Random-effects mean of the cohorts' shifts, and the variance between cohorts that their own noise does not explain.

    References
    ----------
    DerSimonian, Laird (1986), Meta-analysis in clinical trials, doi:10.1016/0197-2456(86)90046-2: theta_i = mean + u_i, weights
    w_i = 1 / (variance_i + between); ``between`` by the method of moments.
    """
    shifts, variances = np.array([each.shift for each in drift]), np.array([each.shift_variance for each in drift])
    weights = 1 / variances
    fixed = float(weights @ shifts / weights.sum())
    q = float(weights @ (shifts - fixed) ** 2)
    scale = float(weights.sum() - (weights**2).sum() / weights.sum())
    between = max(0.0, (q - (len(drift) - 1)) / scale) if scale > _EPS else 0.0
    weights = 1 / (variances + between)
    return ShiftPrior(mean=float(weights @ shifts / weights.sum()), mean_variance=float(1 / weights.sum()), between_variance=between)


def em_shift(probabilities: FloatArray, *, base_rate: float) -> float:
    """Shift of the base rate that the scores of a cohort alone make likely, without outcomes.

    Iterates: the new base rate is the mean of the posteriors under the present one.

    Parameters
    ----------
    probabilities
        Calibrated predictions, shape (n_rows,). Dropouts must look as they did in training, and so must stayers: only how many there are
        of each may have changed.
    base_rate
        That of the rows that the predictions were calibrated on, in (0, 1).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> dropped = rng.random(100_000) < 0.7
    >>> evidence = rng.normal(np.where(dropped, 1.0, -1.0))  # log-likelihood ratio 2 x
    >>> round(em_shift(sigmoid(2 * evidence), base_rate=0.5), 2)  # ln(0.7 / 0.3) = 0.847
    0.86

    References
    ----------
    Saerens, Latinne, Decaestecker (2002), doi:10.1162/089976602753284446, eq. 2.9. Prior and likelihood ratio enter through their odds.
    """
    before, shift = _logit(base_rate), 0.0
    for _ in range(_MAX_STEPS):
        rate = float(np.clip(shift_odds(probabilities, shift).mean(), _EPS, 1 - _EPS))
        step = _logit(rate) - before - shift
        shift += step
        if abs(step) < _EPS:
            break
    return shift


def choose_correction(probabilities: FloatArray, outcomes: BoolArray, cohorts: npt.ArrayLike) -> CorrectionChoice:
    """Choose how to correct the base rate of the next cohort, by leaving out one past cohort at a time.

    Each cohort is predicted with what the others say (``latest``: only those before it by name, which must sort in time); a correction
    is taken only if its log loss is lower than that of the best before it by more than one standard error over cohorts. Five cohorts
    are needed. ``em`` needs the next cohort's scores, so its shift is 0 here: whoever has them calls `em_shift`.

    Parameters
    ----------
    probabilities, outcomes, cohorts
        As for `measure_drift`.
    """
    names = np.asarray(cohorts)
    code = np.unique(names, return_inverse=True)[1]
    drift = measure_drift(probabilities, outcomes, names)
    best, best_losses = PriorCorrection.NONE, log_losses(probabilities, outcomes)
    losses = {best.value: float(best_losses.mean())}
    for correction, shifts in _shifts(drift, probabilities, code).items() if len(drift) > 1 else ():
        candidate = log_losses(sigmoid(_logits(probabilities) + shifts[code]), outcomes)
        losses[correction.value] = float(candidate.mean())
        if is_gain(best_losses - candidate, code):
            best, best_losses = correction, candidate
    shift = {PriorCorrection.MEAN: pool_shifts(drift).mean, PriorCorrection.LATEST: _latest(drift)}.get(best, 0.0)
    return CorrectionChoice(correction=best, shift=shift, log_loss=losses, drift=drift, prior=pool_shifts(drift))


def _shifts(drift: Sequence[CohortDrift], probabilities: FloatArray, code: IntArray) -> dict[PriorCorrection, FloatArray]:
    """Shift that each correction would have given each cohort without its outcomes, shape (n_cohorts,)."""
    others = [[*drift[:i], *drift[i + 1 :]] for i in range(len(drift))]
    return {
        PriorCorrection.MEAN: np.array([pool_shifts(rest).mean for rest in others]),
        PriorCorrection.LATEST: np.array([_latest(drift[:i]) for i in range(len(drift))]),
        PriorCorrection.EM: np.array([em_shift(probabilities[code == i], base_rate=_rate(rest)) for i, rest in enumerate(others)]),
    }


def _rate(drift: Sequence[CohortDrift]) -> float:
    rate = sum(each.observed * each.rows for each in drift) / sum(each.rows for each in drift)
    return float(np.clip(rate, _EPS, 1 - _EPS))


def _latest(past: Sequence[CohortDrift]) -> float:
    """Best linear prediction of the latest cohort's true shift: its own estimate and the mean of all so far, weighed by their noise."""
    if not past:
        return 0.0
    prior, last = pool_shifts(past), past[-1]
    weight = prior.between_variance / (prior.between_variance + last.shift_variance)
    return prior.mean + weight * (last.shift - prior.mean)


def _drift_of(cohort: str, probabilities: FloatArray, outcomes: BoolArray) -> CohortDrift:
    n, observed = len(outcomes), float(outcomes.mean())
    shift = shift_of(probabilities, outcomes)
    shifted = shift_odds(probabilities, shift)
    low, high = _wilson(observed, n)
    return CohortDrift(
        cohort=cohort,
        rows=n,
        predicted=float(probabilities.mean()),
        observed=observed,
        low=low,
        high=high,
        shift=shift,
        shift_variance=1 / max(float((shifted * (1 - shifted)).sum()), 0.25),
    )


def _wilson(rate: float, n: int) -> tuple[float, float]:
    centre, spread = rate + _Z**2 / (2 * n), _Z * np.sqrt(rate * (1 - rate) / n + _Z**2 / (4 * n**2))
    return float((centre - spread) / (1 + _Z**2 / n)), float((centre + spread) / (1 + _Z**2 / n))


def _level(probabilities: FloatArray, rate: float) -> float:
    """The shift at which the mean prediction is ``rate``: the mean rises with the shift, so there is one."""
    from scipy.optimize import brentq

    logits = _logits(probabilities)
    reach = float(np.abs(logits).max()) + abs(_logit(rate)) + 1.0
    return float(brentq(lambda shift: float(sigmoid(logits + shift).mean()) - rate, -reach, reach))


def _logits(probabilities: FloatArray) -> FloatArray:
    p = np.clip(probabilities, _EPS, 1 - _EPS)
    logits: FloatArray = np.log(p) - np.log1p(-p)
    return logits


def _logit(p: float) -> float:
    return float(np.log(p) - np.log1p(-p))


def by_first_week(users: npt.ArrayLike, as_of_us: IntArray) -> npt.NDArray[np.str_]:
    """Cohorts of users whose first row is of the same week, named by its Monday; instants in microseconds, shape (n_rows,).

    Examples
    --------
    >>> day_us = 86_400_000_000  # 1970-01-01 was a Thursday
    >>> by_first_week(["ann", "bob", "ann"], np.array([0, 4 * day_us, 5 * day_us])).tolist()
    ['1969-12-29', '1970-01-05', '1969-12-29']
    """
    user = np.unique(np.asarray(users), return_inverse=True)[1]
    first_us = np.full(user.max(initial=-1) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first_us, user, as_of_us)
    days = first_us // 86_400_000_000
    monday = days - (days + 3) % 7
    names: npt.NDArray[np.str_] = monday.astype("datetime64[D]").astype(str)[user]
    return names
