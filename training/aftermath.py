"""The log goes on as the trial says: silence for who dropped out, a visit at the time of return for who stayed."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from features.core.event import to_us
from training.absence import Absences
from training.clocked import DAY_US
from training.decided import Decided
from training.latent import Ints
from training.observed import ACCESS, Visits, visits_at
from training.trial_world import World

_FOR_GOOD_US = 2**62


def _absences(world: World, decided: Decided) -> Absences:
    """From each decision to the next activity, or for good."""
    order = np.lexsort((decided.as_of_us, decided.person))
    return Absences(
        person=decided.person[order],
        from_us=decided.as_of_us[order],
        until_us=np.where(decided.dropped_out, _FOR_GOOD_US, _returns_us(decided))[order],
        start=world.start,
    )


def went_on(world: World, decided: Decided, rng: np.random.Generator) -> World:
    """Take the visits out that did not happen, and put in those by which people returned."""
    absent = _absences(world, decided)
    last_us = np.full(len(world.zones), np.iinfo(np.int64).max)
    last_us[absent.person] = absent.from_us  # ordered by time: the last one stays
    stays = np.flatnonzero(~absent.covers(world.visits.person, world.begins_us))
    back = np.flatnonzero(~decided.dropped_out)
    person, begins_us = decided.person[back], _returns_us(decided)[back]
    returning = _visits(world, person, begins_us, rng)
    visits = _appended(visits_at(world.visits, stays), returning)
    begins_us = np.concatenate([world.begins_us[stays], begins_us])
    order = np.lexsort((begins_us, visits.person))
    visits = visits_at(visits, order)
    number = np.arange(len(order)) - np.searchsorted(visits.person, visits.person)
    return replace(world, visits=replace(visits, number=number), begins_us=begins_us[order], absences=absent, decided_us=last_us)


def _returns_us(decided: Decided) -> Ints:
    return np.asarray(decided.as_of_us + (np.where(decided.dropped_out, 0.0, decided.return_s) * 1e6).astype(np.int64), dtype=np.int64)


def _visits(world: World, person: Ints, begins_us: Ints, rng: np.random.Generator) -> Visits:
    """Draw visits by which people return; nobody fails at the door, or the visit would be none."""
    people = world.people
    day = np.minimum((begins_us - to_us(world.start)) // DAY_US, world.n_days - 1)
    hurdles = people.hurdles[person, day]
    hurdles[:, ACCESS] = 0.0
    minutes = np.exp(rng.normal(1.7, 0.6, len(person)))
    return Visits(
        person=person,
        day=day,
        number=np.zeros(len(person), dtype=np.int64),
        length_ms=np.clip(minutes * 60_000, 15_000, 5_400_000).astype(np.int64),
        motivation=people.motivation[person, day],
        hurdles=hurdles,
    )


def _appended(one: Visits, other: Visits) -> Visits:
    return Visits(**{field.name: np.concatenate([getattr(one, field.name), getattr(other, field.name)]) for field in fields(Visits)})
