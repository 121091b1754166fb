"""Cohorts get the level that their own mature outcomes show, no sooner, and only where that helps."""

from __future__ import annotations

import numpy as np
import pytest

from models.calibration import shift_odds, sigmoid
from training.calibrate import log_losses
from training.levels import ScoredRows, choose_levels, levels_at, overlapping, shifts_by_then

DAY_US = 86_400_000_000
HORIZON_DAYS = 10


def scored(shifts: list[float], *, users: int = 100, days: int = 20, seed: int = 0) -> ScoredRows:
    """Rows of every user on each day, where the true log-odds of a cohort are the predicted ones and its shift."""
    rng = np.random.default_rng(seed)
    cohort, user, day = (each.ravel() for each in np.meshgrid(range(len(shifts)), range(users), range(days), indexing="ij"))
    raw = rng.normal(0, 1.5, size=len(cohort))
    return ScoredRows(
        probabilities=sigmoid(raw),
        outcomes=rng.random(len(raw)) < sigmoid(raw + np.array(shifts)[cohort]),
        cohorts=np.array([f"c{i:02d}" for i in cohort]),
        users=np.array([f"{i}-{j}" for i, j in zip(cohort, user, strict=True)], dtype=object),
        as_of_us=day * DAY_US,
        horizon_us=HORIZON_DAYS * DAY_US,
    )


def test_nothing_is_said_of_a_cohort_before_its_first_outcomes_are_mature() -> None:
    rows = scored([0.8])
    shifts = shifts_by_then(rows, between_variance=0.5)
    assert not shifts[rows.as_of_us < HORIZON_DAYS * DAY_US].any()
    assert (shifts[rows.as_of_us >= HORIZON_DAYS * DAY_US] > 0).all()


def test_no_row_is_told_by_an_outcome_that_was_not_mature_then() -> None:
    rows = scored([0.8, -0.3])
    later = rows.as_of_us > 5 * DAY_US  # none of them is mature on day 15
    turned = ScoredRows(
        probabilities=rows.probabilities,
        outcomes=rows.outcomes ^ later,
        cohorts=rows.cohorts,
        users=rows.users,
        as_of_us=rows.as_of_us,
        horizon_us=rows.horizon_us,
    )
    then = rows.as_of_us <= 15 * DAY_US
    assert (shifts_by_then(rows, between_variance=0.5)[then] == shifts_by_then(turned, between_variance=0.5)[then]).all()


def test_what_is_applied_on_a_day_is_what_the_levels_are_on_that_day() -> None:
    rows = scored([0.8, -0.3])
    levels = levels_at(rows, at_us=15 * DAY_US, between_variance=0.5)
    on_day = rows.as_of_us == 15 * DAY_US
    assert shifts_by_then(rows, between_variance=0.5)[on_day].tolist() == [levels[cohort] for cohort in rows.cohorts[on_day]]


def test_a_planted_level_is_found_and_more_of_it_is_believed_with_more_outcomes() -> None:
    few, many = (levels_at(scored([0.8], users=n), at_us=30 * DAY_US, between_variance=0.2)["c00"] for n in (3, 500))
    assert many == pytest.approx(0.8, abs=0.1)
    assert abs(few) < many


def test_where_cohorts_do_not_differ_nothing_is_believed() -> None:
    assert levels_at(scored([0.8]), at_us=30 * DAY_US, between_variance=0.0) == {"c00": 0.0}


def test_rows_of_one_user_overlap_by_as_many_as_the_horizon_spans() -> None:
    assert overlapping(scored([0.0])) == HORIZON_DAYS
    assert overlapping(scored([0.0], days=1)) == 1.0


def test_levels_are_chosen_where_cohorts_differ_and_lower_the_loss_there() -> None:
    shifts = np.random.default_rng(1).normal(0, 0.7, size=8).tolist()
    rows = scored(shifts)
    chosen = choose_levels(rows)
    assert chosen.applied
    assert chosen.between_variance == pytest.approx(0.5, rel=0.6)
    by_then = shift_odds(rows.probabilities, shifts_by_then(rows, between_variance=chosen.between_variance))
    assert log_losses(by_then, rows.outcomes).mean() < chosen.log_loss["none"]


@pytest.mark.parametrize("shifts", [[0.0] * 8, [0.9], [0.8, -0.8]])
def test_levels_are_not_chosen_without_differences_or_with_too_few_cohorts(shifts: list[float]) -> None:
    assert not choose_levels(scored(shifts, users=60)).applied
