"""Decisions of a trial: what is drawn for whom, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from training.latent import Floats, Ints
from training.planted import ACTIONS, CAUSES, CHANNELS, DELAYS_S, Design, Effects
from training.trial_world import World, first_decisions_us, now_at
from training.truth import Bools, States, dropout_by_channel, states_of

_RETURNS_AFTER_S = 40 * 3_600.0  # mean time to the next visit at motivation 0, before the horizon cuts it
_LAST_RETURN_S = 3_600.0  # nobody returns so shortly before the end of the horizon


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Decisions and their outcomes; all arrays have n_rows as their first length. See `training.trial.Trial` for the fields."""

    person: Ints
    as_of_us: Ints
    contacts: Ints
    hour_of_week: Ints
    cause: Ints
    annoyed: Bools
    dropout_on: Floats
    action: Ints
    channel: Ints
    delay: Ints
    propensity: Floats
    dropped_out: Bools
    return_s: Floats


def decisions(world: World, planted: tuple[Effects, Design], *, horizon: timedelta, rng: np.random.Generator) -> Decided:
    """Decide about everyone, and a horizon later again about those who are still there; ordered by as_of, then person."""
    effects, design = planted
    horizon_us = horizon // timedelta(microseconds=1)
    as_of_us = first_decisions_us(world, rng)
    person = np.arange(len(as_of_us))
    contacts = rng.poisson(effects.contacts_mean, len(person))
    rounds = []
    for _ in range(design.n_decisions):
        decided = _decide_and_see(world, planted, (person, as_of_us, contacts), horizon_s=horizon_us / 1e6, rng=rng)
        rounds.append(decided)
        stays = ~decided.dropped_out
        person, as_of_us = person[stays], as_of_us[stays] + horizon_us
        contacts = (contacts + (decided.action > 0))[stays]
    together = _joined(rounds)
    return _taken(together, np.lexsort((together.person, together.as_of_us)))


def _decide_and_see(
    world: World, planted: tuple[Effects, Design], about: tuple[Ints, Ints, Ints], *, horizon_s: float, rng: np.random.Generator
) -> Decided:
    """Draw one decision about each (person, as_of_us, contacts), and its outcome."""
    (effects, design), (person, as_of_us, contacts) = planted, about
    now = now_at(world, person, as_of_us, contacts)
    states = states_of(now, world.traits, person)
    chances = dropout_by_channel(states, effects, horizon_s=horizon_s)
    action, channel, delay, propensity = _drawn(states.cause, design, rng)
    taken_up = (np.arange(len(person)), action, np.maximum(channel, 0), np.maximum(delay, 0))
    luck = rng.random(len(person))
    dropped_out = luck < chances[taken_up]
    return Decided(
        person=person,
        as_of_us=as_of_us,
        contacts=contacts,
        hour_of_week=states.hour_of_week,
        cause=states.cause,
        annoyed=states.annoyed,
        dropout_on=chances,
        action=action,
        channel=channel,
        delay=delay,
        propensity=propensity,
        dropped_out=dropped_out,
        return_s=_returns(now.motivation, states, effects, (luck, action, delay, dropped_out), horizon_s=horizon_s, rng=rng),
    )


def _drawn(cause: Ints, design: Design, rng: np.random.Generator) -> tuple[Ints, Ints, Ints, Floats]:
    """Action, channel, delay and the probability of having drawn them."""
    n_rows, n_messages = len(cause), len(ACTIONS) - 1
    sends = rng.random(n_rows) >= design.control_share
    message = np.where(rng.random(n_rows) < design.matched_share, cause, rng.integers(1, n_messages + 1, n_rows))
    channel = np.where(sends, rng.integers(0, len(CHANNELS), n_rows), -1)
    delay = np.where(sends, rng.integers(0, len(DELAYS_S), n_rows), -1)
    share = (1.0 - design.matched_share) / n_messages + design.matched_share * (message == cause)
    sent = (1.0 - design.control_share) * share / (len(CHANNELS) * len(DELAYS_S))
    return np.where(sends, message, 0), channel, delay, np.where(sends, sent, design.control_share)


def _returns(
    motivation: Floats,
    states: States,
    effects: Effects,
    drawn: tuple[Floats, Ints, Ints, Bools],
    *,
    horizon_s: float,
    rng: np.random.Generator,
) -> Floats:
    """Seconds to the next activity; inf for who dropped out.

    Who would have stayed anyway comes when motivation says; who stays because of the message comes some time after it.
    """
    luck, action, delay, dropped_out = drawn
    last_s = horizon_s - _LAST_RETURN_S
    own = _exponential_below(_RETURNS_AFTER_S * np.exp(-0.4 * motivation), last_s, rng)
    lag_s = np.array([np.inf, *(effects.lag_s[cause] for cause in CAUSES)])[action]
    sent_s = np.array(DELAYS_S, dtype=np.float64)[np.maximum(delay, 0)]
    rescued = (luck < states.risk) & (action > 0)
    after = sent_s + _exponential_below(np.where(rescued, lag_s, 1.0), last_s - sent_s, rng)
    return np.where(dropped_out, np.inf, np.where(rescued, after, own))


def _exponential_below(mean: Floats, most: Floats | float, rng: np.random.Generator) -> Floats:
    """Exponential draws with this mean, given that they are below ``most``."""
    return np.asarray(-mean * np.log1p(rng.random(len(mean)) * np.expm1(-most / mean)), dtype=np.float64)


def _joined(parts: Sequence[Decided]) -> Decided:
    """All decisions, one part after the other."""
    return Decided(**{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Decided)})


def _taken(decided: Decided, places: npt.NDArray[np.intp]) -> Decided:
    """Those decisions, in that order."""
    return Decided(**{field.name: getattr(decided, field.name)[places] for field in fields(Decided)})
