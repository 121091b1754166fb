"""Kaplan-Meier and the Brier score against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from training.timing.survival import Steps, brier_scores, censoring, integrated_brier_score, kaplan_meier

# Six people: returns at 1, 3, 3 and 5; lost from sight at 2 and at 3.
TIMES = np.array([1.0, 2.0, 3.0, 3.0, 3.0, 5.0])
SEEN = np.array([True, False, True, True, False, True])


def test_kaplan_meier_by_hand() -> None:
    steps = kaplan_meier(TIMES, SEEN)
    # 1: 6 at risk, 1 returns; 3: 4 at risk, 2 return; 5: 1 at risk, 1 returns.
    assert steps.times_s.tolist() == [1.0, 3.0, 5.0]
    assert steps.survival == pytest.approx([5 / 6, 5 / 6 * 1 / 2, 0.0])
    assert steps.at(np.array([0.9, 1.0, 4.0])) == pytest.approx([1.0, 5 / 6, 5 / 12])
    assert steps.before(np.array([1.0, 3.0])) == pytest.approx([1.0, 5 / 6])


def test_kaplan_meier_without_censoring_is_the_share_still_away() -> None:
    times = np.random.default_rng(1).exponential(size=200)
    grid = np.linspace(0.0, 3.0, 20)
    steps = kaplan_meier(times, np.ones(200, dtype=bool))
    assert steps.at(grid) == pytest.approx([(times > t).mean() for t in grid])


def test_censoring_by_hand_lets_returns_at_the_same_time_go_first() -> None:
    lost = censoring(TIMES, SEEN)
    # 2: 5 still there, 1 lost; 3: 4 still there, 2 of them return first, 1 of the remaining 2 is lost.
    assert lost.times_s.tolist() == [2.0, 3.0]
    assert lost.survival == pytest.approx([4 / 5, 4 / 5 * 1 / 2])


def test_brier_score_by_hand() -> None:
    away = np.full((6, 1), 0.7)
    got = brier_scores(away, np.array([4.0]), TIMES, SEEN)
    # Returned by 4: at 1 (G(1-) = 1), twice at 3 (G(3-) = 0.8). Still away: the one of 5 (G(4) = 0.4). The lost weigh nothing.
    by_hand = (0.49 / 1.0 + 2 * 0.49 / 0.8 + 0.09 / 0.4) / 6
    assert got == pytest.approx([by_hand])


def test_the_weights_make_up_for_those_lost_from_sight() -> None:
    rng = np.random.default_rng(2)
    truth = rng.exponential(10.0, 40_000)
    end = rng.uniform(2.0, 20.0, 40_000)
    grid = np.linspace(0.0, 12.0, 13)
    away = np.tile(np.exp(-grid / 8.0), (len(truth), 1))
    whole = integrated_brier_score(away, grid, truth, np.ones(len(truth), dtype=bool))
    censored = integrated_brier_score(away, grid, np.minimum(truth, end), truth <= end)
    assert censored == pytest.approx(whole, abs=0.004)


def test_the_true_curve_has_a_lower_score_than_a_wrong_one() -> None:
    times = np.random.default_rng(3).exponential(5.0, 2_000)
    seen, grid = np.ones(2_000, dtype=bool), np.linspace(0.0, 10.0, 21)
    right, wrong = (np.tile(np.exp(-grid / scale), (2_000, 1)) for scale in (5.0, 12.0))
    assert integrated_brier_score(right, grid, times, seen) < integrated_brier_score(wrong, grid, times, seen)


def test_nobody_has_no_steps() -> None:
    steps: Steps = kaplan_meier(np.empty(0), np.empty(0, dtype=bool))
    assert steps.at(np.array([1.0])).tolist() == [1.0]
