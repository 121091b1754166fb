"""Base rates that move between cohorts are found, and corrected only where that helps."""

from __future__ import annotations

import numpy as np
import pytest

from models.calibration import sigmoid
from training.cohorts import PriorCorrection, choose_correction, em_shift, measure_drift, pool_shifts, shift_of


def cohorts_with(shifts: list[float], *, n: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions, outcomes and cohorts, where the true log-odds of a cohort are the predicted ones and its shift."""
    rng = np.random.default_rng(seed)
    code = np.repeat(np.arange(len(shifts)), n)
    raw = rng.normal(0, 1.5, size=len(code))
    outcomes = rng.random(len(code)) < sigmoid(raw + np.array(shifts)[code])
    return sigmoid(raw), outcomes, np.array([f"c{i:02d}" for i in code])


@pytest.mark.parametrize("planted", [-1.2, 0.0, 0.7])
def test_a_planted_shift_is_recovered(planted: float) -> None:
    probabilities, outcomes, _ = cohorts_with([planted], n=50_000)
    assert shift_of(probabilities, outcomes) == pytest.approx(planted, abs=0.05)


def test_every_cohort_has_its_own_drift_with_an_interval() -> None:
    drift = measure_drift(*cohorts_with([-0.8, 0.0, 0.8]))
    assert [each.cohort for each in drift] == ["c00", "c01", "c02"]
    assert [each.shift for each in drift] == pytest.approx([-0.8, 0.0, 0.8], abs=0.2)
    assert drift[0].observed < drift[0].low + 0.03 < drift[0].predicted
    assert all(each.low < each.observed < each.high for each in drift)


def test_a_cohort_of_one_outcome_has_a_finite_shift() -> None:
    assert 0 < shift_of(np.full(50, 0.5), np.ones(50, dtype=bool)) < 10


def test_the_variance_between_cohorts_is_recovered_and_is_0_where_there_is_none() -> None:
    shifts = list(np.random.default_rng(1).normal(0.3, 0.5, size=60))
    pooled = pool_shifts(measure_drift(*cohorts_with(shifts, n=800)))
    assert pooled.mean == pytest.approx(0.3, abs=0.2)
    assert pooled.between_variance == pytest.approx(0.25, rel=0.5)
    assert pool_shifts(measure_drift(*cohorts_with([0.3] * 60, n=800))).between_variance < 0.01


def test_a_shift_that_all_cohorts_share_is_corrected() -> None:
    chosen = choose_correction(*cohorts_with([0.6] * 8))
    assert chosen.correction is PriorCorrection.MEAN
    assert chosen.shift == pytest.approx(0.6, abs=0.1)


def test_a_shift_that_moves_on_with_time_is_corrected_by_the_latest() -> None:
    chosen = choose_correction(*cohorts_with([0.3 * i for i in range(10)]))
    assert chosen.correction is PriorCorrection.LATEST
    assert chosen.shift == pytest.approx(2.7, abs=0.2)


def test_cohorts_without_a_common_shift_are_left_alone() -> None:
    chosen = choose_correction(*cohorts_with([0.02, -0.05, 0.04, -0.03, 0.0, 0.03, -0.02], seed=4))
    assert chosen.correction is PriorCorrection.NONE
    assert chosen.shift == 0.0


def test_three_cohorts_prove_nothing() -> None:
    assert choose_correction(*cohorts_with([0.6] * 3)).correction is PriorCorrection.NONE


def prior_shifted(rate: float, *, n: int = 100_000) -> tuple[np.ndarray, np.ndarray]:
    """Predictions made for a base rate of one half, where it is ``rate``; two normal classes."""
    rng = np.random.default_rng(3)
    outcomes = rng.random(n) < rate
    return sigmoid(2 * rng.normal(np.where(outcomes, 1.0, -1.0))), outcomes


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.85])
def test_em_recovers_a_planted_base_rate_from_scores_alone(rate: float) -> None:
    probabilities, _ = prior_shifted(rate)
    assert em_shift(probabilities, base_rate=0.5) == pytest.approx(np.log(rate / (1 - rate)), abs=0.05)


def test_em_is_chosen_where_only_the_base_rate_differs() -> None:
    parts = [prior_shifted(rate, n=3000) for rate in (0.1, 0.8, 0.3, 0.9, 0.2, 0.7)]
    probabilities, outcomes = (np.concatenate(each) for each in zip(*parts, strict=True))
    chosen = choose_correction(probabilities, outcomes, np.repeat(np.arange(6), 3000))
    assert chosen.correction is PriorCorrection.EM
    assert chosen.log_loss["em"] < chosen.log_loss["none"]
