"""The closed form of the yardstick agrees with simulated customers."""

from __future__ import annotations

import numpy as np

from benchmarks.bgnbd import PUBLISHED

WEEKS, AHEAD = 39.0, 39.0


def test_the_chance_of_no_further_purchase_is_that_of_simulated_customers() -> None:
    x, t_x, buys_again = simulated_customers(400_000, seed=1)
    predicted = PUBLISHED.p_no_purchase(x, t_x, np.full(len(x), WEEKS), t=AHEAD)
    groups = [(x == 0), (x == 1) & (t_x < 15), (x == 1) & (t_x >= 15), (x == 2), (x >= 3) & (t_x < 25), (x >= 3) & (t_x >= 25)]
    for group in groups:
        observed, n = 1 - buys_again[group].mean(), group.sum()
        assert n > 3_000
        assert abs(predicted[group].mean() - observed) < 4 * np.sqrt(observed * (1 - observed) / n)


def simulated_customers(n: int, *, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Repeat purchases and the last one's time within the first weeks, and whether any follows in those ahead."""
    rng = np.random.default_rng(seed)
    rate, leaves = rng.gamma(PUBLISHED.r, 1 / PUBLISHED.alpha, n), rng.beta(PUBLISHED.a, PUBLISHED.b, n)
    rate = np.maximum(rate, 1e-12)
    x, t_x, now, again = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n, dtype=bool)
    alive = np.ones(n, dtype=bool)
    while alive.any():
        who = np.flatnonzero(alive)
        now[who] += rng.exponential(1 / rate[who])
        early, late = who[now[who] <= WEEKS], who[(now[who] > WEEKS) & (now[who] <= WEEKS + AHEAD)]
        x[early] += 1
        t_x[early] = now[early]
        again[late] = True
        alive[who] = now[who] <= WEEKS
        alive[early] = rng.random(len(early)) >= leaves[early]
    return x, t_x, again
