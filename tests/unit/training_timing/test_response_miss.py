"""How far predictions miss left-out outcomes beyond chance, where the miss is planted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.timing.response_miss import LeftOut, expected_miss, gain_misses, squared_miss

SHARES = np.array([0.5, 0.3, 0.2])  # of delays
N_ROWS = 200_000


def left_out(shrunk: float, seed: int = 1) -> LeftOut:
    """Delays whose true gains over now are 0, u / 10 and u / 5 with u uniform on -1 .. 1; predicted are they times ``shrunk``."""
    rng = np.random.default_rng(seed)
    gain = rng.uniform(-1.0, 1.0, N_ROWS)[:, None] * np.array([0.0, 0.1, 0.2])
    drawn = rng.choice(3, N_ROWS, p=SHARES)
    return LeftOut(
        predicted=0.5 - shrunk * gain,
        drawn=drawn,
        weight=1.0 / SHARES[drawn],
        prognosis=np.full(N_ROWS, 0.5),
        dropped_out=rng.random(N_ROWS) < 0.5 - gain[np.arange(N_ROWS), drawn],
        user=np.arange(N_ROWS),
    )


def test_right_predictions_miss_nothing_on_average() -> None:
    rng, n_rows = np.random.default_rng(2), 2_000
    squared = [squared_miss(rng.random(n_rows), rng.normal(0.0, 0.5, n_rows), np.arange(n_rows)) for _ in range(200)]
    found = [one.found for one in squared]
    one_error = 0.25 / (n_rows / 10)  # squared, of the mean of a tenth
    assert abs(np.mean(found)) < 0.1 * one_error
    assert min(found) < 0.0 < max(found)
    assert 1.0 < np.mean([one.se for one in squared]) / np.std(found) < 1.5  # rather too large: part of what chance feigns counts as found


def test_a_miss_that_grows_with_the_prediction_is_found() -> None:
    rng = np.random.default_rng(3)
    predicted = rng.uniform(-1.0, 1.0, N_ROWS)
    found = squared_miss(predicted, 0.1 * predicted + rng.normal(0.0, 0.5, N_ROWS), np.arange(N_ROWS))
    assert found.found == pytest.approx(0.01 / 3, rel=0.1)


def test_rows_of_one_user_count_once() -> None:
    rng = np.random.default_rng(4)
    predicted, residual, user = rng.random(500), rng.normal(size=500), np.arange(500)
    doubled = squared_miss(np.tile(predicted, 2), np.tile(residual, 2), np.tile(user, 2))
    assert doubled == pytest.approx(squared_miss(predicted, residual, user))


def test_without_rows_or_with_one_user_nothing_is_known() -> None:
    assert squared_miss(np.empty(0), np.empty(0), np.empty(0)) == (0.0, 0.0)
    assert squared_miss(np.ones(5), np.ones(5), np.zeros(5)) == (0.0, 0.0)


def test_gains_that_were_shrunk_by_half_miss_by_half() -> None:
    first, *later = gain_misses(left_out(0.5))
    assert first == 0.0
    assert later == pytest.approx([0.05 / np.sqrt(3), 0.1 / np.sqrt(3)], rel=0.15)


def test_gains_that_are_right_miss_far_less() -> None:
    assert max(gain_misses(left_out(1.0))) < 0.3 * max(gain_misses(left_out(0.5)))


def test_where_no_gain_is_predicted_all_delays_share_one_finite_miss() -> None:
    judged = left_out(0.0)
    flat = gain_misses(judged)
    assert flat[1] == flat[2] >= 0.0
    assert np.isfinite(flat).all()


def test_in_a_small_trial_a_miss_that_chance_hides_is_not_taken_for_none() -> None:
    large, some = left_out(1.0), np.arange(2_000)
    small = LeftOut(**{name: getattr(large, name)[some] for name in LeftOut.__slots__ if name != "was_open"})
    assert max(gain_misses(small)) > 2 * max(gain_misses(large)) > 0.0


def test_what_is_missed_of_acting_and_of_not_acting_adds_up() -> None:
    rng = np.random.default_rng(5)
    judged = left_out(1.0)
    without = np.full(N_ROWS, 0.6)
    right = (without, rng.random(N_ROWS) < 0.6, np.arange(N_ROWS))
    wrong = (without, rng.random(N_ROWS) < 0.7, np.arange(N_ROWS))
    assert expected_miss(judged, without, nothing=right) < 0.02
    assert expected_miss(judged, without, nothing=wrong) == pytest.approx(0.1, abs=0.01)
    too_high = replace(judged, predicted=judged.predicted + 0.1)
    assert expected_miss(too_high, without, nothing=wrong) == pytest.approx(np.hypot(0.1, 0.1), abs=0.01)


def test_where_everybody_was_sent_something_only_acting_is_judged() -> None:
    nobody = (np.empty(0), np.empty(0, dtype=bool), np.empty(0))
    assert 0.0 <= expected_miss(left_out(1.0), np.full(N_ROWS, 0.6), nothing=nobody) < 0.02
