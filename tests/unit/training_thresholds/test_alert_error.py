"""Intervals of an alert error count users, not rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from training.thresholds.alert_error import alert_figures, evidence, share_of, upper_bound
from training.thresholds.rows import alert_rows


def test_of_one_row_a_user_the_bound_is_the_exact_one() -> None:
    hit = np.arange(40) < 3
    exact = binomtest(3, 40, alternative="less").proportion_ci(0.95, method="exact").high
    assert upper_bound(evidence(hit, np.arange(40)), miss=0.05) == pytest.approx(exact, abs=0.002)


def test_saying_everything_twenty_times_says_nothing_more() -> None:
    rng = np.random.default_rng(1)
    hit = rng.random(60) < 0.2
    once, often = evidence(hit, np.arange(60)), evidence(np.repeat(hit, 20), np.repeat(np.arange(60), 20))
    assert often.rows == 1200
    assert often.n == pytest.approx(once.n, rel=0.05)


def test_where_nobody_was_alerted_each_user_counts_once() -> None:
    seen = evidence(np.zeros(500, dtype=bool), np.repeat(np.arange(10), 50))
    assert (seen.n, seen.users) == (10.0, 10)
    assert upper_bound(seen, miss=0.05) == pytest.approx(1 - 0.05 ** (1 / 10))


def test_without_rows_nothing_is_claimed() -> None:
    share = share_of(np.empty(0, dtype=bool), np.empty(0, dtype=np.int64))
    assert np.isnan(share.value)
    assert (share.low, share.high, str(share)) == (0.0, 1.0, "-")


def test_the_upper_bound_covers_the_truth_of_dependent_rows() -> None:
    rng = np.random.default_rng(7)
    covered = []
    for _ in range(400):
        personal = rng.beta(0.5, 2.5, 80)  # alerts run in users: the mean is 1/6
        rows = rng.integers(1, 15, 80)
        user = np.repeat(np.arange(80), rows)
        hit = rng.random(len(user)) < personal[user]
        covered.append(upper_bound(evidence(hit, user), miss=0.05) >= 1 / 6)
    assert np.mean(covered) >= 0.92  # 95 % less three standard errors


def test_both_errors_the_share_alerted_and_the_recall_come_together() -> None:
    rows = alert_rows(range(10), ["free"] * 10, np.linspace(0.05, 0.95, 10), np.arange(10) >= 6)
    figures = alert_figures(rows, rows.risk >= 0.5)
    assert figures.of_stayers.value == pytest.approx(1 / 6)
    assert figures.of_alerts.value == pytest.approx(1 / 5)
    assert (figures.alerted.value, figures.recall.value) == (0.5, 1.0)
    assert figures.of_stayers.low < 1 / 6 < figures.of_stayers.high
