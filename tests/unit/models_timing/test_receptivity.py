"""Habits of the week: decay, shrinkage, local hours."""

from __future__ import annotations

import numpy as np
import pytest

from features.core.weekly import HOURS_OF_WEEK
from models.errors import ModelError
from models.timing.periods import DAY_S
from models.timing.receptivity import Receptivity

HOUR_US = 3_600_000_000
EVENING = np.full(HOURS_OF_WEEK, 1.0)
EVENING[20::24] = 30.0
EVENING /= EVENING.sum()


def receptivity(**changed: object) -> Receptivity:
    usual = {"population": tuple(EVENING.tolist()), "half_life_s": 10 * DAY_S, "kernel_h": 0.0, "day_strength": 4.0, "week_strength": 10.0}
    return Receptivity(**{**usual, **changed})  # type: ignore[arg-type]


def test_somebody_unknown_has_the_week_of_everybody() -> None:
    assert receptivity().probabilities(np.zeros((1, HOURS_OF_WEEK)))[0] == pytest.approx(EVENING)


def test_every_habit_sums_to_one_and_has_no_impossible_hour() -> None:
    counts = np.random.default_rng(1).poisson(0.3, size=(50, HOURS_OF_WEEK)).astype(float)
    habits = receptivity(kernel_h=2.0).probabilities(counts)
    assert habits.sum(axis=1) == pytest.approx(np.ones(50))
    assert (habits > 0).all()


def test_much_history_outweighs_everybody() -> None:
    mornings = np.zeros((1, HOURS_OF_WEEK))
    mornings[0, 7::24] = 200.0
    assert receptivity().probabilities(mornings)[0].argmax() % 24 == 7


def test_the_day_is_learned_before_the_weekday() -> None:
    one_monday_morning = np.zeros((1, HOURS_OF_WEEK))
    one_monday_morning[0, 7] = 5.0
    habit = receptivity().probabilities(one_monday_morning)[0]
    assert habit[7] > habit[31] > habit[32]  # Monday at 7; Tuesday at 7; Tuesday at 8


def test_the_kernel_lends_to_neighbouring_hours_around_midnight() -> None:
    at_eleven = np.zeros((1, HOURS_OF_WEEK))
    at_eleven[0, 23] = 20.0
    habit = receptivity(population=tuple(np.full(HOURS_OF_WEEK, 1 / HOURS_OF_WEEK)), kernel_h=1.5).probabilities(at_eleven)[0]
    assert habit[24] > habit[24 + 12]  # Tuesday 0:00 beside Tuesday noon


def test_what_happened_after_as_of_or_long_ago_does_not_count() -> None:
    model = receptivity(half_life_s=DAY_S)
    now = 1_000 * 24 * HOUR_US
    instants = np.array([now + HOUR_US, now - 100 * 24 * HOUR_US])
    assert model.of_instants(instants, as_of_us=now, utc_offset_s=0) == pytest.approx(EVENING)


def test_hours_are_those_of_the_users_own_clock() -> None:
    now = 8 * 24 * HOUR_US  # a Friday, 0:00 UTC
    tokyo = receptivity().of_instants(np.array([now - HOUR_US]), as_of_us=now, utc_offset_s=9 * 3600)
    assert (tokyo - EVENING).argmax() == 4 * 24 + 8  # Thursday 23:00 UTC is Friday 8:00 in Tokyo


def test_it_survives_json() -> None:
    assert Receptivity.from_json(receptivity().to_json()) == receptivity()


def test_an_hour_without_any_chance_is_refused() -> None:
    with pytest.raises(ModelError, match="positive"):
        receptivity(population=(0.0,) * HOURS_OF_WEEK)
