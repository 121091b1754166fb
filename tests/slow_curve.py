"""The benefit curve of one user by loops that can be checked by eye, one LightGBM row at a time; and models to draw it with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import cos, exp, floor, log, log1p, pi, sin, sqrt

import lightgbm
import numpy as np

from models.timing.benefit import INTERVAL
from models.timing.hazard import Asked, HazardModel
from models.timing.part import TimingModel
from models.timing.periods import period_edges_s
from models.timing.receptivity import FORGOTTEN, Receptivity
from models.timing.response import OPTIONAL_INPUTS, Miss, ResponseModel, Sight

ACTIONS = ("none", "login_friction", "silence", "slow_start")
DRAWN_S = (0.0, 3_600.0, 21_600.0, 86_400.0)
HOUR_US = 3_600_000_000
HORIZON_S = 14 * 86_400.0


@dataclass(frozen=True, kw_only=True)
class Person:
    """Whom the curve is about, and how they were active."""

    encoded: np.ndarray  # (n_inputs,)
    as_of_us: int
    utc_offset_s: int
    activity_us: np.ndarray

    def asked(self, receptivity: Receptivity) -> Asked:
        habit = receptivity.of_instants(self.activity_us, as_of_us=self.as_of_us, utc_offset_s=self.utc_offset_s)
        return Asked(
            encoded=self.encoded[None],
            as_of_us=np.array([self.as_of_us]),
            utc_offset_s=np.array([self.utc_offset_s]),
            habit=habit[None],
        )


def person(n_inputs: int, seed: int, *, n_hours: int = 150) -> Person:
    rng = np.random.default_rng(seed)
    as_of_us = 1_772_449_200_000_000 + int(rng.integers(0, 14 * 24)) * HOUR_US // 2
    return Person(
        encoded=rng.normal(size=n_inputs),
        as_of_us=as_of_us,
        utc_offset_s=int(rng.integers(-20, 25)) * 1_800,
        activity_us=as_of_us + HOUR_US - rng.integers(0, 120 * 24 * HOUR_US, n_hours),  # some of it after as_of
    )


def timing_model(
    n_inputs: int, *, rounds: Sequence[int] = (12, 8, 8), leaves: Sequence[int] = (31, 12, 12), n_rows: int = 3_000
) -> TimingModel:
    """Of noise, as large as asked for: hazard, prognosis, each of six members."""
    sight = Sight(columns=(0, 2), optional=OPTIONAL_INPUTS)
    widths = (n_inputs + 4, n_inputs, sight.width)
    hazard, prognosis, *_ = [
        _fitted(width, each, most, n_rows=n_rows, seed=width) for width, each, most in zip(widths, rounds, leaves, strict=True)
    ]
    members = [_fitted(sight.width, rounds[2], leaves[2], n_rows=n_rows, seed=seed, n_actions=len(ACTIONS)) for seed in range(6)]
    week = np.random.default_rng(3).uniform(0.2, 2.0, 168)
    return TimingModel(
        hazard=HazardModel(model_text=hazard, n_inputs=n_inputs, edges_s=period_edges_s(1.5 * HORIZON_S)),
        receptivity=Receptivity(
            population=tuple((week / week.sum()).tolist()), half_life_s=10 * 86_400.0, kernel_h=1.5, day_strength=4.0, week_strength=10.0
        ),
        response=ResponseModel(
            prognosis_text=prognosis,
            member_texts=tuple(members),
            nothing_changes=(0.1, 0.12, 0.08, 0.1, 0.11, 0.09),
            n_inputs=n_inputs,
            sight=sight,
            actions=ACTIONS,
            delays_s=DRAWN_S,
            n_rows=n_rows,
            slope=1.0,
            slope_se=0.1,
            gain=0.05,
            gain_se=0.01,
            miss=Miss(expected=0.02, gain=(0.0, 0.01, 0.03, 0.02)),
        ),
    )


def _fitted(width: int, rounds: int, leaves: int, *, n_rows: int, seed: int, n_actions: int = 0) -> str:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n_rows, width)) * 3.0
    if n_actions:
        rows[:, 0] = rng.integers(0, n_actions, n_rows)
    truth = rows @ rng.normal(size=width) * 0.2 + (rows[:, 0] == 1)
    options = {"objective": "binary", "num_leaves": leaves, "min_data_in_leaf": 20, "num_threads": 1, "seed": seed, "verbosity": -1}
    data = lightgbm.Dataset(rows, label=(rng.random(n_rows) < 1 / (1 + np.exp(-truth))) * 1.0, categorical_feature=[0] * bool(n_actions))
    return lightgbm.train(options, data, num_boost_round=rounds).model_to_string()


@lru_cache
def _booster(text: str) -> lightgbm.Booster:
    return lightgbm.Booster(model_str=text)


def local_hour_of_week(at_us: float, utc_offset_s: int) -> int:
    """Since a Monday, 00:00: the epoch was a Thursday."""
    return (floor((at_us + utc_offset_s * 1e6) / HOUR_US) + 3 * 24) % 168


def slow_habit(model: Receptivity, one: Person) -> list[float]:
    counts = [0.0] * 168
    for hour in {int(at_us) // HOUR_US for at_us in one.activity_us if at_us <= one.as_of_us}:
        first_us = min(int(at_us) for at_us in one.activity_us if int(at_us) // HOUR_US == hour and at_us <= one.as_of_us)
        half_lives = (one.as_of_us - first_us) / 1e6 / model.half_life_s
        if half_lives <= FORGOTTEN:
            counts[local_hour_of_week(first_us, one.utc_offset_s)] += 2.0**-half_lives
    of_day = [sum(model.population[g::24]) for g in range(24)]
    day = _slow_day(model, [sum(counts[g::24]) for g in range(24)], of_day)
    b, total = model.week_strength, sum(counts)
    return [(counts[h] + b * day[h % 24] * model.population[h] / of_day[h % 24]) / (total + b) for h in range(168)]


def _slow_day(model: Receptivity, of_day: list[float], population: list[float]) -> list[float]:
    near = [exp(-0.5 * (min(off, 24 - off) / model.kernel_h) ** 2) for off in range(24)]
    smooth = [sum(of_day[h] * near[(g - h) % 24] / sum(near) for h in range(24)) for g in range(24)]
    a = model.day_strength
    return [(smooth[g] + a * population[g] / sum(population)) / (sum(smooth) + a) for g in range(24)]


def slow_still_away(model: HazardModel, one: Person, habit: Sequence[float], delay_s: float) -> float:
    booster, away = _booster(model.model_text), 1.0
    start_hour = local_hour_of_week(one.as_of_us, one.utc_offset_s)
    for period, (start_s, end_s) in enumerate(zip(model.edges_s[:-1], model.edges_s[1:], strict=True)):
        if delay_s <= start_s:
            break
        middle = local_hour_of_week(one.as_of_us + (start_s + end_s) / 2 * 1e6, one.utc_offset_s)
        hours = [(start_hour + hour) % 168 for hour in range(round(start_s / 3_600), round(end_s / 3_600))]
        usual = sum(habit[hour] for hour in hours) / len(hours) * 168
        row = [*one.encoded, period, middle % 24, middle // 24, usual]
        hazard = _logistic(booster.predict([row], raw_score=True)[0])
        away *= (1.0 - hazard) ** min(1.0, (delay_s - start_s) / (end_s - start_s))
    return away


def slow_members(model: ResponseModel, one: Person, habit: Sequence[float], action: int, delay_s: float) -> list[float]:
    """What each member expects of the action after the delay."""
    prognosis = _logistic(_booster(model.prognosis_text).predict([one.encoded], raw_score=True)[0])
    prognosis = min(max(prognosis, 0.02), 0.98)
    logit, found = log(prognosis / (1.0 - prognosis)), []
    for text, nothing in zip(model.member_texts, model.nothing_changes, strict=True):
        booster = _booster(text)
        rows = [_slow_row(model.sight, one, habit, action, delay_s, prognosis, shift_h) for shift_h in (-2, 0, 2)]
        taken = sum(booster.predict([row], raw_score=True)[0] for row in rows) / 3
        found.append(_logistic(logit + nothing) - _logistic(logit + taken))
    return found


def _slow_row(
    sight: Sight, one: Person, habit: Sequence[float], action: int, delay_s: float, prognosis: float, shift_h: int
) -> list[float]:
    of_week = local_hour_of_week(one.as_of_us + (delay_s + shift_h * 3_600) * 1e6, one.utc_offset_s)
    hour, day = of_week % 24, [sum(habit[g::24]) for g in range(24)]
    usual = np.arctan2(sum(day[g] * sin(pi * g / 12) for g in range(24)), sum(day[g] * cos(pi * g / 12) for g in range(24))) / pi * 12
    optional = {"weekday": of_week // 24, "habit": habit[of_week] * 168, "after_usual": (of_week - usual) % 24}
    from_midnight, from_six = min(hour, 24 - hour), min((hour - 6) % 24, (6 - hour) % 24)
    core = [action, log1p(delay_s / 3_600), delay_s < 1_800, hour, from_midnight, from_six, prognosis]
    return [float(value) for value in (*core, *(optional[name] for name in sight.optional), *(one.encoded[c] for c in sight.columns))]


def slow_curve(model: TimingModel, one: Person, delays_s: Sequence[float], action: int | None) -> list[dict[str, float | None]]:
    """Numbers of each slot, all of which are allowed."""
    habit, slots = slow_habit(model.receptivity, one), []
    now = None if action is None else slow_members(model.response, one, habit, action, delays_s[0])
    for delay_s in delays_s:
        slot = {
            "still_away": slow_still_away(model.hazard, one, habit, delay_s),
            "receptive": habit[local_hour_of_week(one.as_of_us + delay_s * 1e6, one.utc_offset_s)] * 168,
        }
        slots.append(slot | _slow_effect(model.response, one, habit, action, delay_s, now))
    return slots


_EFFECTS = ("expected", "low", "high", "gain", "gain_se", "gain_low", "gain_high")


def _slow_effect(
    model: ResponseModel, one: Person, habit: Sequence[float], action: int | None, delay_s: float, now: list[float] | None
) -> dict[str, float | None]:
    if action is None:
        return dict.fromkeys(_EFFECTS)
    members = slow_members(model, one, habit, action, delay_s)
    gains = [then - at_once for then, at_once in zip(members, now, strict=True)]
    expected, gain, gain_se = _mean(members), _mean(gains), _jackknife(gains)
    missed = sqrt(float(np.interp(delay_s, model.delays_s, model.miss.gain)) ** 2 + model.miss.gain[0] ** 2) * (delay_s > 0)
    off, gain_off = (INTERVAL * sqrt(se**2 + miss**2) for se, miss in ((_jackknife(members), model.miss.expected), (gain_se, missed)))
    values = (expected, expected - off, expected + off, gain, gain_se, gain - gain_off, gain + gain_off)
    return dict(zip(_EFFECTS, values, strict=True))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _jackknife(values: Sequence[float]) -> float:
    return sqrt((len(values) - 1) / len(values) * sum((value - _mean(values)) ** 2 for value in values))


def _logistic(value: float) -> float:
    return 1.0 / (1.0 + exp(-value))
