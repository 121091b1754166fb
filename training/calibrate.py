"""Fit calibration maps on a later slice than the model's, and choose one by rows that it was not fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from features.core.event import text_hash
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
_MIN_SHARE = 0.1  # of the slice: a map fitted on fewer rows says little about the one that is fitted on all of them
_FOLDS = 5
_MIN_UNITS = 5  # fewest users or cohorts whose gains have a standard error worth the name
_CANDIDATES = (CalibrationMethod.PLATT, CalibrationMethod.BETA, CalibrationMethod.ISOTONIC)  # from simple to flexible


class ComparedBy(StrEnum):
    """Which rows the maps were compared on; none of a map's own fit was ever among them."""

    LATER_HALF = "later half"  # of the slice, fitted on the earlier half as far as its outcomes were known by then
    USER_FOLDS = "user folds"  # rows of a fifth of the users in turn, fitted on those of the others
    COHORTS = "cohorts"  # rows of one cohort in turn, fitted on those of the others
    NOTHING = "nothing"  # too little to fit on, or too few users: no map was looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationChoice:
    """The chosen map, what chose it, and the log loss of every candidate on the rows that it was not fitted on: at least of none."""

    calibration: Calibration
    compared_by: ComparedBy
    log_loss: dict[str, float]
    correction: CorrectionChoice | None = None  # of the base rate between cohorts, where it was looked at
    levels: LevelChoice | None = None  # of cohorts by their own mature outcomes, where the product declares cohorts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparison:
    """Pairs of rows to fit on and rows to measure on, masks of shape (n_rows,); and the unit of each row, shape (n_rows,)."""

    by: ComparedBy
    pairs: tuple[tuple[BoolArray, BoolArray], ...]
    units: IntArray


def choose_calibration(
    raw: FloatArray, outcomes: BoolArray, as_of_us: IntArray, users: npt.ArrayLike, *, horizon_us: int
) -> CalibrationChoice:
    """Choose between none, Platt, beta and isotonic on rows that no candidate was fitted on; refit the winner on the whole slice.

    First choice is time: each candidate is fitted on rows of the earlier half (by as_of) whose outcomes were known when the later half
    begins, and measured on the later half. Without that condition one user's outcome, seen from both halves, would be judged by itself; so
    a slice shorter than about two horizons leaves too few rows for it: fewer than 100, fewer than a tenth of the slice, or one outcome
    alone. Then *users* are divided: five folds by a hash of the user's id, each candidate fitted on the other users' rows and measured on
    those of the users left out. Such folds cannot see a fault that comes and goes within the slice, as halves can.

    A more flexible map wins only if its mean log loss is lower by more than one standard error of the paired difference, users taken as
    the independent units: what cannot be told apart stays simple. So does a slice of fewer than five users, or whose folds leave fewer
    than 100 rows, or one outcome alone, to fit on.

    Parameters
    ----------
    raw, outcomes, as_of_us, users
        Raw scores in log-odds, outcomes, instants and user ids of the calibration slice, each of shape (n_rows,).
    horizon_us
        An outcome is known this long after its as_of.

    Examples
    --------
    Two hundred users, asked twice within a day about a week: what is twice too sure of itself is found out by users.

    >>> rng, users = np.random.default_rng(0), np.arange(400) % 200
    >>> raw = rng.normal(0, 4, 400)
    >>> outcomes = rng.random(400) < sigmoid(raw / 2)
    >>> chosen = choose_calibration(raw, outcomes, np.arange(400) // 200, users, horizon_us=7)
    >>> chosen.calibration.method.value, chosen.compared_by.value
    ('platt', 'user folds')
    """
    user = np.unique(np.asarray(users), return_inverse=True)[1]
    later = _later_half(as_of_us)
    earlier = ~later & (as_of_us + horizon_us <= as_of_us[later].min())
    if earlier.sum() >= _MIN_SHARE * len(raw) and _can_fit(outcomes, earlier):
        return _choose(raw, outcomes, _Comparison(by=ComparedBy.LATER_HALF, pairs=((earlier, later),), units=user))
    pairs = _one_out(user_folds(users))
    if user.max() + 1 < _MIN_UNITS or not all(_can_fit(outcomes, fitted) for fitted, _ in pairs):
        return _choose(raw, outcomes, _Comparison(by=ComparedBy.NOTHING, pairs=(), units=user))
    return _choose(raw, outcomes, _Comparison(by=ComparedBy.USER_FOLDS, pairs=pairs, units=user))


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
    pairs = _one_out(code)
    if not all(_has_both(outcomes[fitted]) for fitted, _ in pairs):
        return _choose(raw, outcomes, _Comparison(by=ComparedBy.NOTHING, pairs=(), units=code))
    return _choose(raw, outcomes, _Comparison(by=ComparedBy.COHORTS, pairs=pairs, units=code))


def user_folds(users: npt.ArrayLike) -> IntArray:
    """Fold of each row, 0 to 4, shape (n_rows,): users in the order of a hash of their ids, dealt out in turn.

    All rows of a user are in one fold, folds differ by at most one user, and neither the order of the rows nor a seed has a say.

    Examples
    --------
    >>> user_folds(["ann", "bob", "ann", "cid", "dan", "eve", "bob"]).tolist()
    [4, 2, 4, 3, 1, 0, 2]
    """
    unique, user = np.unique(np.asarray(users), return_inverse=True)
    fold = np.empty(len(unique), dtype=np.int64)
    fold[np.argsort([text_hash(str(each)) for each in unique.tolist()], kind="stable")] = np.arange(len(unique)) % _FOLDS
    return fold[user]


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


def _choose(raw: FloatArray, outcomes: BoolArray, comparison: _Comparison) -> CalibrationChoice:
    """From simple to flexible: a candidate takes the place of the best so far if it gains; the last one standing is fitted on all rows."""
    judged = np.any([measured for _, measured in comparison.pairs] or [np.ones(len(raw), dtype=bool)], axis=0)
    best, best_losses = CalibrationMethod.NONE, log_losses(sigmoid(raw), outcomes)[judged]
    losses = {best.value: float(best_losses.mean())}
    for method in _CANDIDATES if comparison.pairs else ():
        candidate = _unseen_losses(method, raw, outcomes, comparison)[judged]
        losses[method.value] = float(candidate.mean())
        if is_gain(best_losses - candidate, comparison.units[judged]):
            best, best_losses = method, candidate
    return CalibrationChoice(calibration=fit_calibration(best, raw, outcomes), compared_by=comparison.by, log_loss=losses)


def _unseen_losses(method: CalibrationMethod, raw: FloatArray, outcomes: BoolArray, comparison: _Comparison) -> FloatArray:
    """Log loss of each measured row by a map that was not fitted on it, shape (n_rows,); nan where none is."""
    losses = np.full(len(raw), np.nan)
    for fitted, measured in comparison.pairs:
        candidate = fit_calibration(method, raw[fitted], outcomes[fitted])
        losses[measured] = log_losses(candidate.apply(raw[measured]), outcomes[measured])
    return losses


def _one_out(code: IntArray) -> tuple[tuple[BoolArray, BoolArray], ...]:
    """Pairs of rows to fit on and to measure on: each code left out in turn."""
    return tuple((code != left_out, code == left_out) for left_out in np.unique(code))


def _can_fit(outcomes: BoolArray, rows: BoolArray) -> bool:
    return bool(rows.sum() >= _MIN_ROWS) and _has_both(outcomes[rows])


def _later_half(as_of_us: IntArray) -> BoolArray:
    """Rows after the median instant; all rows of one instant on one side."""
    later: BoolArray = as_of_us > np.median(as_of_us)
    if not later.any():  # more than half of the rows are at the last instant
        later = as_of_us == as_of_us.max()
    return later


def _has_both(outcomes: BoolArray) -> bool:
    return bool(outcomes.any() and not outcomes.all())
