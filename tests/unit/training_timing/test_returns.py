"""When people came back, and which periods were watched."""

from __future__ import annotations

import numpy as np

from training.timing.returns import Returns, activity_log, person_periods, returns_of

S = 1_000_000


def test_a_return_is_the_next_activity_of_the_same_user_only() -> None:
    log = activity_log(np.array([1, 0, 1]), np.array([50, 10, 20]) * S, n_users=2, end_us=60 * S)
    times_s, observed = returns_of(log, np.array([0, 0, 1, 1]), np.array([5, 10, 20, 50]) * S)
    assert times_s.tolist() == [5.0, 50.0, 30.0, 10.0]
    assert observed.tolist() == [True, False, True, False]


def test_what_lies_after_the_end_of_the_slice_was_not_seen() -> None:
    log = activity_log(np.array([0]), np.array([50]) * S, n_users=1, end_us=100 * S)
    times_s, observed = returns_of(log.until(40 * S), np.array([0]), np.array([10]) * S)
    assert times_s.tolist() == [30.0]
    assert observed.tolist() == [False]


def test_a_period_that_the_end_cuts_is_no_row_even_if_the_return_is_in_it() -> None:
    edges = np.array([0.0, 10.0, 20.0])
    rows = person_periods(Returns(np.array([12.0]), np.array([True])), np.array([15.0]), edges)
    assert rows.period.tolist() == [0]
    assert rows.returned.tolist() == [False]


def test_the_hazard_of_the_rows_is_unbiased_whatever_the_censoring() -> None:
    rng = np.random.default_rng(4)
    back, end = rng.exponential(30.0, 50_000), rng.uniform(0.0, 60.0, 50_000)
    returns = Returns(np.minimum(back, end), back <= end)
    rows = person_periods(returns, end, np.array([0.0, 10.0, 20.0, 30.0]))
    for period in range(3):
        hazard = rows.returned[rows.period == period].mean()
        assert abs(hazard - (1 - np.exp(-10 / 30))) < 0.01


def test_activity_at_as_of_is_not_after_it() -> None:
    log = activity_log(np.array([0, 0]), np.array([10, 10]) * S, n_users=1, end_us=20 * S)
    _, observed = returns_of(log, np.array([0]), np.array([10]) * S)
    assert observed.tolist() == [False]
