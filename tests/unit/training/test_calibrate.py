"""The honest choice of a calibration: simple unless rows that it was not fitted on say otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from models.calibration import NO_CALIBRATION, Calibration, CalibrationMethod, sigmoid
from training.calibrate import (
    CalibrationChoice,
    ComparedBy,
    choose_across,
    choose_calibration,
    fit_calibration,
    fit_logistic,
    log_losses,
    user_folds,
)
from training.evaluate import ece

N = 8000


def slice_of(true_of_raw, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    raw = rng.normal(0, 1.5, size=N)
    outcomes = rng.random(N) < true_of_raw(raw)
    return raw, outcomes, np.arange(N), rng.integers(0, 2000, N)


def test_a_calibrated_score_is_left_alone() -> None:
    chosen = choose_calibration(*slice_of(sigmoid, seed=11), horizon_us=0)
    assert chosen.calibration.method is CalibrationMethod.NONE
    assert set(chosen.log_loss) == {"none", "platt", "beta", "isotonic"}


def test_a_shifted_score_gets_platt() -> None:
    raw, outcomes, as_of_us, users = slice_of(lambda raw: sigmoid(0.6 * raw + 1.0))
    chosen = choose_calibration(raw, outcomes, as_of_us, users, horizon_us=0)
    assert chosen.calibration.method is CalibrationMethod.PLATT
    assert ece(chosen.calibration.apply(raw), outcomes) < 0.02
    assert ece(sigmoid(raw), outcomes) > 0.1


def test_a_step_gets_isotonic() -> None:
    raw, outcomes, as_of_us, users = slice_of(lambda raw: np.where(raw > 1, 0.9, np.where(raw > 0, 0.15, 0.05)))
    chosen = choose_calibration(raw, outcomes, as_of_us, users, horizon_us=0)
    assert chosen.calibration.method is CalibrationMethod.ISOTONIC
    assert ece(chosen.calibration.apply(raw), outcomes) < 0.02


def test_a_gain_that_a_handful_of_users_makes_is_not_believed() -> None:
    raw, outcomes, as_of_us, _ = slice_of(lambda raw: sigmoid(raw + 0.06), seed=1)
    by_row = choose_calibration(raw, outcomes, as_of_us, np.arange(N), horizon_us=0)
    by_cluster = choose_calibration(raw, outcomes, as_of_us, np.arange(N) % 2, horizon_us=0)
    assert by_row.log_loss == by_cluster.log_loss
    assert by_row.calibration.method is not CalibrationMethod.NONE
    assert by_cluster.calibration.method is CalibrationMethod.NONE


def test_one_instant_and_one_outcome_leave_the_score_alone() -> None:
    raw, rows = np.linspace(-1, 1, 500), np.arange(500)
    one_instant = choose_calibration(raw, rows % 2 == 0, np.zeros(500, np.int64), rows, horizon_us=0)
    one_outcome = choose_calibration(raw, np.ones(500, bool), rows, rows, horizon_us=0)
    assert one_instant.calibration.method is CalibrationMethod.NONE
    assert one_outcome.calibration.method is CalibrationMethod.NONE


def shared_outcomes(seed: int, *, n_early: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Users of 20 rows on 20 days, a well calibrated score and one outcome each: 200 begin on day 40, ``n_early`` on day 0."""
    rng = np.random.default_rng(seed)
    n = 200 + n_early
    score = rng.normal(size=n)
    outcome = rng.random(n) < sigmoid(score)
    users = np.repeat(np.arange(n), 20)
    days = np.where(users < 200, 40, 0) + np.tile(np.arange(20), n)
    return score[users], outcome[users], days, users


@pytest.mark.parametrize("seed", range(5))
def test_a_map_is_not_judged_on_outcomes_that_it_was_fitted_on(seed: int) -> None:
    slice_ = shared_outcomes(seed, n_early=30)
    leaking = choose_calibration(*slice_, horizon_us=0)
    chosen = choose_calibration(*slice_, horizon_us=20)
    assert leaking.calibration.method is CalibrationMethod.ISOTONIC
    assert chosen.calibration.method is CalibrationMethod.NONE
    assert set(chosen.log_loss) == {"none", "platt", "beta", "isotonic"}


SHORT_US = 20  # a horizon as long as the slices below: no outcome of the earlier half is known when the later half begins


def short_slice(true_of_raw, *, seed: int, n_users: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Users asked four times within a slice shorter than a horizon, each with one outcome, that of the first score, for good."""
    rng = np.random.default_rng(seed)
    users = np.repeat(np.arange(n_users), 4)
    score = rng.normal(0, 2, n_users)
    outcome = rng.random(n_users) < true_of_raw(score)
    return score[users], outcome[users], np.tile(np.arange(4), n_users), users


def test_a_short_slice_that_is_too_sure_of_itself_is_corrected_by_users() -> None:
    raw, outcomes, as_of_us, users = short_slice(lambda raw: sigmoid(0.4 * raw + 0.7), seed=1, n_users=600)
    chosen = choose_calibration(raw, outcomes, as_of_us, users, horizon_us=SHORT_US)
    assert chosen.compared_by is ComparedBy.USER_FOLDS
    assert chosen.calibration.method is CalibrationMethod.PLATT
    assert set(chosen.log_loss) == {"none", "platt", "beta", "isotonic"}
    assert chosen.log_loss["platt"] < chosen.log_loss["none"]
    fresh, truth, _, _ = short_slice(lambda raw: sigmoid(0.4 * raw + 0.7), seed=2, n_users=5000)
    assert ece(chosen.calibration.apply(fresh), truth) < ece(sigmoid(fresh), truth) / 3


def test_a_calibrated_short_slice_stays_as_it_is_in_95_of_100_worlds() -> None:
    worlds = [choose_calibration(*short_slice(sigmoid, seed=seed), horizon_us=SHORT_US) for seed in range(100)]
    assert {world.compared_by for world in worlds} == {ComparedBy.USER_FOLDS}
    assert sum(world.calibration.method is CalibrationMethod.NONE for world in worlds) >= 95


def test_no_map_is_judged_on_a_user_that_it_was_fitted_on() -> None:
    """Scores that say nothing, one for each user, and outcomes that are the user's own: only who has seen the user can foretell them."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(200), 5)
    own, outcome = rng.normal(size=200), rng.random(200) < 0.5
    chosen = choose_calibration(own[users], outcome[users], np.zeros(1000, np.int64), users, horizon_us=SHORT_US)
    assert chosen.compared_by is ComparedBy.USER_FOLDS
    assert min(chosen.log_loss.values()) > 0.68  # of a coin: 0.693


def test_rows_of_a_user_are_in_one_fold_whatever_their_order() -> None:
    users = np.random.default_rng(0).permutation(np.repeat([f"user {i}" for i in range(83)], 7))
    fold = user_folds(users)
    assert all(len(set(fold[users == user])) == 1 for user in users)
    assert set(np.unique(fold, return_counts=True)[1]) == {16 * 7, 17 * 7}
    again = np.random.default_rng(1).permutation(len(users))
    assert (user_folds(users[again]) == fold[again]).all()


def test_the_order_of_the_rows_does_not_change_the_choice() -> None:
    slice_ = short_slice(lambda raw: sigmoid(0.4 * raw), seed=3)
    mixed = np.random.default_rng(0).permutation(len(slice_[0]))
    chosen, again = (choose_calibration(*each, horizon_us=SHORT_US) for each in (slice_, [part[mixed] for part in slice_]))
    assert again.log_loss == pytest.approx(chosen.log_loss, abs=1e-6)
    assert again.calibration.method is chosen.calibration.method


def with_users(n_users: int, n_rows: int) -> CalibrationChoice:
    raw, outcomes, _, _ = slice_of(lambda raw: sigmoid(0.3 * raw + 2.0))
    return choose_calibration(raw[:n_rows], outcomes[:n_rows], np.zeros(n_rows, np.int64), np.arange(n_rows) % n_users, horizon_us=SHORT_US)


def test_one_user_or_too_few_of_them_or_too_few_rows_leave_the_score_alone() -> None:
    for chosen in (with_users(1, 500), with_users(4, 500), with_users(90, 90)):
        assert chosen.compared_by is ComparedBy.NOTHING
        assert chosen.calibration == NO_CALIBRATION
        assert set(chosen.log_loss) == {"none"}
    assert with_users(100, 500).compared_by is ComparedBy.USER_FOLDS


def test_folds_that_leave_one_outcome_alone_to_fit_on_leave_the_score_alone() -> None:
    raw, users = np.linspace(-1, 1, 500), np.arange(500) % 50
    for outcomes in (np.ones(500, bool), users == 7):  # all stayed; or one user alone dropped out, whom one fold takes away
        chosen = choose_calibration(raw, outcomes, np.zeros(500, np.int64), users, horizon_us=SHORT_US)
        assert chosen.compared_by is ComparedBy.NOTHING
        assert chosen.calibration == NO_CALIBRATION


def test_halves_are_the_first_choice_and_folds_take_over_where_they_leave_less_than_a_tenth_to_fit_on() -> None:
    for n_early, expected in ((30, ComparedBy.LATER_HALF), (10, ComparedBy.USER_FOLDS), (0, ComparedBy.USER_FOLDS)):
        assert choose_calibration(*shared_outcomes(2, n_early=n_early), horizon_us=SHORT_US).compared_by is expected


def test_across_cohorts_a_common_fault_is_corrected() -> None:
    raw, outcomes, _, _ = slice_of(lambda raw: sigmoid(0.6 * raw + 1.0))
    chosen = choose_across(raw, outcomes, np.arange(N) % 8)
    assert chosen.calibration.method is CalibrationMethod.PLATT
    assert set(chosen.log_loss) == {"none", "platt", "beta", "isotonic"}


def test_across_cohorts_a_fault_of_one_alone_is_not() -> None:
    cohort = np.arange(N) % 8
    raw, outcomes, _, _ = slice_of(lambda raw: sigmoid(raw + np.where(cohort == 7, 2.0, 0.0)))
    assert choose_across(raw, outcomes, cohort).calibration.method is CalibrationMethod.NONE


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


def planted_beta() -> Calibration:
    return Calibration(method=CalibrationMethod.BETA, parameters={"a": 0.4, "b": 1.8, "c": -0.5})


def test_beta_recovers_a_planted_map() -> None:
    rng = np.random.default_rng(5)
    raw = rng.normal(0, 2, size=200_000)
    outcomes = rng.random(len(raw)) < planted_beta().apply(raw)
    fitted = fit_calibration(CalibrationMethod.BETA, raw, outcomes)
    assert fitted.method is CalibrationMethod.BETA
    assert [fitted.parameters[name] for name in "abc"] == pytest.approx([0.4, 1.8, -0.5], abs=0.05)


def test_a_planted_beta_map_is_chosen() -> None:
    raw, outcomes, as_of_us, users = slice_of(planted_beta().apply)
    assert choose_calibration(raw, outcomes, as_of_us, users, horizon_us=0).calibration.method is CalibrationMethod.BETA


def test_beta_never_turns_the_order_around() -> None:
    raw, outcomes, _, _ = slice_of(lambda raw: sigmoid(-raw))
    assert fit_calibration(CalibrationMethod.BETA, raw, outcomes).method is CalibrationMethod.NONE


def test_beta_holds_each_side_to_its_direction() -> None:
    raw, outcomes, _, _ = slice_of(lambda raw: sigmoid(-np.abs(raw)))  # rises, then falls
    fitted = fit_calibration(CalibrationMethod.BETA, raw, outcomes)
    probabilities = fitted.apply(np.linspace(-5, 5, 101))
    assert (np.diff(probabilities) >= 0).all()


def test_log_losses_of_certain_mistakes_are_finite() -> None:
    assert np.isfinite(log_losses(np.array([0.0, 1.0]), np.array([True, False]))).all()
