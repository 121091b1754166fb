"""Rows of a simulated trial: what its analyst sees, in the layout of real ones."""

from __future__ import annotations

import numpy as np
import pytest

from features.core.weekly import hour_of_week
from tests.second_generator import second_trial
from training.frame import learn_signature
from training.timing.trial_rows import delay_shares, trial_receptivity, trial_rows, visits_of
from training.trial import Trial


@pytest.fixture(scope="module")
def trial() -> Trial:
    return second_trial(n_users=1_500, seed=4)


def test_the_clock_of_each_row_shows_its_local_hour(trial: Trial) -> None:
    rows = visits_of(trial).rows
    assert np.array_equal(hour_of_week(rows.as_of_us, rows.utc_offset_s), trial.hour_of_week)


def test_habits_are_of_visits_before_as_of_and_differ_by_person(trial: Trial) -> None:
    visits = visits_of(trial)
    rows = trial_rows(trial, learn_signature(trial.frame), trial_receptivity(visits), visits)
    assert (visits.hours.occurred_us < visits.rows.as_of_us[visits.hours.user]).all()
    assert rows.asked.habit.sum(axis=1) == pytest.approx(np.ones(1_500))
    assert rows.asked.habit.std(axis=0).max() > 0.002


def test_the_share_of_a_delay_is_near_the_chance_with_which_it_is_drawn(trial: Trial) -> None:
    at_once = trial.delay == 0
    assert delay_shares(trial)[at_once] == pytest.approx(np.full(at_once.sum(), 0.3), abs=0.05)
    assert (delay_shares(trial)[trial.action == 0] == 1.0).all()
