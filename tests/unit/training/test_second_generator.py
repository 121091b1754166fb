"""The second world is a world as `training.trial` is, and another one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, spearmanr

from tests.second_generator import second_trial
from training.planted import Effects, Timing
from training.trial import best_delay, draw_trial, oracle_policy, oracle_value, value_of

N_USERS = 5_000


@pytest.fixture(scope="module")
def second():
    return second_trial(n_users=N_USERS, seed=2)


def test_the_same_seed_gives_the_same_rows(second):
    again = second_trial(n_users=N_USERS, seed=2)
    assert again.frame.fingerprint() == second.frame.fingerprint()
    assert (again.dropout_on == second.dropout_on).all()
    assert second_trial(n_users=N_USERS, seed=3).frame.fingerprint() != second.frame.fingerprint()


def test_outcomes_are_drawn_from_the_truth(second):
    chance = second.dropout_on[np.arange(N_USERS), second.action, np.maximum(second.channel, 0), np.maximum(second.delay, 0)]
    for action in range(len(second.actions)):
        mine = second.action == action
        spread = np.sqrt((chance[mine] * (1.0 - chance[mine])).sum())
        assert abs(second.frame.outcomes[mine].sum() - chance[mine].sum()) < 2.576 * spread


def test_weighted_by_propensity_the_log_shows_the_value_of_a_policy(second):
    action = oracle_policy(second)[0]
    same = (second.action == action) & ((second.delay == 0) | (action == 0))
    propensity_of_arm = np.where(action > 0, second.propensity * len(second.channels), second.propensity)
    weights = same / propensity_of_arm
    stays = 1.0 - second.frame.outcomes
    estimate = (weights * stays).sum() / weights.sum()
    error = np.sqrt((weights**2 * (stays - estimate) ** 2).sum()) / weights.sum()
    assert abs(estimate - value_of(second, action, 0)) < 2.576 * error


def test_habit_lies_before_the_decision(second):
    assert (second.habit.age_s > 0).all()
    assert set(second.habit.row.tolist()) == set(range(N_USERS))


def test_no_fixed_policy_beats_its_oracle(second):
    assert oracle_value(second) > max(value_of(second, action, delay) for action in range(4) for delay in range(6))


def test_its_timing_is_flat_unless_asked_for(second):
    assert (second.dropout == second.dropout[:, :, :1]).all()
    timed = second_trial(n_users=N_USERS, seed=2, timing=Timing.AGAINST_HABIT)
    assert value_of(timed, timed.cause, best_delay(timed, timed.cause)) > value_of(timed, timed.cause, 0) + 0.01
    assert (
        second_trial(n_users=50, seed=2, strength=0.0).dropout == second_trial(n_users=50, seed=2, strength=0.0).dropout[:, :1, :1]
    ).all()


def test_the_two_worlds_differ_in_what_they_are_made_of(onboarding, second):
    first = draw_trial(onboarding, n_users=N_USERS, seed=2, effects=Effects.plain())
    shared = set(first.frame.product.catalogue.feature_names) & set(second.frame.product.catalogue.feature_names)
    assert shared == {"seconds_since_last_use"}
    assert first.delays_s != second.delays_s
    assert first.actions != second.actions
    assert np.unique(first.propensity).size == 2 < np.unique(second.propensity).size
    # Here a message shifts a probit by as much for everyone of a class, there it takes away a share of a risk, each one's own.
    shift = norm.ppf(second.dropout[:, 0, 0]) - norm.ppf(second.dropout_on[np.arange(N_USERS), second.cause, 0, 0])
    helped = ~second.annoyed & (second.contacts == 0)
    assert np.unique(shift[helped].round(6)).size < 30
    risk = first.dropout[:, 0, 0]
    other = norm.ppf(risk) - norm.ppf(np.maximum(first.dropout[np.arange(N_USERS), first.cause, 0], 1e-9))
    assert np.unique(other.round(6)).size > N_USERS // 2


def test_there_too_risk_is_not_uplift(second):
    risk = second.dropout[:, 0, 0]
    uplift = risk - second.dropout[np.arange(N_USERS), second.cause, 0]
    assert abs(spearmanr(risk, uplift).statistic) < 0.6
