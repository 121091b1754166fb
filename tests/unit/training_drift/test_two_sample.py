"""P values are chances, of however few values."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from training.drift.two_sample import ks_p_value


@pytest.mark.parametrize("n_first", [0, 1, 2])
@pytest.mark.parametrize("n_second", [0, 1, 2])
def test_of_none_one_or_two_values_nothing_is_shown(n_first: int, n_second: int) -> None:
    first, second = np.arange(n_first, dtype=np.float64), 10.0 + np.arange(n_second)
    unknown = np.full(3, np.nan)
    p_value = ks_p_value(np.concatenate([first, unknown]), np.concatenate([unknown, second]))
    expected = {(1, 2): 2 / 3, (2, 1): 2 / 3, (2, 2): 1 / 3}  # 2 of the orders that there are, of which all are as likely
    assert p_value == pytest.approx(expected.get((n_first, n_second), 1.0))


@pytest.mark.parametrize("n_second", [1, 3, 6])
def test_of_few_values_it_is_the_share_of_orders_that_are_as_far_apart(n_second: int) -> None:
    rng = np.random.default_rng(n_second)
    values = rng.normal(size=4 + n_second)
    every = [np.isin(np.arange(len(values)), chosen) for chosen in combinations(range(len(values)), 4)]
    apart = np.array([ks_2samp(values[mine], values[~mine]).statistic for mine in every])
    for mine, distance in zip(every[:20], apart[:20], strict=True):
        assert ks_p_value(values[mine], values[~mine]) == pytest.approx(np.mean(apart >= distance - 1e-9))


def test_one_value_beyond_many_is_as_rare_as_it_is_and_no_rarer() -> None:
    assert ks_p_value(np.array([1e9]), np.arange(20_000.0)) == pytest.approx(2 / 20_001)


def test_where_nothing_moved_few_are_called_moved_at_any_size() -> None:
    rng = np.random.default_rng(0)
    for size in ((2, 60), (15, 15), (21, 40), (200, 300)):
        found = np.array([ks_p_value(rng.normal(size=size[0]), rng.normal(size=size[1])) for _ in range(300)])
        assert np.mean(found <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)
