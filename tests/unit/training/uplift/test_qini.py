"""The Qini curve and its scale, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.training.uplift.planted_experiment import planted
from training.uplift.experiment import Experiment
from training.uplift.qini import RankingError, TwoArms, largest_area, measure_ranking, qini_curve, two_arms, uplift_at


def arms(treated: list[int], outcome: list[float], propensity: list[float], score: list[float] | None = None) -> TwoArms:
    scores = np.arange(len(treated), 0, -1.0) if score is None else np.array(score, dtype=float)
    return TwoArms(score=scores, treated=np.array(treated, dtype=bool), outcome=np.array(outcome), weight=1 / np.array(propensity))


def test_unequal_propensities_by_hand() -> None:
    # Treated at 1/4 and 3/4: weights 4 and 4/3, shares 3/4 and 1/4. Controls at 3/4 and 1/4: weights 4/3 and 4, shares 1/4 and 3/4.
    rows = arms([1, 0, 1, 0], [1, 0, 0, 1], [0.25, 0.75, 0.75, 0.25])
    curve = qini_curve(rows)
    assert curve.gain.tolist() == pytest.approx([0, 3 / 4, 3 / 4, 3 / 4, 0])
    assert curve.share.tolist() == pytest.approx([0, 3 / 8, 1 / 2, 5 / 8, 1])
    # Triangles of 3/8 x 3/4 / 2 on both sides, 1/4 x 3/4 between; nothing to subtract, the average effect is 0.
    assert curve.area() == pytest.approx(2 * (3 / 8) * (3 / 4) / 2 + (1 / 4) * (3 / 4))


def test_a_perfect_ranking_reaches_one() -> None:
    # One in two is persuaded, one in two is put off: mean 1/2 in both arms, p = 1/2. Each type is seen once in each arm.
    rows = arms([1, 0, 1, 0], [1, 0, 0, 1], [0.5] * 4, score=[2, 2, 1, 1])
    assert qini_curve(rows).area() == pytest.approx(0.25)
    assert largest_area(rows) == pytest.approx(0.25)  # p (1 - p / 2) - p^2 / 2 = 3/8 - 1/8


def test_the_wrong_way_round_is_as_far_below_zero() -> None:
    rows = arms([1, 0, 1, 0], [0, 1, 1, 0], [0.5] * 4, score=[2, 2, 1, 1])
    assert qini_curve(rows).area() == pytest.approx(-0.25)


def test_one_score_for_all_is_random_targeting() -> None:
    rows = arms([1, 0, 1, 0, 1], [1, 0, 1, 1, 0], [0.5] * 5, score=[1] * 5)
    assert qini_curve(rows).area() == pytest.approx(0)


def test_amounts_have_no_normalised_coefficient() -> None:
    rows = arms([1, 0, 1, 0], [20.0, 0, 5.0, 1], [0.5] * 4)
    assert np.isnan(largest_area(rows))
    assert qini_curve(rows).area() > 1  # in units of the outcome, where nothing is wrong with values beyond 1


PAIRS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=3, max_size=30)


@given(PAIRS)
def test_no_ranking_exceeds_one_where_both_arms_stand_alike(pairs: list[tuple[bool, bool]]) -> None:
    """One treated row and one control at each score: the bound is exact, whatever the outcomes are."""
    treated = np.tile([True, False], len(pairs))
    outcome = np.array(pairs, dtype=float).reshape(-1)
    rows = arms(treated.tolist(), outcome.tolist(), [0.5] * len(treated), score=np.repeat(np.arange(len(pairs), 0, -1.0), 2).tolist())
    assert abs(qini_curve(rows).area()) <= largest_area(rows) + 1e-12


def test_uplift_at_counts_the_edge_in_part() -> None:
    rows = arms([1, 0, 1, 0, 1, 0], [1, 0, 1, 1, 0, 0], [0.5] * 6, score=[3, 3, 2, 2, 1, 1])
    assert uplift_at(rows, 1 / 3) == pytest.approx(1.0)
    assert uplift_at(rows, 0.5) == pytest.approx(1.0 - 0.5 / 1.5)
    assert uplift_at(rows, 1.0) == pytest.approx(2 / 3 - 1 / 3)


def test_equal_scores_do_not_depend_on_the_order_of_rows() -> None:
    world = planted(2000, seed=1, binary=True).experiment
    score = np.round(world.covariates["x0"].to_numpy())
    backwards = np.arange(2000)[::-1]
    forward, back = two_arms(score, world, "mail"), two_arms(score[::-1], world.take(backwards), "mail")
    assert qini_curve(forward).area() == pytest.approx(qini_curve(back).area())
    assert uplift_at(forward, 0.3) == pytest.approx(uplift_at(back, 0.3))


def test_the_true_effect_ranks_well_and_noise_does_not() -> None:
    world = planted(6000, seed=2, binary=True)
    right = measure_ranking(world.effects[:, 0], world.experiment, "mail", n_draws=100)
    noise = measure_ranking(np.random.default_rng(0).normal(size=6000), world.experiment, "mail", n_draws=100)
    assert right.qini.low > 0
    assert noise.qini.low < 0 < noise.qini.high
    assert 0 < right.normalised.value < 1
    assert right.uplift_at[0.5].low < 0.3 < right.uplift_at[0.5].high


def test_intervals_cover_the_true_uplift_at_half() -> None:
    covered = 0
    for seed in range(40):
        world = planted(1500, seed=seed, binary=True)
        interval = measure_ranking(world.effects[:, 0], world.experiment, "mail", shares=(0.4,), n_draws=100, seed=seed).uplift_at[0.4]
        covered += interval.low <= 0.3 <= interval.high
    assert covered >= 34


def test_what_cannot_be_ranked_is_refused() -> None:
    world = planted(200, seed=3).experiment
    with pytest.raises(RankingError, match="'letter' is unknown"):
        two_arms(np.zeros(200), world, "letter")
    with pytest.raises(RankingError, match="score: shape"):
        two_arms(np.zeros(3), world, "mail")
    only = Experiment(
        covariates=pd.DataFrame({"x": [1.0]}), arms=("none", "mail"), arm=np.array([0]), outcome=np.array([1.0]), propensity=np.array([0.5])
    )
    with pytest.raises(RankingError, match="no row of 'mail'"):
        two_arms(np.zeros(1), only, "mail")
