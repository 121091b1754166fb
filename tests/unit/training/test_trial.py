from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta

import numpy as np
import pytest
from scipy.stats import spearmanr

from training.errors import SimulationError
from training.planted import CAUSES, SIZES, Design, Effects, Timing
from training.trial import Trial, best_delay, draw_trial, matching_gain, oracle_policy, oracle_value, value_of

Z = 2.576  # of a 99 % interval
N_USERS = 6_000


@pytest.fixture(scope="module")
def plain(onboarding):
    """Everybody with a message gets the matched one; nothing but the sizes is planted."""
    return draw_trial(onboarding, n_users=12_000, seed=5, effects=Effects.plain(), design=Design(control_share=0.5, matched_share=1.0))


@pytest.fixture(scope="module")
def usual(onboarding):
    return draw_trial(onboarding, n_users=N_USERS, seed=3, effects=Effects())


@pytest.fixture(scope="module")
def against_habit(onboarding):
    return draw_trial(onboarding, n_users=N_USERS, seed=3, effects=Effects(timing=Timing.AGAINST_HABIT))


def content(trial: Trial) -> list[bytes]:
    arrays = [getattr(trial, field.name) for field in fields(trial) if isinstance(getattr(trial, field.name), np.ndarray)]
    habit = [getattr(trial.habit, field.name) for field in fields(trial.habit)]
    return [trial.frame.fingerprint().encode(), *(array.tobytes() for array in (*arrays, *habit))]


# --- the same and another ------------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes(onboarding):
    one, same, other = (draw_trial(onboarding, n_users=700, seed=seed, effects=Effects()) for seed in (1, 1, 2))
    assert content(one) == content(same)
    assert content(one) != content(other)


def test_rows_are_one_a_user_and_ordered_as_a_training_frame_is(usual):
    rows = usual.frame.rows
    assert len(rows) == N_USERS == rows["user_id"].nunique()
    assert rows[["as_of", "user_id"]].apply(tuple, axis=1).is_monotonic_increasing
    assert all(len(getattr(usual, name)) == N_USERS for name in ("action", "channel", "delay", "propensity", "dropout", "cause"))


def test_latent_states_are_no_columns_of_the_frame(onboarding, usual):
    features = set(onboarding.catalogue.feature_names) | {attribute.name for attribute in onboarding.model_attributes}
    assert set(usual.frame.rows.columns) == {"user_id", "as_of", "dropped_out"} | features
    defined = np.nan_to_num(usual.frame.vectors, nan=-1.0)
    moving = defined[:, defined.std(axis=0) > 0.0]
    for hidden in (usual.dropout[:, 0, 0], usual.cause == 1, usual.annoyed):
        assert np.abs(np.corrcoef(moving, hidden, rowvar=False)[-1, :-1]).max() < 0.8


def test_features_and_outcomes_are_those_of_people(usual):
    vectors = usual.frame.vectors
    names = usual.frame.product.catalogue.feature_names
    assert np.isfinite(vectors).mean() > 0.6
    assert vectors[:, names.index("count_login_30d")].mean() > 2.0
    assert 0.3 < usual.frame.outcomes.mean() < 0.7


def test_events_tell_something_of_the_truth(usual):
    names = usual.frame.product.catalogue.feature_names
    of = {name: usual.frame.vectors[:, names.index(name)] for name in names}
    silent = np.nan_to_num(of["seconds_since_last_use"], nan=1e9)
    assert 0.2 < spearmanr(silent, usual.dropout[:, 0, 0]).statistic < 0.8
    telling = {1: "count_login_failed_7d", 2: "count_form_failed_7d", 3: "count_step_skipped_7d"}
    for cause, name in telling.items():
        assert of[name][usual.cause == cause].mean() > 1.5 * of[name][usual.cause != cause].mean()


# --- the truth -----------------------------------------------------------------------------------------------------------------------


def test_outcomes_are_drawn_from_the_truth(usual):
    delay = np.maximum(usual.delay, 0)
    chance = usual.dropout_on[np.arange(N_USERS), usual.action, np.maximum(usual.channel, 0), delay]
    for action in range(len(usual.actions)):
        mine = usual.action == action
        error = usual.frame.outcomes[mine].mean() - chance[mine].mean()
        assert abs(error) < Z * np.sqrt((chance[mine] * (1.0 - chance[mine])).sum()) / mine.sum()


def test_propensities_are_the_shares_drawn(usual):
    sent = usual.action > 0
    assert usual.propensity[~sent].tolist() == [0.25] * int((~sent).sum())
    assert np.allclose(usual.propensity[sent], 0.75 / (5 * 2 * 7))
    assert abs((~sent).mean() - 0.25) < 0.02
    assert (usual.channel[~sent] == -1).all()
    assert (usual.delay[~sent] == -1).all()
    assert abs((1.0 / usual.propensity).sum() / N_USERS - (1 + 5 * 2 * 7)) < 2.0


def test_matched_trials_know_their_propensities(onboarding):
    trial = draw_trial(onboarding, n_users=3_000, seed=3, effects=Effects(), design=Design(control_share=0.2, matched_share=0.5))
    sent = trial.action > 0
    matched = sent & (trial.action == trial.cause)
    assert np.allclose(trial.propensity[matched], 0.8 * 0.6 / 14)
    assert np.allclose(trial.propensity[sent & ~matched], 0.8 * 0.1 / 14)
    assert abs(matched[sent].mean() - 0.6) < 0.03


def test_sending_nothing_is_the_same_whenever_it_is_not_sent(usual):
    assert (usual.dropout[:, 0] == usual.dropout[:, :1, 0]).all()
    assert (usual.dropout_on[:, 0] == usual.dropout_on[:, 0, :1, :1]).all()
    assert np.allclose(usual.dropout, usual.dropout_on.mean(axis=2))
    assert (usual.dropout >= 0.0).all()
    assert (usual.dropout <= 1.0).all()


def test_without_an_effect_no_message_changes_anything(onboarding):
    trial = draw_trial(onboarding, n_users=300, seed=1, effects=Effects.nothing())
    assert (trial.dropout == trial.dropout[:, :1, :1]).all()
    assert oracle_value(trial) == value_of(trial, 0, 0)


# --- planted sizes -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", CAUSES)
def test_a_plain_difference_in_means_recovers_each_planted_size(plain, cause):
    has = plain.cause == plain.actions.index(cause)
    dropped = plain.frame.outcomes
    helped, alone = dropped[has & (plain.action > 0)], dropped[has & (plain.action == 0)]
    kept = 1.0 - helped.mean() / alone.mean()
    ratio = helped.mean() / alone.mean()
    error = ratio * np.sqrt((1 - helped.mean()) / helped.sum() + (1 - alone.mean()) / alone.sum())  # delta method, of a risk ratio
    assert abs(kept - SIZES[cause]) < Z * error
    assert error < 0.05
    assert 1.0 - plain.dropout[has, plain.actions.index(cause), 0].mean() / plain.dropout[has, 0, 0].mean() == pytest.approx(SIZES[cause])


def test_an_unmatched_message_does_less(usual):
    rows = np.arange(N_USERS)
    unmatched = usual.cause % 5 + 1
    helped = ~usual.annoyed
    assert (usual.dropout[rows, usual.cause, 0] <= usual.dropout[rows, unmatched, 0])[helped].all()
    gain = 1.0 - np.array([value_of(usual, action, 0) for action in (usual.cause, unmatched, 0)])
    assert gain[0] < gain[1] < gain[2]


# --- policies ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", ["usual", "against_habit"])
def test_no_fixed_policy_beats_the_oracle(world, request):
    trial = request.getfixturevalue(world)
    best = oracle_value(trial)
    fixed = [value_of(trial, action, delay) for action in range(6) for delay in range(7)]
    assert best > max(fixed) + 0.02
    assert best >= value_of(trial, trial.cause, best_delay(trial, trial.cause))


def test_the_oracle_leaves_those_alone_whom_a_message_drives_away(usual):
    action, delay = oracle_policy(usual)
    assert (action[usual.annoyed] == 0).all()
    assert (delay[action == 0] == 0).all()
    assert 0.08 < usual.annoyed.mean() < 0.16


def test_the_value_of_a_policy_is_what_a_trial_of_it_shows(usual):
    drawn = value_of(usual, usual.action, usual.delay)
    assert abs(drawn - (1.0 - usual.frame.outcomes.mean())) < Z * 0.5 / np.sqrt(N_USERS)


def test_the_worth_of_matching_shows_in_the_trial(usual):
    stays = 1.0 - usual.frame.outcomes
    matched, sent = usual.action == usual.cause, usual.action > 0
    gain = stays[matched].mean() - stays[sent].mean()
    error = np.hypot(stays[matched].std() / np.sqrt(matched.sum()), stays[sent].std() / np.sqrt(sent.sum()))
    assert 0.05 < matching_gain(usual) < 0.2
    assert abs(gain - matching_gain(usual)) < Z * error


def test_weighted_by_propensity_the_trial_shows_the_value_of_a_policy(usual):
    action, _ = oracle_policy(usual)
    # Timing is flat in this world, so that messages after any delay tell of the action.
    weights = (usual.action == action) / np.where(action > 0, usual.arm_propensity * len(usual.delays_s), usual.arm_propensity)
    stays = 1.0 - usual.frame.outcomes
    value = (weights * stays).sum() / weights.sum()
    error = np.sqrt((weights**2 * (stays - value) ** 2).sum()) / weights.sum()
    assert abs(value - oracle_value(usual)) < Z * error


def test_who_is_at_risk_is_not_who_can_be_helped(usual):
    rows = np.arange(N_USERS)
    risk, uplift = usual.dropout[:, 0, 0], usual.dropout[:, 0, 0] - usual.dropout[rows, usual.cause, 0]
    assert abs(spearmanr(risk, uplift).statistic) < 0.2
    n_messages = N_USERS // 4
    values = []
    for score in (np.random.default_rng(0).random(N_USERS), risk, uplift):
        action = np.zeros(N_USERS, dtype=int)
        chosen = np.argsort(-score)[:n_messages]
        action[chosen] = usual.cause[chosen]
        values.append(value_of(usual, action, 0))
    assert values[2] > max(values[:2]) + 0.04
    assert values[1] < values[0]


def test_there_are_persuadables_sure_things_lost_causes_and_do_not_disturbs(usual):
    risk = usual.dropout[:, 0, 0]
    kept = 1.0 - usual.dropout[np.arange(N_USERS), usual.cause, 0] / risk
    assert (kept > 0.4).mean() > 0.15
    assert ((risk < 0.2) & (kept < 0.2)).mean() > 0.03
    assert ((risk > 0.85) & (kept < 0.2)).mean() > 0.05
    assert (kept < 0.0).mean() == pytest.approx(usual.annoyed.mean(), abs=0.01)


# --- moments -------------------------------------------------------------------------------------------------------------------------


def test_without_an_effect_of_timing_every_delay_is_as_good(usual):
    assert (usual.dropout == usual.dropout[:, :, :1]).all()
    assert (best_delay(usual, usual.cause) == 0).all()


def test_help_at_the_door_loses_with_delay_and_a_word_to_the_quiet_gains(onboarding):
    trial = draw_trial(onboarding, n_users=800, seed=3, effects=Effects.plain(timing=Timing.DECAY))
    assert value_of(trial, 1, 0) > value_of(trial, 1, 3) > value_of(trial, 1, 6)
    assert value_of(trial, 5, 4) > value_of(trial, 5, 3) > value_of(trial, 5, 0)


def hours(trial: Trial) -> tuple[np.ndarray, np.ndarray]:
    """Local hour of day in which each row's person usually comes, and that of the best candidate moment."""
    angle = 2.0 * np.pi * (trial.habit.hour_of_week % 24 + 0.5) / 24.0
    n_rows = len(trial.action)
    sine, cosine = (np.bincount(trial.habit.row, weights=f(angle), minlength=n_rows) for f in (np.sin, np.cos))
    usual_hour = np.arctan2(sine, cosine) * 24.0 / (2.0 * np.pi) % 24.0
    late = np.array(trial.delays_s)[best_delay(trial, trial.cause)] / 3_600.0
    return usual_hour, (trial.hour_of_week + 0.5 + late) % 24.0


def apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs((one - other + 12.0) % 24.0 - 12.0)


def test_habit_and_effect_disagree_when_asked(against_habit):
    usual_hour, best_hour = hours(against_habit)
    waits = (against_habit.cause > 1) & ~against_habit.annoyed
    assert apart(usual_hour, best_hour)[waits].mean() > 6.0  # farther than chance would have it
    by_habit = apart((against_habit.hour_of_week[:, None] + np.array(against_habit.delays_s) / 3_600.0) % 24.0, usual_hour[:, None]).argmin(
        axis=1
    )
    values = [
        value_of(against_habit, against_habit.cause, delay) for delay in (0, by_habit, best_delay(against_habit, against_habit.cause))
    ]
    assert values[1] < values[0] < values[2] - 0.02


def test_habit_and_effect_agree_when_asked(onboarding):
    trial = draw_trial(onboarding, n_users=1_000, seed=3, effects=Effects(timing=Timing.WITH_HABIT))
    usual_hour, best_hour = hours(trial)
    waits = (trial.cause > 1) & ~trial.annoyed
    assert apart(usual_hour, best_hour)[waits].mean() < 4.5  # nearer than chance would have it


def test_habit_says_when_people_came_before(usual):
    habit = usual.habit
    assert (np.diff(habit.row) >= 0).all()
    assert (habit.age_s > 0).all()
    assert np.bincount(habit.row, minlength=N_USERS).min() >= 1  # everyone has signed up
    first_s = np.zeros(N_USERS)
    np.maximum.at(first_s, habit.row, habit.age_s)
    signup_s = usual.frame.rows["seconds_since_signup_at"].to_numpy()
    assert np.allclose(first_s, signup_s)


# --- messages and channels -----------------------------------------------------------------------------------------------------------


def test_fatigue_lowers_the_value_of_the_nth_message(usual):
    rows = np.arange(N_USERS)
    kept = 1.0 - usual.dropout[rows, usual.cause, 0] / usual.dropout[:, 0, 0]
    means = [kept[~usual.annoyed & (usual.contacts == n)].mean() for n in range(3)]
    assert means[0] > means[1] > means[2] > 0.0
    assert means[1] / means[0] == pytest.approx(np.exp(-0.35), abs=0.15)


def test_each_has_a_channel_that_works_better(usual):
    rows = np.arange(N_USERS)
    both = usual.dropout_on[rows, usual.cause, :, 0][~usual.annoyed]
    assert (both[:, 0] != both[:, 1]).mean() > 0.95
    desk = (usual.frame.rows["device"] == "web").to_numpy()[~usual.annoyed]
    assert (both[desk, 1] < both[desk, 0]).mean() > 0.7
    assert (both[~desk, 0] < both[~desk, 1]).mean() > 0.7


def test_repeated_decisions_tire_and_end_with_dropout(onboarding):
    trial = draw_trial(onboarding, n_users=1_500, seed=4, effects=Effects(), design=Design(n_decisions=3, control_share=0.1))
    rows = trial.frame.rows.assign(contacts=trial.contacts, sent=trial.action > 0)
    for _, mine in rows.groupby("user_id"):
        assert not mine["dropped_out"].to_numpy()[:-1].any()
        assert (np.diff(mine["contacts"]) == mine["sent"].to_numpy()[:-1]).all()
    again = rows["user_id"].duplicated()
    assert 0.3 < again.mean() < 0.7
    kept = 1.0 - trial.dropout[np.arange(len(rows)), trial.cause, 0] / trial.dropout[:, 0, 0]
    later = again.to_numpy() & ~trial.annoyed
    assert kept[later].mean() < kept[~again.to_numpy() & ~trial.annoyed].mean()


def test_who_stays_comes_back_within_the_horizon(usual):
    horizon_s = usual.frame.horizon.total_seconds()
    assert (np.isinf(usual.return_s) == usual.frame.outcomes).all()
    back = usual.return_s[~usual.frame.outcomes]
    assert back.min() > 0.0
    assert back.max() < horizon_s


# --- what cannot be --------------------------------------------------------------------------------------------------------------------


def test_no_user_and_unfit_products_are_refused(onboarding):
    with pytest.raises(SimulationError, match="n_users: got 0, expected a whole number from 1 to"):
        draw_trial(onboarding, n_users=0, seed=1, effects=Effects())
    with pytest.raises(SimulationError, match="causes: login_friction not declared, expected those that messages are simulated for"):
        draw_trial(replace(onboarding, causes=onboarding.causes[1:]), n_users=5, seed=1, effects=Effects())
    short = replace(onboarding, label=replace(onboarding.label, horizon=timedelta(days=2)))
    with pytest.raises(SimulationError, match="horizon: got 2 days, 0:00:00, expected more than 3 days"):
        draw_trial(short, n_users=5, seed=1, effects=Effects())


@pytest.mark.parametrize("n_users", [1, 2, 7])
def test_a_tiny_trial_can_be_drawn(onboarding, n_users):
    trial = draw_trial(onboarding, n_users=n_users, seed=1, effects=Effects(timing=Timing.AGAINST_HABIT))
    assert np.isfinite(trial.dropout).all()
    assert len(trial.frame.rows) == n_users
