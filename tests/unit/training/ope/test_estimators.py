"""IPS, SNIPS and DR: by hand, by simulation, and in pairs."""

from __future__ import annotations

import numpy as np
import pytest

from training.ope.estimators import Evaluator
from training.ope.log import DecisionLog, OpeError
from training.ope.rewards import cross_fitted_rewards
from training.ope.trees import TreeParameters

# Four decisions; the policy takes action 1 with 0.8. Weights: 0.2 / 0.5, 0.8 / 0.5, 0.8 / 0.25, 0.2 / 0.75.
LOG = DecisionLog(
    action=np.array([0, 1, 1, 0]), reward=np.array([1.0, 1.0, 0.0, 2.0]), propensity=np.array([0.5, 0.5, 0.25, 0.75]), n_actions=2
)
POLICY = np.tile([0.2, 0.8], (4, 1))
WEIGHTS = np.array([0.4, 1.6, 3.2, 4 / 15])


def test_ips_by_hand() -> None:
    assert Evaluator(log=LOG).ips(POLICY).value == pytest.approx((0.4 + 1.6 + 8 / 15) / 4)


def test_snips_by_hand() -> None:
    assert Evaluator(log=LOG).snips(POLICY).value == pytest.approx((0.4 + 1.6 + 8 / 15) / WEIGHTS.sum())


def test_dr_by_hand() -> None:
    rewards = np.tile([1.0, 0.5], (4, 1))  # expected under the policy: 0.2 + 0.4 = 0.6
    corrections = WEIGHTS * (LOG.reward - np.array([1.0, 0.5, 0.5, 1.0]))
    assert Evaluator(log=LOG, rewards=rewards).dr(POLICY).value == pytest.approx(0.6 + corrections.mean())


def test_effective_rows_by_hand() -> None:
    weights = Evaluator(log=LOG).weights(POLICY)
    assert weights.effective_rows == pytest.approx(WEIGHTS.sum() ** 2 / (WEIGHTS**2).sum())
    assert weights.largest == pytest.approx(3.2)


def test_clipping_is_counted() -> None:
    weights = Evaluator(log=LOG, clip=1.0).weights(POLICY)
    assert weights.clipped_rows == 2
    assert weights.values.max() == 1.0
    assert Evaluator(log=LOG).weights(POLICY).clipped_rows == 0
    with pytest.raises(OpeError, match="clip is 0"):
        Evaluator(log=LOG, clip=0.0)


def test_the_logging_policy_is_worth_what_was_logged() -> None:
    log = DecisionLog(action=LOG.action, reward=LOG.reward, propensity=np.full(4, 0.5), n_actions=2)
    same = Evaluator(log=log).ips(np.full((4, 2), 0.5))
    assert same.value == pytest.approx(log.reward.mean())
    assert same.weights.effective_rows == pytest.approx(4)


def test_dr_without_rewards_and_unknown_estimators_are_refused() -> None:
    with pytest.raises(OpeError, match="DR needs `rewards`"):
        Evaluator(log=LOG).dr(POLICY)
    with pytest.raises(OpeError, match="estimator 'dm', expected one of"):
        Evaluator(log=LOG).estimate(POLICY, "dm")
    with pytest.raises(OpeError, match=r"rewards: shape \(4, 3\)"):
        Evaluator(log=LOG, rewards=np.zeros((4, 3)))


def test_a_difference_is_paired() -> None:
    _, log, truth = world(3000, seed=1)
    evaluator = Evaluator(log=log, n_draws=300)
    near = np.tile([0.1, 0.9], (3000, 1))
    first, second = (evaluator.ips(policy).interval for policy in (near, target(3000)))
    gain = evaluator.difference(near, target(3000), estimator="ips")
    assert gain.value == pytest.approx(first.value - second.value)
    assert gain.high - gain.low < 0.5 * ((first.high - first.low) + (second.high - second.low))
    assert evaluator.difference(near, near, estimator="snips").high == 0.0
    assert truth > 0


def test_rows_of_one_user_are_drawn_together() -> None:
    _, log, _ = world(500, seed=2)
    five_times = DecisionLog(
        action=np.repeat(log.action, 5),
        reward=np.repeat(log.reward, 5),
        propensity=np.repeat(log.propensity, 5),
        n_actions=2,
        groups=np.repeat(np.arange(500), 5),
    )
    once, grouped = (Evaluator(log=each, n_draws=400).ips(target(each.n_rows)).interval for each in (log, five_times))
    assert grouped.high - grouped.low == pytest.approx(once.high - once.low, rel=1e-9)


@pytest.mark.parametrize(("estimator", "least"), [("ips", 89), ("snips", 89), ("dr", 89)])
def test_intervals_cover_the_planted_value(estimator: str, least: int) -> None:
    assert sum(covers(estimator, seed) for seed in range(100)) >= least


def test_dr_is_tighter_than_ips_where_rewards_can_be_learned() -> None:
    X, log, _ = world(4000, seed=3)
    evaluator = Evaluator(log=log, rewards=cross_fitted_rewards(X, log), n_draws=300)
    ips, dr = evaluator.ips(target(4000)).interval, evaluator.dr(target(4000)).interval
    assert dr.high - dr.low < 0.8 * (ips.high - ips.low)


def covers(estimator: str, seed: int) -> bool:
    X, log, truth = world(400, seed=seed)
    rewards = None
    if estimator == "dr":
        rewards = cross_fitted_rewards(X, log, parameters=TreeParameters(rounds=10, min_data_in_leaf=20))
    interval = Evaluator(log=log, rewards=rewards, n_draws=200, seed=seed).estimate(target(400), estimator).interval
    return interval.low <= truth <= interval.high


def world(n_rows: int, *, seed: int) -> tuple[np.ndarray, DecisionLog, float]:
    """Covariates, a log of a policy that depends on them, and the true value of `target` over all people there could be."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=n_rows)
    chance = 0.2 + 0.6 * x
    action = (rng.uniform(size=n_rows) < chance).astype(np.int64)
    reward = 1.0 + np.where(action == 1, 2 * x, 0.5) + rng.normal(scale=0.3, size=n_rows)
    log = DecisionLog(action=action, reward=reward, propensity=np.where(action == 1, chance, 1 - chance), n_actions=2)
    return x[:, None], log, 1.0 + 0.7 * 1.0 + 0.3 * 0.5  # E[2 x] = 1


def target(n_rows: int) -> np.ndarray:
    return np.tile([0.3, 0.7], (n_rows, 1))
