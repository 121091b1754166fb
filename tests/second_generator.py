"""Another world with a known truth, built differently from `training.trial`, so that nothing is tuned to one.

| | `training.trial` | here |
|---|---|---|
| product | onboarding | a small one for watching films, other kinds, causes, channels and delays |
| latent states | random walks in motivation and hurdles | four states that people move between, with Weibull dwell times |
| events | Poisson within visits | cascades: each visit sets off events, which set off events; two daily peaks; one kind is noise |
| risk | logit, Gaussian | probit, heavy-tailed, grows with the time in a state |
| effect of a message | relative, scaled to a size | additive in the probit, by latent class |
| timing | exponential decay, a smooth daily peak | linear decay, a window that is open or shut |
| logging | uniform | depends on the region, short delays more often |
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from scipy.stats import norm

from features.core.catalogue import Aggregation, Catalogue, Feature, Kind
from features.core.columns import EventColumns
from features.core.event import to_us
from features.core.kernel import batch_vectors
from features.core.product import Attribute, AttributeType, Cause, Label, Product
from features.core.program import compile_program
from training.dataset import frame_of
from training.planted import Timing
from training.trial import Habit, Trial

ACTIONS = ("none", "outages", "boredom", "price")
CHANNELS = ("push", "email", "tv")
DELAYS_S = (0, 1_800, 7_200, 28_800, 57_600, 115_200)

_KINDS = ("visit", "outage", "search", "play", "ping")
_PLAY, _PING = 3, 4
_REGIONS = {"west": -6, "middle": 1, "east": 8}  # hours from UTC
_DAYS = 20
_BEGIN = datetime(2024, 9, 2, tzinfo=UTC)  # a Monday
_HOUR_US = 3_600_000_000

_DWELL_DAYS = np.array([9.0, 4.0, 6.0, 5.0])  # content, in trouble, bored, looking for something cheaper
_MOVES = np.array([[0.0, 0.4, 0.35, 0.25], [0.7, 0.0, 0.15, 0.15], [0.4, 0.2, 0.0, 0.4], [0.5, 0.2, 0.3, 0.0]])
_VISITS_A_DAY = np.array([1.5, 1.1, 0.5, 0.8])
_WHAT = np.array([[0.0, 0.02, 0.2, 0.68, 0.1], [0.0, 0.45, 0.15, 0.3, 0.1], [0.0, 0.02, 0.6, 0.28, 0.1], [0.0, 0.03, 0.37, 0.5, 0.1]])
_RISK = np.array([-1.2, 0.1, 0.2, 0.0])  # probit
_HELP = np.array([0.1, 1.3, 1.0, 0.8])  # probit, by state, of the matched message, for those who take help


def product() -> Product:
    """Twenty features over five kinds, one of which means nothing, and two attributes, one of which means nothing."""
    uses = ("visit", "search", "play")
    of = {kind: (kind,) for kind in _KINDS} | {"use": uses}
    cause = {"outage": "outages", "play": "boredom", "search": "boredom", "visit": "price", "ping": "price", "use": "boredom"}
    features = [
        Feature(aggregation=Aggregation.COUNT, of=kind, kinds=(kind,), window=timedelta(days=days), cause=cause[kind])
        for kind in _KINDS
        for days in (1, 4, 12)
    ]
    features += [
        Feature(aggregation=Aggregation.SECONDS_SINCE_LAST, of=name, kinds=of[name], cause=cause[name]) for name in (*_KINDS, "use")
    ]
    return Product(
        name="films",
        description="A second world for tests.",
        catalogue=Catalogue(kinds=tuple(Kind(name=kind, keep=128) for kind in _KINDS), features=tuple(features)),
        causes=tuple(Cause(name=name) for name in ACTIONS[1:]),
        label=Label(activity=uses, horizon=timedelta(days=5)),
        profile=(Attribute(name="region", type=AttributeType.CATEGORY), Attribute(name="colour", type=AttributeType.CATEGORY)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _People:
    state: np.ndarray  # (n_users, n_days)
    days_in_state: np.ndarray  # (n_users,) on the last day
    region: np.ndarray
    peak_hour: np.ndarray  # local hour of day of most visits, early or late
    takes_help: np.ndarray  # latent class
    annoyed: np.ndarray  # latent class
    as_of_us: np.ndarray


def second_trial(*, n_users: int, seed: int, timing: Timing = Timing.NONE, strength: float = 1.0) -> Trial:
    """Draw a trial; ``strength`` scales what messages do, 0: nothing."""
    rng = np.random.default_rng([seed, 77])
    people = _people(n_users, rng)
    of = product()
    chances = _chances(people, contacts := rng.binomial(4, 0.2, n_users), timing=timing, strength=strength, rng=rng)
    action, channel, delay, propensity = _logged(people, rng)
    dropped = rng.random(n_users) < chances[np.arange(n_users), action, np.maximum(channel, 0), np.maximum(delay, 0)]
    columns, visit_user, visit_us = _events(people, rng)
    vectors = batch_vectors(columns, n_users, np.arange(n_users), people.as_of_us, compile_program(of.catalogue))
    known = {"user_id": [f"v{i:06d}" for i in range(n_users)], "as_of": pd.to_datetime(people.as_of_us, unit="us", utc=True).as_unit("us")}
    extra = {"dropped_out": dropped, "region": people.region, "colour": rng.choice(["red", "green", "blue"], n_users)}
    rows = pd.concat([pd.DataFrame(known | extra), pd.DataFrame(vectors, columns=list(of.catalogue.feature_names))], axis=1)
    offset = _offsets(people)
    return Trial(
        frame=frame_of(of, rows, horizon=of.label.horizon),
        actions=ACTIONS,
        channels=CHANNELS,
        delays_s=DELAYS_S,
        action=action,
        channel=channel,
        delay=delay,
        propensity=propensity,
        contacts=contacts,
        hour_of_week=_hour(people.as_of_us, offset),
        habit=Habit(row=visit_user, age_s=(people.as_of_us[visit_user] - visit_us) / 1e6, hour_of_week=_hour(visit_us, offset[visit_user])),
        return_s=np.where(dropped, np.inf, of.label.horizon.total_seconds() * rng.random(n_users) ** 2 * 0.99 + 1.0),
        dropout=chances.mean(axis=2),
        dropout_on=chances,
        cause=_cause(people),
        annoyed=people.annoyed,
    )


def _people(n_users: int, rng: np.random.Generator) -> _People:
    state = np.zeros((n_users, _DAYS), dtype=np.int64)
    now = rng.choice(4, n_users, p=[0.55, 0.15, 0.15, 0.15])
    left, since = _dwell(now, rng), np.zeros(n_users)
    for day in range(_DAYS):
        moves = left <= 0.0
        now = np.where(moves, (rng.random((n_users, 1)) < _MOVES[now].cumsum(axis=1)).argmax(axis=1), now)
        left, since = np.where(moves, _dwell(now, rng), left - 1.0), np.where(moves, 0.0, since + 1.0)
        state[:, day] = now
    kind = rng.random(n_users)
    return _People(
        state=state,
        days_in_state=since,
        region=rng.choice(list(_REGIONS), n_users, p=[0.5, 0.3, 0.2]),
        peak_hour=(np.where(rng.random(n_users) < 0.4, 8.0, 19.0) + rng.normal(0.0, 1.0, n_users)) % 24.0,
        takes_help=kind < 0.4,
        annoyed=kind > 0.85,
        as_of_us=np.sort(to_us(_BEGIN) + _DAYS * 24 * _HOUR_US + rng.integers(0, 72 * _HOUR_US, n_users)),  # the frame's order
    )


def _dwell(state: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _DWELL_DAYS[state] * rng.weibull(1.6, len(state))


def _cause(people: _People) -> np.ndarray:
    """By the state; the content have one too, of which little comes."""
    last = people.state[:, -1]
    return np.where(last == 0, 1 + np.arange(len(last)) % 3, last)


def _offsets(people: _People) -> np.ndarray:
    return np.array([_REGIONS[name] for name in people.region.tolist()], dtype=np.int64) * _HOUR_US


def _hour(instant_us: np.ndarray, offset_us: np.ndarray) -> np.ndarray:
    return ((instant_us + offset_us) // _HOUR_US + 72) % 168


def _chances(people: _People, contacts: np.ndarray, *, timing: Timing, strength: float, rng: np.random.Generator) -> np.ndarray:
    """P(dropout | do), shape (n_users, n_actions, n_channels, n_delays): a probit, to which messages add."""
    n_users, last = len(contacts), people.state[:, -1]
    score = _RISK[last] + 0.12 * np.sqrt(people.days_in_state) + 0.5 * rng.standard_t(5, n_users)
    match = np.where(np.arange(4) == _cause(people)[:, None], 1.0, 0.2) * (np.arange(4) > 0)
    rested = np.clip(1.0 - 0.2 * contacts, 0.0, 1.0)
    helps = (strength * _HELP[last] * rested * np.where(people.takes_help, 1.0, 0.1))[:, None] * match
    on = np.where(np.arange(3) == rng.integers(0, 3, n_users)[:, None], 1.0, 0.6)
    change = helps[:, :, None, None] * on[:, None, :, None] * _moment(people, timing)[:, None, None, :]
    harm = strength * 0.4 * people.annoyed[:, None] * (np.arange(4) > 0)
    return norm.cdf(score[:, None, None, None] - np.where(people.annoyed[:, None, None, None], -harm[:, :, None, None], change))


def _moment(people: _People, timing: Timing) -> np.ndarray:
    """Factor by delay, shape (n_users, n_delays)."""
    delay_h = np.array(DELAYS_S) / 3_600.0
    factor = np.ones((len(people.as_of_us), len(delay_h)))
    if timing is not Timing.NONE:
        factor *= np.clip(1.0 - delay_h / 60.0, 0.0, 1.0)
    if timing is Timing.AGAINST_HABIT:
        free = (people.peak_hour + 10.0)[:, None]
        sent = _hour(people.as_of_us, _offsets(people))[:, None] % 24 + delay_h
        off = np.abs((sent - free + 12.0) % 24.0 - 12.0)
        factor *= np.where(off <= 4.0, 1.0, 0.15)
    return factor


def _logged(people: _People, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Action, channel, delay and their probability: more messages in the west, short delays more often."""
    n_users = len(people.region)
    sends_share = np.where(people.region == "west", 0.7, 0.5)
    sends = rng.random(n_users) < sends_share
    shares = np.array([0.3, 0.2, 0.2, 0.1, 0.1, 0.1])
    action, channel = rng.integers(1, 4, n_users), rng.integers(0, 3, n_users)
    delay = rng.choice(len(DELAYS_S), n_users, p=shares)
    propensity = np.where(sends, sends_share * shares[delay] / 9.0, 1.0 - sends_share)
    return np.where(sends, action, 0), np.where(sends, channel, -1), np.where(sends, delay, -1), propensity


def _events(people: _People, rng: np.random.Generator) -> tuple[EventColumns, np.ndarray, np.ndarray]:
    """All events; and user and time of each visit before the decision."""
    comes = rng.poisson(_VISITS_A_DAY[people.state])
    comes[:, 0] = np.maximum(comes[:, 0], 1)
    user, day = (np.repeat(index, comes[comes > 0]) for index in np.nonzero(comes))
    hour = (people.peak_hour[user] + rng.normal(0.0, 1.5, len(user))) % 24.0
    visit_us = to_us(_BEGIN) + day * 24 * _HOUR_US + (hour * _HOUR_US).astype(np.int64) - _offsets(people)[user]
    who, when = _cascade(np.arange(len(user)), visit_us, 2.0, rng)
    who_next, when_next = _cascade(who, when, 0.7, rng)
    child, child_us = np.concatenate([who, who_next]), np.concatenate([when, when_next])
    kind = (rng.random((len(child), 1)) < _WHAT[people.state[user[child], day[child]]].cumsum(axis=1)).argmax(axis=1)
    noise_user = rng.integers(0, len(people.region), 4 * len(people.region))
    noise_us = to_us(_BEGIN) + rng.integers(0, _DAYS * 24 * _HOUR_US, len(noise_user))
    every = [(user, np.zeros_like(user), visit_us), (user[child], kind, child_us), (noise_user, np.full_like(noise_user, _PING), noise_us)]
    users, kinds, at_us = (np.concatenate(column) for column in zip(*every, strict=True))
    none = np.zeros(len(users), dtype=np.int64)
    columns = EventColumns(
        user=users,
        kind=kinds.astype(np.int16),
        occurred_us=at_us,
        known_us=at_us + 1_000_000,
        skew_us=none,
        event_hash=np.arange(len(users)) + 1,
        subject=none,
        value=none,
        session=none,
    )
    order = np.lexsort((visit_us, user))
    order = order[visit_us[order] < people.as_of_us[user[order]]]
    return columns, user[order], visit_us[order]


def _cascade(parent: np.ndarray, parent_us: np.ndarray, mean: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """What each event sets off, some minutes later."""
    times = rng.geometric(1.0 / (1.0 + mean), len(parent)) - 1
    after_us = (rng.exponential(8.0 * 60.0, int(times.sum())) * 1e6).astype(np.int64)
    return np.repeat(parent, times), np.repeat(parent_us, times) + after_us
