"""Figures agree with scikit-learn, and intervals respect users."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from training.evaluate import UserDraws, auc, auc_gain, average_precision, calibration_line, ece, evaluate, reliability

SCORES = st.lists(st.tuples(st.integers(0, 12), st.booleans(), st.integers(1, 4)), min_size=4, max_size=60).filter(
    lambda rows: len({outcome for _, outcome, _ in rows}) == 2
)


@given(SCORES)
def test_auc_equals_scikit_learn_with_ties_and_weights(rows: list[tuple[int, bool, int]]) -> None:
    scores, outcomes, weights = (np.array(column) for column in zip(*rows, strict=True))
    assert auc(scores.astype(float), outcomes) == pytest.approx(roc_auc_score(outcomes, scores), abs=1e-12)
    weighted = roc_auc_score(outcomes, scores, sample_weight=weights)
    assert auc(scores.astype(float), outcomes, weights.astype(float)) == pytest.approx(weighted, abs=1e-12)


@given(SCORES)
def test_average_precision_equals_scikit_learn(rows: list[tuple[int, bool, int]]) -> None:
    scores, outcomes, _ = (np.array(column) for column in zip(*rows, strict=True))
    assert average_precision(scores.astype(float), outcomes) == pytest.approx(average_precision_score(outcomes, scores), abs=1e-12)


def test_one_outcome_has_no_auc() -> None:
    assert np.isnan(auc(np.arange(3.0), np.ones(3, dtype=bool)))


def test_ece_of_true_probabilities_is_near_zero_and_of_shifted_ones_is_the_shift() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(0.1, 0.7, size=60_000)
    outcomes = rng.random(60_000) < p
    assert ece(p, outcomes) < 0.01
    assert ece(p + 0.2, outcomes) == pytest.approx(0.2, abs=0.01)


def test_bins_have_equal_mass() -> None:
    _, _, size = reliability(np.random.default_rng(0).random(150), np.zeros(150, dtype=bool))
    assert size.tolist() == [10] * 15


def test_the_calibration_line_finds_a_planted_slope_and_shift() -> None:
    rng = np.random.default_rng(1)
    raw = rng.normal(0, 2, size=80_000)
    outcomes = rng.random(80_000) < 1 / (1 + np.exp(-(0.5 * raw + 0.3)))
    slope, intercept = calibration_line(1 / (1 + np.exp(-raw)), outcomes)
    assert (slope, intercept) == (pytest.approx(0.5, abs=0.03), pytest.approx(0.3, abs=0.03))


def test_the_calibration_line_of_one_probability_is_not_defined() -> None:
    assert np.isnan(calibration_line(np.full(4, 0.5), np.array([True, False, True, False]))).all()


def test_rows_of_one_user_widen_the_interval() -> None:
    rng = np.random.default_rng(2)
    scores = np.repeat(rng.normal(size=100), 20)
    outcomes = np.repeat(rng.random(100) < 0.4, 20)
    by_user = UserDraws(np.repeat(np.arange(100), 20)).interval(lambda w: auc(scores, outcomes, w))
    by_row = UserDraws(np.arange(2000)).interval(lambda w: auc(scores, outcomes, w))
    assert by_user.value == by_row.value
    assert (by_user.high - by_user.low) > 2 * (by_row.high - by_row.low)


def test_intervals_are_repeatable_and_cover_the_value() -> None:
    rng = np.random.default_rng(3)
    p = rng.random(500)
    outcomes = rng.random(500) < p
    users = rng.integers(0, 100, 500)
    first, again = (evaluate(p, outcomes, UserDraws(users, seed=4)) for _ in range(2))
    assert first.figures["auc"] == again.figures["auc"]
    for name in ("auc", "brier", "log_loss"):
        figure = first.figures[name]
        assert figure.low < figure.value < figure.high


def test_a_gain_is_paired() -> None:
    rng = np.random.default_rng(5)
    outcomes = rng.random(1000) < 0.5
    weak = rng.normal(size=1000) + 0.5 * outcomes
    gain = auc_gain(weak + 0.01 * outcomes, weak, outcomes, UserDraws(np.arange(1000)))
    assert 0 < gain.low < gain.value < gain.high < 0.02


def test_users_may_be_text() -> None:
    interval = UserDraws(np.array(["b", "a", "b"], dtype=object)).interval(lambda w: float(w.sum()))
    assert interval.value == 3.0
