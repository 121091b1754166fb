"""The people of a trial before anything is decided: latent states, visits, clocks, profiles; and who they are at an instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from features.core.event import to_us
from training.absence import Absences
from training.clocked import DAY_US, draw_zones, visit_starts_us, zone_offsets_us
from training.latent import Floats, Ints, People, draw_people
from training.observed import Visits, draw_visits
from training.planted import DEVICES, Effects
from training.truth import Now, Traits, draw_traits

HOUR_US = 3_600_000_000

_JOIN_DAYS = 14
_YOUNGEST_DAYS, _OLDEST_DAYS = 1, 21  # since sign-up, at a first decision
_SILENT_DAYS = 4  # at most, at a first decision
_EPOCH_HOUR_OF_WEEK = 72  # 1970-01-01 was a Thursday; weeks begin on Monday


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everyone and everything that happens to them; visits are in the order of people and time."""

    seed: int  # of the events
    people: People
    visits: Visits
    begins_us: Ints  # (n_visits,)
    zones: npt.NDArray[np.str_]  # (n_people,) IANA names
    device: npt.NDArray[np.str_]
    cohort: npt.NDArray[np.str_]
    traits: Traits
    start: datetime  # midnight UTC of the first day, a Monday
    n_days: int
    absences: Absences
    decided_us: Ints  # (n_people,) each one's last decision; the end of time before there is one

    @property
    def user_ids(self) -> tuple[str, ...]:
        """Of everyone, in order of text and of person."""
        n_users = len(self.zones)
        width = max(5, len(str(n_users - 1)))
        return tuple(f"user-{number:0{width}d}" for number in range(n_users))


def draw_world(n_users: int, *, effects: Effects, start: datetime, n_days: int, seed: int, rng: np.random.Generator) -> World:
    """Draw people who join within two weeks, and all their visits."""
    people = draw_people(n_users, n_days, rng, join_days=_JOIN_DAYS)
    visits = draw_visits(people, (np.arange(n_days) + start.weekday()) % 7, rng)
    zones = draw_zones(n_users, rng)
    device = rng.choice(DEVICES, size=n_users, p=[0.62, 0.22, 0.16])
    return World(
        people=people,
        visits=visits,
        begins_us=visit_starts_us(people, visits, zones, start=start, rng=rng),
        zones=zones,
        device=device,
        cohort=rng.choice(["search", "referral", "event", "partner"], size=n_users, p=[0.5, 0.25, 0.15, 0.1]),
        traits=draw_traits(people, device, effects, rng),
        seed=seed,
        start=start,
        n_days=n_days,
        absences=Absences.never(start),
        decided_us=np.full(n_users, np.iinfo(np.int64).max),
    )


def days_needed(n_more: int) -> int:
    """Days to simulate for first decisions and ``n_more`` days after them."""
    return _JOIN_DAYS + _OLDEST_DAYS + n_more + 1


def first_decisions_us(world: World, rng: np.random.Generator) -> Ints:
    """An instant for each person, shape (n_people,): any hour of the day, a day to three weeks after sign-up, not long after a visit."""
    signup_us = world.begins_us[world.visits.number == 0]
    ends = np.append(np.flatnonzero(world.visits.number == 0)[1:], len(world.begins_us)) - 1
    low = signup_us + _YOUNGEST_DAYS * DAY_US
    high = np.minimum(signup_us + _OLDEST_DAYS * DAY_US, world.begins_us[ends] + _SILENT_DAYS * DAY_US)
    return np.asarray(low + (rng.random(len(low)) * (high - low)).astype(np.int64), dtype=np.int64)


def now_at(world: World, person: Ints, as_of_us: Ints, contacts: Ints) -> Now:
    """Where these people stand at these instants; ``contacts`` are the messages that they had lately."""
    day = np.minimum((as_of_us - to_us(world.start)) // DAY_US, world.n_days - 1)
    return Now(
        motivation=world.people.motivation[person, day],
        hurdles=_mean_so_far(world.people, person, day),
        gone=world.people.last_day[person] < day,
        contacts=contacts,
        hour_of_week=local_hour_of_week(world, person, as_of_us),
    )


def _mean_so_far(people: People, person: Ints, day: Ints) -> Floats:
    """Mean of each hurdle from joining to the day, shape (n_rows, n_hurdles)."""
    total = np.cumsum(people.hurdles, axis=1)
    joined = people.joined_day[person]
    before = total[person, joined] - people.hurdles[person, joined]
    return np.asarray((total[person, day] - before) / (day - joined + 1)[:, None], dtype=np.float64)


def local_hour_of_week(world: World, person: Ints, instant_us: Ints) -> Ints:
    """Hour of week at instants where these people live."""
    day = (instant_us - to_us(world.start)) // DAY_US
    return hour_of_week(instant_us, zone_offsets_us(world.zones[person], np.maximum(day, 0), world.start))


def hour_of_week(instant_us: Ints, offset_us: Ints) -> Ints:
    """Local hour of week, 0 (Monday 0:00-0:59) to 167.

    Examples
    --------
    >>> hour_of_week(np.array([0]), np.array([0])).tolist()  # 1970-01-01 was a Thursday
    [72]
    """
    return np.asarray(((instant_us + offset_us) // HOUR_US + _EPOCH_HOUR_OF_WEEK) % 168, dtype=np.int64)
