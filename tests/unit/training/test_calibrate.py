"""The honest choice of a calibration: simple unless a later half says otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from models.calibration import CalibrationMethod, sigmoid
from training.calibrate import choose_calibration, fit_calibration, fit_logistic, log_losses
from training.evaluate import ece

N = 8000


def slice_of(true_of_raw, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    raw = rng.normal(0, 1.5, size=N)
    outcomes = rng.random(N) < true_of_raw(raw)
    return raw, outcomes, np.arange(N), rng.integers(0, 2000, N)


def test_a_calibrated_score_is_left_alone() -> None:
    chosen = choose_calibration(*slice_of(sigmoid, seed=11))
    assert chosen.calibration.method is CalibrationMethod.NONE
    assert set(chosen.log_loss) == {"none", "platt", "isotonic"}


def test_a_shifted_score_gets_platt() -> None:
    raw, outcomes, as_of_us, users = slice_of(lambda raw: sigmoid(0.6 * raw + 1.0))
    chosen = choose_calibration(raw, outcomes, as_of_us, users)
    assert chosen.calibration.method is CalibrationMethod.PLATT
    assert ece(chosen.calibration.apply(raw), outcomes) < 0.02
    assert ece(sigmoid(raw), outcomes) > 0.1


def test_a_step_gets_isotonic() -> None:
    raw, outcomes, as_of_us, users = slice_of(lambda raw: np.where(raw > 1, 0.9, np.where(raw > 0, 0.15, 0.05)))
    chosen = choose_calibration(raw, outcomes, as_of_us, users)
    assert chosen.calibration.method is CalibrationMethod.ISOTONIC
    assert ece(chosen.calibration.apply(raw), outcomes) < 0.02


def test_a_gain_that_a_handful_of_users_makes_is_not_believed() -> None:
    raw, outcomes, as_of_us, _ = slice_of(lambda raw: sigmoid(raw + 0.06), seed=1)
    by_row = choose_calibration(raw, outcomes, as_of_us, np.arange(N))
    by_cluster = choose_calibration(raw, outcomes, as_of_us, np.arange(N) % 2)
    assert by_row.log_loss == by_cluster.log_loss
    assert by_cluster.calibration.method in {CalibrationMethod.NONE, by_row.calibration.method}


def test_one_instant_and_one_outcome_leave_the_score_alone() -> None:
    raw = np.linspace(-1, 1, 50)
    assert (
        choose_calibration(raw, np.arange(50) % 2 == 0, np.zeros(50, np.int64), np.arange(50)).calibration.method is CalibrationMethod.NONE
    )
    assert choose_calibration(raw, np.ones(50, bool), np.arange(50), np.arange(50)).calibration.method is CalibrationMethod.NONE


def test_the_logistic_fit_equals_scikit_learn() -> None:
    raw, outcomes, _, _ = slice_of(lambda raw: sigmoid(0.4 * raw - 0.7))
    reference = LogisticRegression(C=np.inf, tol=1e-10).fit(raw[:, None], outcomes)
    assert fit_logistic(raw, outcomes) == pytest.approx((reference.coef_[0, 0], reference.intercept_[0]), abs=1e-4)


def test_separable_data_does_not_diverge() -> None:
    slope, intercept = fit_logistic(np.array([-1.0, -1.0, 1.0, 1.0]), np.array([False, False, True, True]))
    assert np.isfinite([slope, intercept]).all()
    assert slope > 0


def test_platt_never_turns_the_order_around() -> None:
    raw, outcomes, _, _ = slice_of(lambda raw: sigmoid(-raw))
    assert fit_calibration(CalibrationMethod.PLATT, raw, outcomes).method is CalibrationMethod.NONE


def test_log_losses_of_certain_mistakes_are_finite() -> None:
    assert np.isfinite(log_losses(np.array([0.0, 1.0]), np.array([True, False]))).all()
