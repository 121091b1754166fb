"""When simulated events happen and when they arrive: local clocks, time zones, networks that fail.

`training.observed` says what is seen in a visit; here visits begin at an hour of the person's own day, and events travel.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from features.core.event import to_us
from training.latent import Floats, Ints, People
from training.observed import Seen, Visits

ZONES = ("UTC", "Europe/Berlin", "Europe/London", "America/New_York", "America/Los_Angeles", "Asia/Tokyo", "Asia/Kolkata", "Africa/Cairo")
LOCALES = dict(zip(ZONES, ("en", "de", "en", "en", "en", "ja", "en", "ar"), strict=True))
DAY_US = 86_400_000_000

_ZONE_SHARES = (0.1, 0.22, 0.14, 0.2, 0.12, 0.08, 0.09, 0.05)
_DOUBLED = 0.008  # shares of events
_LAPTOP_CLOSED, _IN_A_TUNNEL = 0.008, 0.04  # the second includes the first
_CLOCK_AHEAD = 0.003


def draw_zones(n_people: int, rng: np.random.Generator) -> npt.NDArray[np.str_]:
    """IANA names of the zones that people live in, shape (n_people,)."""
    return rng.choice(ZONES, size=n_people, p=_ZONE_SHARES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Events with clock times; ``order`` lists the rows of the file in order of arrival, doubled ones twice."""

    seen: Seen
    person: Ints
    occurred_us: Ints
    received_us: Ints  # of each entry of `order`
    order: Ints


def visit_starts_us(people: People, visits: Visits, zones: npt.NDArray[np.str_], *, start: datetime, rng: np.random.Generator) -> Ints:
    """Local time of each visit, in microseconds UTC; a person's visits never begin before the sign-up."""
    hour = np.clip(people.rhythm_hour[visits.person] + rng.normal(0.0, 2.6, len(visits.person)), 0.0, 23.4)
    midnight_us = to_us(start) + visits.day * DAY_US
    offset_us = zone_offsets_us(zones[visits.person], visits.day, start)
    starts_us = midnight_us + (hour * 3.6e9).astype(np.int64) - offset_us
    signup_us = starts_us[visits.number == 0][_rank(visits.person)]
    return np.where(visits.number == 0, starts_us, np.maximum(starts_us, signup_us + 3_600_000_000))


def _rank(person: Ints) -> Ints:
    """Each person's place among those who appear; ``person`` is sorted and everyone has a first visit."""
    return np.unique(person, return_inverse=True)[1].astype(np.int64)


def zone_offsets_us(zone: npt.NDArray[np.str_], day: Ints, start: datetime) -> Ints:
    """UTC offset at noon of the day, per visit; looked up once a zone and day."""
    offsets = np.zeros(len(zone), dtype=np.int64)
    for name in ZONES:
        mine = np.flatnonzero(zone == name)
        noons = [(start + timedelta(days=int(d), hours=12)).astimezone(ZoneInfo(name)) for d in range(int(day.max(initial=0)) + 1)]
        table = np.array([(noon.utcoffset() or timedelta(0)) // timedelta(microseconds=1) for noon in noons])
        offsets[mine] = table[day[mine]]
    return offsets


def send(seen: Seen, visits: Visits, begins_us: Ints, *, end_us: int, rng: np.random.Generator) -> Sent:
    """Give each event a time, and deliver it: mostly within seconds, sometimes after hours offline, sometimes twice."""
    size = len(seen.visit)
    occurred_us = begins_us[seen.visit] + seen.offset_ms * 1_000 + rng.integers(0, 1_000, size)
    received_us = occurred_us + (_delays_s(size, rng) * 1e6).astype(np.int64)
    doubled = np.flatnonzero(rng.random(size) < _DOUBLED).astype(np.int64)
    order = np.concatenate([np.arange(size), doubled])
    arrival_us = np.concatenate([received_us, received_us[doubled] + rng.integers(1_000_000, 600_000_000, len(doubled))])
    in_time = np.flatnonzero(arrival_us <= end_us)
    by_arrival = in_time[np.lexsort((order[in_time], arrival_us[in_time]))]
    return Sent(
        seen=seen,
        person=visits.person[seen.visit],
        occurred_us=occurred_us,
        received_us=arrival_us[by_arrival],
        order=order[by_arrival],
    )


def _delays_s(size: int, rng: np.random.Generator) -> Floats:
    """Seconds from occurring to arriving; below 0 where the sender's clock runs ahead, by less than the five minutes that are tolerated."""
    delay = rng.exponential(0.8, size)
    which = rng.random(size)
    delay = np.where(which < _IN_A_TUNNEL, rng.exponential(1_500.0, size), delay)
    delay = np.where(which < _LAPTOP_CLOSED, rng.exponential(30_000.0, size), delay)
    return np.where(which > 1.0 - _CLOCK_AHEAD, -rng.uniform(0.0, 240.0, size), delay)
