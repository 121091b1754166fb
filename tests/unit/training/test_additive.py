"""The additive part: it says what a logistic regression says, one input at a time, and stands in the booster like any tree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from models.risk import RiskModel
from models.signature import Signature
from training.additive import DEPTH, LEAVES, grow_additive, logistic_log_odds
from training.fit import FitParameters, grow
from training.fit import grow_additive as grow_additive_of
from training.frame import TrainingFrame, learn_signature
from training.pipeline import encode

FloatArray = npt.NDArray[np.float64]
SIGNATURE = Signature(feature_names=("a", "b", "c"), feature_fingerprint="0" * 16)


@pytest.fixture(scope="module")
def rows() -> FloatArray:
    rng = np.random.default_rng(0)
    made: FloatArray = rng.exponential(3.0, size=(4_000, 3))
    made[::7, 2] = np.nan
    return made


@pytest.fixture(scope="module")
def log_odds(rows: FloatArray) -> FloatArray:
    truth = 1.5 - np.log1p(rows[:, 0]) + 0.5 * np.log1p(rows[:, 1])
    outcomes = np.random.default_rng(1).random(len(rows)) < 1 / (1 + np.exp(-truth))
    return logistic_log_odds(rows, outcomes, SIGNATURE, weights=np.ones(len(rows)), seed=0)


def test_the_trees_say_nearly_what_the_logistic_regression_says(rows: FloatArray, log_odds: FloatArray) -> None:
    scores = _scores(rows, log_odds, monotone=(0, 0, 0))

    assert np.sqrt(np.mean((scores(rows) - log_odds) ** 2)) < 0.1 * log_odds.std()


def test_no_input_changes_what_another_adds(rows: FloatArray, log_odds: FloatArray) -> None:
    scores = _scores(rows, log_odds, monotone=(0, 0, 0))
    one, other = rows[:1].copy(), rows[1:2].copy()
    one_moved, other_moved = one.copy(), other.copy()
    one_moved[0, 0], other_moved[0, 0] = 0.1, 0.1
    one[0, 0], other[0, 0] = 9.0, 9.0

    assert (scores(one_moved) - scores(one))[0] == pytest.approx((scores(other_moved) - scores(other))[0])


def test_a_declared_direction_is_held_where_the_regression_goes_the_other_way(rows: FloatArray, log_odds: FloatArray) -> None:
    scores = _scores(rows, log_odds, monotone=(0, -1, 0))  # it found that b raises the risk
    ladder = np.column_stack([np.full(50, 2.0), np.linspace(0, 12, 50), np.full(50, 1.0)])

    assert (np.diff(scores(ladder)) <= 1e-12).all()


def test_trees_and_additive_part_have_half_of_the_score_each(frame: TrainingFrame) -> None:
    signature, alone = learn_signature(frame), FitParameters(max_rounds=5)
    both = replace(alone, additive_rounds=10)
    parts = [
        grow([frame], signature, parameters=alone, seed=0, rounds=5),
        grow_additive_of([frame], signature, parameters=both, seed=0),
    ]
    encoded = encode(frame, signature)
    scores = [RiskModel(text, len(signature.input_names)).raw_scores(encoded) for text in parts]

    mean = RiskModel(grow([frame], signature, parameters=both, seed=0, rounds=5), len(signature.input_names)).raw_scores(encoded)

    np.testing.assert_allclose(mean, np.mean(scores, axis=0), atol=1e-9)


def test_what_an_explanation_may_cost_counts_the_additive_part() -> None:
    alone = FitParameters()

    assert replace(alone, additive_rounds=100).explanation_cost == alone.explanation_cost + 100 * LEAVES * DEPTH**2


def _scores(rows: FloatArray, log_odds: FloatArray, *, monotone: tuple[int, int, int]) -> Callable[[FloatArray], FloatArray]:
    text = grow_additive(rows, log_odds, SIGNATURE, monotone=monotone, rounds=60, seed=0)
    return RiskModel(text, rows.shape[1]).raw_scores
