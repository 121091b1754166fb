"""Fit calibration maps on a later slice than the model's, and choose one honestly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from models.calibration import NO_CALIBRATION, Calibration, CalibrationMethod, sigmoid

if TYPE_CHECKING:
    from training.cohorts import CorrectionChoice
    from training.levels import LevelChoice

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

_TINY = 1e-12
_MAX_STEPS = 50
_MIN_ROWS = 100  # fewest rows that a candidate is fitted on before it is compared
_MIN_UNITS = 5  # fewest users or cohorts whose gains have a standard error worth the name
_CANDIDATES = (CalibrationMethod.PLATT, CalibrationMethod.BETA, CalibrationMethod.ISOTONIC)  # from simple to flexible


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationChoice:
    """The chosen map, and the log loss on the later half of every candidate that could be fitted before it: at least of none."""

    calibration: Calibration
    log_loss: dict[str, float]
    correction: CorrectionChoice | None = None  # of the base rate between cohorts, where it was looked at
    levels: LevelChoice | None = None  # of cohorts by their own mature outcomes, where the product declares cohorts


def choose_calibration(
    raw: FloatArray, outcomes: BoolArray, as_of_us: IntArray, users: npt.ArrayLike, *, horizon_us: int
) -> CalibrationChoice:
    """Choose between none, Platt, beta and isotonic on the later half of the slice; refit the winner on all of it.

    Each candidate is fitted on rows of the earlier half (by as_of) whose outcomes were known when the later half begins, and measured on
    the later half: otherwise one user's outcome, seen from both halves, would be judged by itself. A more flexible one wins only if its
    mean log loss is lower by more than one standard error of the paired difference, users taken as the independent units: what cannot be
    told apart stays simple, and so does a slice that leaves fewer than 100 rows, or one outcome alone, to fit on, or fewer than five users
    to compare on.

    Parameters
    ----------
    raw, outcomes, as_of_us, users
        Raw scores in log-odds, outcomes, instants and user ids of the calibration slice, each of shape (n_rows,).
    horizon_us
        An outcome is known this long after its as_of.
    """
    later = _later_half(as_of_us)
    earlier = ~later & (as_of_us + horizon_us <= as_of_us[later].min())
    user = np.unique(np.asarray(users)[later], return_inverse=True)[1]
    best, best_losses = NO_CALIBRATION, log_losses(NO_CALIBRATION.apply(raw[later]), outcomes[later])
    losses = {CalibrationMethod.NONE.value: float(best_losses.mean())}
    for method in _CANDIDATES if earlier.sum() >= _MIN_ROWS and _has_both(outcomes[earlier]) else ():
        candidate = fit_calibration(method, raw[earlier], outcomes[earlier])
        candidate_losses = log_losses(candidate.apply(raw[later]), outcomes[later])
        losses[method.value] = float(candidate_losses.mean())
        if is_gain(best_losses - candidate_losses, user):
            best, best_losses = candidate, candidate_losses
    return CalibrationChoice(calibration=fit_calibration(best.method, raw, outcomes), log_loss=losses)


def choose_across(raw: FloatArray, outcomes: BoolArray, cohorts: npt.ArrayLike) -> CalibrationChoice:
    """Choose between none, Platt, beta and isotonic by leaving out one cohort at a time; refit the winner on all rows.

    For where base rates differ by cohort more than by time: a map must serve a cohort that it was not fitted on. The gain must
    exceed one standard error over cohorts.

    Parameters
    ----------
    raw, outcomes, cohorts
        Raw scores by models that have not seen the row's cohort, outcomes and cohorts, shape (n_rows,).
    """
    code = np.unique(np.asarray(cohorts), return_inverse=True)[1]
    best, best_losses = CalibrationMethod.NONE, log_losses(sigmoid(raw), outcomes)
    losses = {best.value: float(best_losses.mean())}
    for method in _CANDIDATES if _has_both(outcomes) else ():
        candidate = np.empty_like(raw)
        for left_out in np.unique(code):
            seen, unseen = code != left_out, code == left_out
            candidate[unseen] = log_losses(fit_calibration(method, raw[seen], outcomes[seen]).apply(raw[unseen]), outcomes[unseen])
        losses[method.value] = float(candidate.mean())
        if is_gain(best_losses - candidate, code):
            best, best_losses = method, candidate
    return CalibrationChoice(calibration=fit_calibration(best, raw, outcomes), log_loss=losses)


def is_gain(gains: FloatArray, units: IntArray) -> bool:
    """Whether gains of rows, shape (n_rows,), sum to more than one standard error, rows of one unit (0, 1, ...) moving together.

    Examples
    --------
    >>> is_gain(np.full(100, 0.01), np.arange(100)), is_gain(np.full(100, 0.01), np.arange(100) % 2)
    (True, False)
    """
    by_unit = np.bincount(units, gains)
    return bool(np.unique(units).size >= _MIN_UNITS and by_unit.sum() > np.sqrt(np.sum(by_unit**2)))


def fit_calibration(method: CalibrationMethod, raw: FloatArray, outcomes: BoolArray) -> Calibration:
    """Fit one map; raw scores and outcomes of shape (n_rows,)."""
    if method is CalibrationMethod.PLATT:
        return _fit_platt(raw, outcomes)
    if method is CalibrationMethod.BETA:
        return _fit_beta(raw, outcomes)
    if method is CalibrationMethod.ISOTONIC:
        return _fit_isotonic(raw, outcomes)
    return NO_CALIBRATION


def fit_logistic(raw: FloatArray, outcomes: BoolArray) -> tuple[float, float]:
    """Slope and intercept that maximise the likelihood of sigmoid(slope * raw + intercept), by Newton's method.

    On a reliability plot in log-odds, (1, 0) is perfect; slope < 1 is overconfident.

    Examples
    --------
    >>> slope, intercept = fit_logistic(np.array([-1.0, -1.0, -1.0, 1.0, 1.0, 1.0]), np.array([0, 0, 1, 1, 1, 0], dtype=bool))
    >>> round(slope, 4), round(intercept, 4) + 0.0
    (0.6931, 0.0)
    """
    design = np.column_stack([raw, np.ones_like(raw)])
    weights = np.array([1.0, 0.0])
    for _ in range(_MAX_STEPS):
        p = sigmoid(design @ weights)
        gradient = design.T @ (p - outcomes)
        hessian = (design * (p * (1 - p))[:, None]).T @ design + _TINY * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        weights = weights - np.clip(step, -2.0, 2.0)  # a damped step: near-separable data must not diverge
        if np.abs(step).max() < _TINY:
            break
    return float(weights[0]), float(weights[1])


def log_losses(probabilities: FloatArray, outcomes: BoolArray) -> FloatArray:
    """Minus the log-likelihood of each row, probabilities clipped to [1e-12, 1 - 1e-12]."""
    p = np.clip(probabilities, _TINY, 1 - _TINY)
    losses: FloatArray = -np.where(outcomes, np.log(p), np.log1p(-p))
    return losses


def _fit_platt(raw: FloatArray, outcomes: BoolArray) -> Calibration:
    slope, intercept = fit_logistic(raw, outcomes)
    if slope <= 0:  # upside down on this slice: only the level may be corrected, never the order
        return NO_CALIBRATION
    return Calibration(method=CalibrationMethod.PLATT, parameters={"slope": slope, "intercept": intercept})


def _fit_beta(raw: FloatArray, outcomes: BoolArray) -> Calibration:
    """Maximise the likelihood of sigmoid(a ln p - b ln(1 - p) + c) over a, b >= 0 (a convex problem); a and b of 0 would order nobody."""
    from scipy.optimize import minimize

    design = np.column_stack([-np.logaddexp(0.0, -raw), np.logaddexp(0.0, raw), np.ones_like(raw)])

    def loss(weights: FloatArray) -> tuple[float, FloatArray]:
        score = design @ weights
        return float(np.mean(np.logaddexp(0.0, score) - outcomes * score)), design.T @ (sigmoid(score) - outcomes) / len(raw)

    fitted = minimize(loss, np.array([1.0, 1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0, None), (0, None), (None, None)], tol=_TINY)
    a, b, c = (float(weight) for weight in fitted.x)
    if a + b <= 0:
        return NO_CALIBRATION
    return Calibration(method=CalibrationMethod.BETA, parameters={"a": a, "b": b, "c": c})


def _fit_isotonic(raw: FloatArray, outcomes: BoolArray) -> Calibration:
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(raw, outcomes.astype(np.float64))
    parameters = {"raw": tuple(fitted.X_thresholds_.tolist()), "probability": tuple(fitted.y_thresholds_.tolist())}
    return Calibration(method=CalibrationMethod.ISOTONIC, parameters=parameters)


def _later_half(as_of_us: IntArray) -> BoolArray:
    """Rows after the median instant; all rows of one instant on one side."""
    later: BoolArray = as_of_us > np.median(as_of_us)
    if not later.any():  # more than half of the rows are at the last instant
        later = as_of_us == as_of_us.max()
    return later


def _has_both(outcomes: BoolArray) -> bool:
    return bool(outcomes.any() and not outcomes.all())
