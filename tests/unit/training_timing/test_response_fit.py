"""The effect of a delay from randomised rows, in a tiny world whose truth is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from features.core.weekly import HOURS_OF_DAY, HOURS_OF_WEEK, hour_of_week
from models.timing.benefit import INTERVAL, Advice, Slot, benefit_curve, choose_many
from models.timing.hazard import Asked, HazardModel
from models.timing.part import TimingModel
from models.timing.receptivity import Receptivity
from models.timing.response import Miss, ResponseModel
from training.errors import OneClassError, TooLittleDataError
from training.timing.hazard_fit import Watched, fit_hazard
from training.timing.response_fit import ResponseParameters, TrialRows, fit_response
from training.timing.returns import Returns
from training.timing.trial_log import row_weights

DELAYS_S = (0.0, 6 * 3600.0, 12 * 3600.0)
DAY_US = 86_400_000_000
SMALL = ResponseParameters(n_members=4, rounds=60, prognosis_rounds=20)
EVEN = np.full(HOURS_OF_WEEK, 1 / HOURS_OF_WEEK)


def asked(n_rows: int, seed: int) -> Asked:
    rng = np.random.default_rng(seed)
    return Asked(
        encoded=np.column_stack([rng.normal(size=n_rows), rng.integers(0, 2, n_rows)]),
        as_of_us=rng.integers(0, 7 * DAY_US, n_rows),
        utc_offset_s=np.zeros(n_rows, dtype=np.int64),
        habit=np.tile(EVEN, (n_rows, 1)),
    )


def dropout_in(people: Asked, delay_s: np.ndarray | float, strength: float) -> np.ndarray:
    """A message takes from dropout what its hour gives: most at noon, least at midnight."""
    hour = hour_of_week(people.as_of_us + np.asarray(np.asarray(delay_s) * 1e6, dtype=np.int64), people.utc_offset_s) % HOURS_OF_DAY
    works = 0.5 + 0.5 * strength * -np.cos(2 * np.pi * hour / HOURS_OF_DAY)
    return 1 / (1 + np.exp(-(0.5 * people.encoded[:, 0] + 0.6 - 1.5 * works)))


def trial(n_rows: int, seed: int, strength: float) -> TrialRows:
    rng = np.random.default_rng([seed, 1])
    people = asked(n_rows, seed)
    action, delay = (rng.random(n_rows) < 0.8).astype(np.int64), rng.choice(DELAYS_S, n_rows)
    alone = 1 / (1 + np.exp(-(0.5 * people.encoded[:, 0] + 0.6)))
    chance = np.where(action == 1, dropout_in(people, delay, strength), alone)
    return TrialRows(
        asked=people,
        user=np.arange(n_rows),
        action=action,
        delay_s=delay,
        delay_propensity=np.full(n_rows, 1 / 3),
        dropped_out=rng.random(n_rows) < chance,
    )


@pytest.fixture(scope="module")
def response() -> ResponseModel:
    return fit_response(trial(12_000, 1, 1.0), actions=("none", "help"), delays_s=DELAYS_S, attributes=(1,), parameters=SMALL)


def test_it_finds_most_of_what_the_best_delays_gain(response: ResponseModel) -> None:
    people = asked(3_000, 2)
    truth = np.stack([dropout_in(people, delay_s, 1.0) for delay_s in DELAYS_S], axis=1)
    base = np.zeros(3_000, dtype=np.int64)
    gain, gain_se = response.effects(people, np.ones(3_000, dtype=np.int64), np.array(DELAYS_S)).gain_over(base)
    chosen = choose_many(gain, gain_se, base, is_shown=response.is_shown)
    possible = (truth[:, 0] - truth.min(axis=1)).mean()
    assert response.is_shown
    assert (truth[:, 0] - truth[np.arange(3_000), chosen]).mean() > 0.7 * possible


def test_an_input_that_means_nothing_is_not_looked_at(response: ResponseModel) -> None:
    assert response.sight.columns == ()


def test_the_expected_reduction_is_near_the_true_one(response: ResponseModel) -> None:
    people = asked(3_000, 3)
    alone = 1 / (1 + np.exp(-(0.5 * people.encoded[:, 0] + 0.6)))
    expected = response.effects(people, np.ones(3_000, dtype=np.int64), np.array(DELAYS_S)).mean
    for i, delay_s in enumerate(DELAYS_S):
        assert expected[:, i].mean() == pytest.approx((alone - dropout_in(people, delay_s, 1.0)).mean(), abs=0.04)


@pytest.mark.parametrize("seed", [4, 5, 6])
def test_where_the_delay_changes_nothing_no_effect_is_shown(seed: int) -> None:
    fitted = fit_response(trial(4_000, seed, 0.0), actions=("none", "help"), delays_s=DELAYS_S, parameters=SMALL)
    assert not fitted.is_shown


def test_it_survives_json(response: ResponseModel) -> None:
    people, action = asked(20, 7), np.ones(20, dtype=np.int64)
    again = ResponseModel.from_json(response.to_json())
    before, after = (model.effects(people, action, np.array(DELAYS_S)).members for model in (response, again))
    assert np.array_equal(before, after)


def test_a_model_written_before_misses_were_measured_loads_with_none(response: ResponseModel) -> None:
    before = {name: value for name, value in response.to_json().items() if name != "miss"}
    assert ResponseModel.from_json(before).miss == Miss()
    assert ResponseModel.from_json(response.to_json()).miss == response.miss != Miss()


def test_intervals_of_gains_and_reductions_hold_the_truth_where_people_alike_are_alike(response: ResponseModel) -> None:
    people = asked(3_000, 16)
    alone = 1 / (1 + np.exp(-(0.5 * people.encoded[:, 0] + 0.6)))
    truth = alone[:, None] - np.stack([dropout_in(people, delay_s, 1.0) for delay_s in DELAYS_S], axis=1)
    effects, now = response.effects(people, np.ones(3_000, dtype=np.int64), np.array(DELAYS_S)), np.zeros(3_000, dtype=np.int64)
    gain_off = np.abs(effects.gain_over(now)[0] - (truth - truth[:, :1]))[:, 1:]
    within = {
        "gain": (gain_off <= INTERVAL * effects.gain_spread(now)[:, 1:]).mean(),
        "gain, fit alone": (gain_off <= INTERVAL * effects.gain_over(now)[1][:, 1:]).mean(),
        "reduction": (np.abs(effects.mean - truth) <= INTERVAL * effects.spread).mean(),
    }
    assert within["gain"] > max(0.8, within["gain, fit alone"]), within
    assert within["reduction"] > 0.8, within


def test_a_slot_misses_with_its_base_and_the_base_with_nothing(response: ResponseModel) -> None:
    people, last = asked(5, 17), np.full(5, 2, dtype=np.int64)
    effects = replace(response, miss=Miss(gain=(0.0, 0.3, 0.4))).effects(people, np.ones(5, dtype=np.int64), np.array(DELAYS_S))
    spread = effects.gain_spread(last)
    assert np.array_equal(spread[:, 2], np.zeros(5))
    assert (spread[:, 1] >= 0.5).all()
    assert (spread[:, 0] >= 0.4).all()


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(TooLittleDataError, match="at least 500"):
        fit_response(trial(300, 8, 1.0), actions=("none", "help"), delays_s=DELAYS_S)


def test_one_outcome_is_refused() -> None:
    rows = trial(1_000, 9, 1.0)
    with pytest.raises(OneClassError, match="one outcome"):
        fit_response(replace(rows, dropped_out=np.ones(1_000, dtype=bool)), actions=("none", "help"), delays_s=DELAYS_S)


def test_where_no_delay_is_predicted_to_differ_all_figures_are_finite_and_nothing_is_shown() -> None:
    rows = trial(1_000, 15, 0.0)
    rows = replace(rows, dropped_out=np.where(rows.action == 0, True, rows.dropped_out))  # all of whom nothing was sent drop out
    stumps = replace(SMALL, min_share_in_leaf=0.6)  # no split is possible
    fitted = fit_response(rows, actions=("none", "help"), delays_s=DELAYS_S, parameters=stumps)
    json.dumps(fitted.to_json(), allow_nan=False)
    assert not fitted.is_shown
    assert max(fitted.nothing_changes) <= 5.0


def hazard(n_rows: int = 3_000) -> HazardModel:
    """People return at a rate that their first input raises."""
    parts = []
    for seed in (10, 11):
        people = asked(n_rows, seed)
        back_s = np.random.default_rng(seed).exponential(20 * 3600.0 * np.exp(-people.encoded[:, 0]))
        watched_s = np.full(n_rows, 48 * 3600.0)
        returns = Returns(np.minimum(back_s, watched_s), back_s <= watched_s)
        parts.append(Watched(asked=people, returns=returns, watched_s=watched_s))
    return fit_hazard(*parts, edges_s=(0.0, 3600.0, 4 * 3600.0, 12 * 3600.0, 24 * 3600.0, 48 * 3600.0))


def test_a_hazard_gives_back_the_survival_it_was_drawn_from() -> None:
    model, people = hazard(), asked(2_000, 12)
    eager = people.encoded[:, 0] > 0.5
    away = model.still_away(people, [12 * 3600.0])[:, 0]
    truth = np.exp(-12 / (20 * np.exp(-people.encoded[:, 0])))
    assert away[eager].mean() == pytest.approx(truth[eager].mean(), abs=0.05)
    assert away[~eager].mean() == pytest.approx(truth[~eager].mean(), abs=0.05)
    assert (np.diff(model.survival(people), axis=1) <= 0).all()


def test_without_a_period_watched_whole_there_is_nothing_to_learn_from() -> None:
    people = asked(100, 13)
    short = Watched(asked=people, returns=Returns(np.full(100, 5.0), np.ones(100, dtype=bool)), watched_s=np.full(100, 10.0))
    with pytest.raises(TooLittleDataError, match="watched whole"):
        fit_hazard(short, short, edges_s=(0.0, 3600.0))


def test_a_miss_widens_intervals_and_changes_neither_advice_nor_expectation(response: ResponseModel) -> None:
    week = Receptivity(population=tuple(EVEN.tolist()), half_life_s=1e6, kernel_h=0.0, day_strength=1.0, week_strength=1.0)
    at_night = replace(asked(1, 14), as_of_us=np.array([7 * DAY_US]))
    slots = [Slot(delay_s=delay_s) for delay_s in DELAYS_S]
    curves = [
        benefit_curve(TimingModel(hazard=hazard(), receptivity=week, response=replace(response, miss=miss)), at_night, slots, action=1)
        for miss in (Miss(), Miss(expected=0.5, gain=(0.0, 0.5, 0.5)))
    ]
    assert curves[0].advice is Advice.BETTER_SLOT
    assert (curves[0].advice, curves[0].chosen) == (curves[1].advice, curves[1].chosen)
    for narrow, wide in zip(curves[0].slots, curves[1].slots, strict=True):
        assert (narrow.expected, narrow.gain, narrow.gain_se) == (wide.expected, wide.gain, wide.gain_se)
        assert wide.high - wide.low > 1.6
        assert narrow.high - narrow.low < 0.5
    assert curves[1].slots[0].gain_low == curves[1].slots[0].gain_high == 0.0
    assert curves[1].slots[2].gain_low < -0.5
    assert curves[1].slots[2].gain_high > 0.8


def test_the_curve_tells_of_every_slot_what_is_expected_and_why_it_is_closed(response: ResponseModel) -> None:
    week = Receptivity(population=tuple(EVEN.tolist()), half_life_s=1e6, kernel_h=0.0, day_strength=1.0, week_strength=1.0)
    model = TimingModel(hazard=hazard(), receptivity=week, response=response)
    at_night = replace(asked(1, 14), as_of_us=np.array([7 * DAY_US]))
    slots = [Slot(delay_s=0.0), Slot(delay_s=DELAYS_S[1], allowed=False, code="quiet_hours"), Slot(delay_s=DELAYS_S[2])]
    curve = benefit_curve(model, at_night, slots, action=1)
    assert (curve.advice, curve.chosen) == (Advice.BETTER_SLOT, 2)
    assert curve.slots[1].code == "quiet_hours"
    assert all(slot.low < slot.expected < slot.high for slot in curve.slots if slot.expected is not None)
    assert curve.slots[0].still_away == 1.0
    assert curve.slots[2].receptive == pytest.approx(1.0)
    assert curve.action == response.actions[1]
    for bare, action in ((replace(model, response=None), 1), (replace(model, response=None), None), (model, None)):
        without = benefit_curve(bare, at_night, slots, action=action)
        assert (without.action, without.advice, without.chosen) == (None, Advice.NOT_ENOUGH_DATA, 0)
        assert without.slots[2].expected is None
        assert without.slots[2].still_away == curve.slots[2].still_away
    assert TimingModel.from_json(model.to_json(), 2).hazard == model.hazard


def unequal_trial(n_rows: int, seed: int) -> TrialRows:
    """Help does the same whenever it comes; six hours later was drawn for a tenth of those likely to stay, six tenths of the others."""
    rng = np.random.default_rng([seed, 9])
    people = asked(n_rows, seed)
    leaving, later = 1 / (1 + np.exp(-(1.5 * people.encoded[:, 0]))), np.where(people.encoded[:, 0] < 0, 0.1, 0.6)
    waits, action = rng.random(n_rows) < later, (rng.random(n_rows) < 0.8).astype(np.int64)
    return TrialRows(
        asked=people,
        user=np.arange(n_rows),
        action=action,
        delay_s=np.where(waits, DELAYS_S[1], 0.0),
        delay_propensity=np.where(waits, later, 1 - later),
        dropped_out=rng.random(n_rows) < np.where(action == 1, 0.8, 1.0) * leaving,
    )


def weights_of(rows: TrialRows) -> np.ndarray:
    """As they follow from the table of such a trial."""
    sent = rows.action == 1
    columns = {"action": np.where(sent, "help", "none"), "delay_s": np.where(sent, rows.delay_s, np.nan)}
    weight = row_weights(pd.DataFrame(columns | {"delay_propensity": rows.delay_propensity}))
    assert weight is not None
    return weight


def test_weights_make_rows_with_unequal_chances_one_trial() -> None:
    """Unweighted, later looks worse, as it was drawn for those who leave anyway; by weight both have people alike."""
    rows = unequal_trial(20_000, 1)
    sent, later, weight = rows.action == 1, rows.delay_s > 0, weights_of(rows)

    def excess(weight: np.ndarray) -> float:
        shares = [np.average(rows.dropped_out[sent & when], weights=weight[sent & when]) for when in (later, ~later)]
        return float(shares[0] - shares[1])

    assert excess(np.ones(20_000)) > 0.1
    assert abs(excess(weight)) < 0.03
    assert (weight[~sent] == 1.0).all()
    assert weight[sent].mean() == pytest.approx(1.0, abs=0.05)


def test_unequal_chances_feign_no_effect_of_the_delay() -> None:
    rows = unequal_trial(6_000, 2)
    fitted = fit_response(
        replace(rows, weight=weights_of(rows)), actions=("none", "help"), delays_s=DELAYS_S[:2], attributes=(0,), parameters=SMALL
    )
    assert not fitted.is_shown
    people, base = asked(2_000, 3), np.zeros(2_000, dtype=np.int64)
    gain, _ = fitted.effects(people, base + 1, np.array(DELAYS_S[:2])).gain_over(base)
    assert abs(gain[:, 1].mean()) < 0.03


def closed_trial(n_rows: int, seed: int, strength: float) -> TrialRows:
    """Delays that end between 21:00 and 8:00 are closed; rows with fewer than two open ones are in no trial."""
    rng, people = np.random.default_rng([seed, 77]), asked(n_rows, seed)
    hour = people.as_of_us / 3_600e6 % HOURS_OF_DAY
    was_open = np.stack(
        [((hour + delay_s / 3_600) % HOURS_OF_DAY >= 8) & ((hour + delay_s / 3_600) % HOURS_OF_DAY < 21) for delay_s in DELAYS_S], axis=1
    )
    kept = np.flatnonzero(was_open.sum(axis=1) >= 2)
    people, was_open = people.at(kept), was_open[kept]
    delay = np.array(DELAYS_S)[(rng.random(was_open.shape) * was_open).argmax(axis=1)]
    action = (rng.random(len(kept)) < 0.8).astype(np.int64)
    alone = 1 / (1 + np.exp(-(0.5 * people.encoded[:, 0] + 0.6)))
    rows = TrialRows(
        asked=people,
        user=np.arange(len(kept)),
        action=action,
        delay_s=delay,
        delay_propensity=1 / was_open.sum(axis=1),
        dropped_out=rng.random(len(kept)) < np.where(action == 1, dropout_in(people, delay, strength), alone),
        was_open=was_open,
    )
    return replace(rows, weight=weights_of(rows))


def test_a_delay_is_judged_among_those_that_were_open() -> None:
    """Where the delay matters it is found; where it does not, what was closed to whom feigns no effect: over seeds the slope has mean 0."""
    shown = fit_response(closed_trial(14_000, 1, 1.0), actions=("none", "help"), delays_s=DELAYS_S, parameters=SMALL)
    assert shown.is_shown
    assert shown.slope > 0.7
    idle = [
        fit_response(closed_trial(5_000, seed, 0.0), actions=("none", "help"), delays_s=DELAYS_S, parameters=SMALL) for seed in range(8)
    ]
    assert abs(np.mean([fitted.slope / fitted.slope_se for fitted in idle])) < 1.5


def test_weights_that_are_all_alike_change_nothing() -> None:
    rows = trial(1_500, 8, 1.0)
    plain, weighted = (
        fit_response(each, actions=("none", "help"), delays_s=DELAYS_S, parameters=SMALL)
        for each in (rows, replace(rows, weight=np.ones(1_500)))
    )
    assert weighted.nothing_changes == pytest.approx(plain.nothing_changes)
    assert weighted.slope == pytest.approx(plain.slope)


def test_a_trial_in_which_never_was_not_drawn_still_shows_what_waiting_does() -> None:
    rows = trial(6_000, 10, 1.0)
    dropped_out = np.random.default_rng(3).random(6_000) < dropout_in(rows.asked, rows.delay_s, 1.0)
    sent = replace(rows, action=np.ones(6_000, dtype=np.int64), dropped_out=dropped_out)
    fitted = fit_response(sent, actions=("none", "help"), delays_s=DELAYS_S, parameters=SMALL)
    assert fitted.is_shown
    assert fitted.nothing_changes == (0.0,) * SMALL.n_members
