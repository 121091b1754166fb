"""The mean of several models is one model: of its scores, and of its explanations."""

from __future__ import annotations

import numpy as np
import pytest

from models.native import NativeBooster
from training.errors import TrainingError
from training.trees import average, count, with_intercept

N_INPUTS = 6


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """Numbers with holes, and a category in the last column."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1500, N_INPUTS))
    rows[rng.random(rows.shape) < 0.1] = np.nan
    rows[:, -1] = rng.integers(0, 4, len(rows))
    return rows


@pytest.fixture(scope="module")
def texts(rows: np.ndarray) -> list[str]:
    """Three models of different samples and sizes; one of them has a tree of one leaf."""
    import lightgbm

    outcomes = (np.nansum(rows[:, :2], axis=1) + (rows[:, -1] == 2) + np.random.default_rng(1).normal(size=len(rows)) > 0).astype(float)
    options = {"objective": "binary", "num_leaves": 7, "verbosity": -1, "bagging_freq": 1, "bagging_fraction": 0.5, "num_threads": 1}
    made = []
    for seed, rounds, leaf in ((0, 20, 20), (1, 12, 20), (2, 1, 5000)):
        data = lightgbm.Dataset(rows, outcomes, categorical_feature=[N_INPUTS - 1], params={"min_data_in_leaf": leaf, "verbosity": -1})
        made.append(lightgbm.train({**options, "seed": seed, "min_data_in_leaf": leaf}, data, rounds).model_to_string())
    return made


def scores(text: str, rows: np.ndarray) -> np.ndarray:
    return NativeBooster(text, N_INPUTS).raw_scores(rows)


def explanations(text: str, rows: np.ndarray) -> np.ndarray:
    booster = NativeBooster(text, N_INPUTS)
    return np.array([booster.contributions(np.ascontiguousarray(row)) for row in rows])


def test_scores_and_explanations_are_means(texts: list[str], rows: np.ndarray) -> None:
    merged = average(texts)
    assert count(merged) == sum(count(text) for text in texts)
    np.testing.assert_allclose(scores(merged, rows), np.mean([scores(text, rows) for text in texts], axis=0), atol=1e-12)
    few = rows[:50]
    np.testing.assert_allclose(explanations(merged, few), np.mean([explanations(text, few) for text in texts], axis=0), atol=1e-12)
    np.testing.assert_allclose(explanations(merged, few).sum(axis=1), scores(merged, few), atol=1e-9)


def test_the_mean_of_one_is_itself(texts: list[str]) -> None:
    assert average(texts[:1]) == texts[0]


def test_a_mean_is_a_model_that_lightgbm_writes_again(texts: list[str], rows: np.ndarray) -> None:
    import lightgbm

    again = lightgbm.Booster(model_str=average(texts)).model_to_string()
    np.testing.assert_array_equal(scores(again, rows), scores(average(texts), rows))


def test_nothing_has_no_mean() -> None:
    with pytest.raises(TrainingError, match="no model to average"):
        average([])


@pytest.mark.parametrize("which", range(3))
def test_an_intercept_moves_scores_and_base_value_alone(texts: list[str], rows: np.ndarray, which: int) -> None:
    moved = with_intercept(texts[which], -0.7)
    np.testing.assert_allclose(scores(moved, rows), scores(texts[which], rows) - 0.7, atol=1e-12)
    few = rows[:50]
    difference = explanations(moved, few) - explanations(texts[which], few)
    np.testing.assert_allclose(difference, [[0.0] * N_INPUTS + [-0.7]] * 50, atol=1e-12)
