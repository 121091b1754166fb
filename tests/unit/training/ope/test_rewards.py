"""The reward model of DR sees no row that it predicts."""

from __future__ import annotations

import numpy as np
import pytest

from training.ope.log import DecisionLog, OpeError
from training.ope.rewards import cross_fitted_rewards
from training.ope.trees import TreeParameters


def log_of(reward: np.ndarray, groups: np.ndarray | None = None) -> DecisionLog:
    n_rows = len(reward)
    return DecisionLog(action=np.arange(n_rows) % 2, reward=reward, propensity=np.full(n_rows, 0.5), n_actions=2, groups=groups)


def test_pure_noise_is_not_learned_by_heart() -> None:
    rng = np.random.default_rng(0)
    X, noise = rng.normal(size=(2000, 5)), rng.normal(size=2000)
    greedy = TreeParameters(rounds=200, learning_rate=0.3, num_leaves=63, max_depth=12, min_data_in_leaf=2, lambda_l2=0.0)
    log = log_of(noise)
    own = cross_fitted_rewards(X, log, parameters=greedy)[np.arange(2000), log.action]
    assert abs(np.corrcoef(own, noise)[0, 1]) < 0.1


def test_rows_of_one_user_are_in_one_fold() -> None:
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(500, 3)), 4, axis=0)
    noise = np.repeat(rng.normal(size=500), 4)
    greedy = TreeParameters(rounds=100, learning_rate=0.3, num_leaves=63, max_depth=12, min_data_in_leaf=2, lambda_l2=0.0)
    log = log_of(noise, groups=np.repeat(np.arange(500), 4))
    own = cross_fitted_rewards(X, log, parameters=greedy)[np.arange(2000), log.action]
    assert abs(np.corrcoef(own, noise)[0, 1]) < 0.2  # without groups it would be near 1


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(OpeError, match="X: shape"):
        cross_fitted_rewards(np.zeros((3, 1)), log_of(np.zeros(4)))
    with pytest.raises(OpeError, match="at least as many as folds"):
        cross_fitted_rewards(np.zeros((4, 1)), log_of(np.zeros(4), groups=np.zeros(4)))
