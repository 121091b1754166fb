"""A share watched at every look: false alarms are rare at whatever moment one stops, true ones come soon."""

from __future__ import annotations

import numpy as np
import pytest

from training.thresholds.sequential import log_capital, watch

ALPHA, BOUND, MOST = 0.05, 0.15, 7


def users(rng: np.random.Generator, n: int, error: float) -> tuple[np.ndarray, np.ndarray]:
    """Hits and rows of users whose alerts run together."""
    rows = rng.integers(1, MOST + 1, n)
    personal = rng.beta(error, 1 - error, n)
    return rng.binomial(rows, personal).astype(float), rows.astype(float)


def test_with_the_error_at_its_bound_at_most_one_run_in_twenty_ever_alarms() -> None:
    rng = np.random.default_rng(3)
    alarms = [(log_capital(*users(rng, 2_000, BOUND), bound=BOUND, most_rows=MOST) >= np.log(1 / ALPHA)).any() for _ in range(400)]
    assert np.mean(alarms) <= ALPHA


def test_a_doubled_error_is_noticed_within_a_few_hundred_users() -> None:
    rng = np.random.default_rng(4)
    needed = [watch(*users(rng, 1_500, 2 * BOUND), bound=BOUND, alpha=ALPHA, most_rows=MOST).broken_at for _ in range(40)]
    assert None not in needed
    assert np.quantile([at for at in needed if at is not None], 0.95) <= 500


def test_the_interval_holds_the_truth_at_every_look() -> None:
    rng = np.random.default_rng(5)
    missed = []
    for _ in range(100):
        seen = watch(*users(rng, 600, 0.25), bound=BOUND, alpha=0.025, most_rows=MOST)
        missed.append(bool(((seen.low > 0.25) | (seen.high < 0.25)).any()))
        assert (np.diff(seen.low) >= 0).all()
        assert (np.diff(seen.high) <= 0).all()
    assert np.mean(missed) <= 0.08


def test_nobody_yet_is_nothing_known() -> None:
    seen = watch(np.empty(0), np.empty(0), bound=BOUND, alpha=ALPHA, most_rows=1)
    assert seen.broken_at is None
    assert len(seen.low) == 0


def test_a_bound_of_one_row_each_agrees_with_hand_made_betting() -> None:
    capital = log_capital(np.array([1.0]), np.array([1.0]), bound=0.5, most_rows=1)
    stakes = np.array([0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75])
    assert capital[0] == pytest.approx(np.log(np.mean(1 + stakes / 0.5 * 0.5)))
