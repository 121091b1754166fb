"""What simulated people are seen to do: visits, and in each visit events that follow noisily from the latent states."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from training.latent import HURDLES, Floats, Ints, People, sigmoid

NO_SUBJECT = ""
NO_VALUE = np.iinfo(np.int64).min

PAGES = ("home", "data", "reports", "team", "billing", "help", "verification")
FORMS = ("verification", "billing", "team")
FIELD_GROUPS = ("photo ID", "proof of address", "company details", "bank account")
STEPS = ("connect data", "invite team", "template", "alerts", "first report")
TOOLS = ("report", "import", "dashboard", "share", "filter", "export", "schedule", "comment")

ACCESS, _PAPERWORK, _GUIDANCE, _FOCUS = range(len(HURDLES))
_MINUTE_MS = 60_000
_SATURDAY = 5
_SAYS_GOODBYE = 0.93  # share of visits whose end is noticed


@dataclass(frozen=True, slots=True, kw_only=True)
class Visits:
    """One row a visit, in the order of people and days."""

    person: Ints
    day: Ints
    number: Ints  # 0 for a person's first visit
    length_ms: Ints
    motivation: Floats
    hurdles: Floats  # (n_visits, len(HURDLES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Events of one kind or of many, in any order; equally long arrays."""

    visit: Ints
    offset_ms: Ints  # since the visit began
    kind: npt.NDArray[np.str_]
    subject: npt.NDArray[np.str_]  # NO_SUBJECT where the kind has none
    value: Ints  # NO_VALUE where the kind has none


def draw_visits(people: People, weekday_of_day: Ints, rng: np.random.Generator) -> Visits:
    """Draw who comes on which day and how often; everyone comes on the day of joining, nobody after the last day."""
    n_people, n_days = people.motivation.shape
    day = np.arange(n_days)
    eager = sigmoid(-0.25 + 0.95 * people.motivation - 1.6 * people.weekday_only[:, None] * (weekday_of_day >= _SATURDAY))
    here = (day >= people.joined_day[:, None]) & (day <= people.last_day[:, None])
    joins = day == people.joined_day[:, None]
    comes = here & ((rng.random((n_people, n_days)) < eager) | joins)
    more = rng.poisson(0.35 * np.exp(np.clip(0.4 * people.motivation, -2.0, 1.0)))
    person, at_day = (repeated(index, (1 + more)[comes]) for index in np.nonzero(comes))
    number = np.arange(len(person)) - np.searchsorted(person, person)
    motivation, hurdles = people.motivation[person, at_day], people.hurdles[person, at_day]
    minutes = np.exp(rng.normal(1.7, 0.6, len(person)) + 0.3 * motivation - 0.35 * np.sqrt(hurdles[:, _FOCUS]))
    length_ms = np.clip(minutes * _MINUTE_MS, 15_000, 90 * _MINUTE_MS).astype(np.int64)
    return Visits(person=person, day=at_day, number=number, length_ms=length_ms, motivation=motivation, hurdles=hurdles)


def visits_at(visits: Visits, places: npt.NDArray[np.intp]) -> Visits:
    """Those visits, in that order."""
    return Visits(**{field.name: getattr(visits, field.name)[places] for field in fields(Visits)})


def repeated(index: npt.NDArray[np.intp], times: Ints) -> Ints:
    """Each index as often as ``times`` says.

    Examples
    --------
    >>> repeated(np.array([3, 5]), np.array([2, 1])).tolist()
    [3, 3, 5]
    """
    return np.repeat(index, times).astype(np.int64)


def draw_events(visits: Visits, rng: np.random.Generator) -> Seen:
    """Draw all events of all visits."""
    doors, gets_in_ms = _at_the_door(visits, rng)
    inside = joined_seen([_browsing(visits, rng), _paperwork(visits, rng), _setting_up(visits, rng), _working(visits, rng)])
    entered = gets_in_ms[inside.visit] >= 0
    moved = replace(inside, offset_ms=inside.offset_ms + np.maximum(gets_in_ms, 0)[inside.visit])
    return joined_seen([doors, _only(moved, entered)])


def _at_the_door(visits: Visits, rng: np.random.Generator) -> tuple[Seen, Ints]:
    """Draw sign-up, failed and successful sign-ins; and when each visit gets in (-1: it gives up)."""
    n_visits = len(visits.person)
    tries = np.minimum(rng.poisson(0.008 + 0.24 * np.clip(visits.hurdles[:, ACCESS] - 0.5, 0.0, 4.0)), 6)
    gives_up = (tries > 1) & (rng.random(n_visits) < 0.15 * tries)
    gap_ms = rng.integers(9_000, 38_000, n_visits)
    failed_at = _burst(tries, first_ms=np.full(n_visits, 5_000), gap_ms=gap_ms)
    gets_in_ms = np.where(gives_up, -1, 5_000 + tries * gap_ms)
    every = np.arange(n_visits)
    doors = [
        _seen("signup", every[visits.number == 0], np.zeros(int((visits.number == 0).sum()), dtype=np.int64)),
        _seen("login_failed", *failed_at),
        _seen("login", every[~gives_up], gets_in_ms[~gives_up]),
    ]
    return joined_seen(doors), gets_in_ms


def _browsing(visits: Visits, rng: np.random.Generator) -> Seen:
    minutes = visits.length_ms / _MINUTE_MS
    views = _scattered(visits, 1.0 + 0.45 * minutes, rng, most=30)
    clicks = _scattered(visits, 1.0 + 0.7 * minutes, rng, most=40)
    scrolls = _scattered(visits, 0.25 * minutes, rng, most=12)
    ends = np.arange(len(visits.person))[rng.random(len(visits.person)) < _SAYS_GOODBYE]
    return joined_seen(
        [
            _seen("page_view", *views, subject=_zipf(PAGES, len(views[0]), rng)),
            _seen("click", *clicks),
            _seen("scroll", *scrolls, value=rng.integers(5, 101, len(scrolls[0]))),
            _seen("session_ended", ends, visits.length_ms[ends], value=visits.length_ms[ends]),
        ]
    )


def _paperwork(visits: Visits, rng: np.random.Generator) -> Seen:
    """Draw forms, mostly in early visits: refusals come in bursts; pointers rest on the submit button; help is opened."""
    early = np.exp(-visits.number / 4.0)
    trouble = visits.hurdles[:, _PAPERWORK]
    refused = _burst(
        np.minimum(rng.poisson(early * (0.06 + 0.75 * trouble)), 6),
        first_ms=(visits.length_ms * rng.uniform(0.1, 0.6, len(early))).astype(np.int64),
        gap_ms=rng.integers(25_000, 110_000, len(early)),
    )
    accepted = _scattered(visits, 0.15 + 0.8 * early * np.exp(-0.5 * trouble), rng, most=6)
    rests = _scattered(visits, 0.2 + early * (0.3 + 0.9 * trouble), rng, most=10)
    asks = _scattered(visits, 0.03 + 0.12 * early * trouble, rng, most=3)
    missing = 1 + rng.poisson(0.8, len(refused[0]))
    return joined_seen(
        [
            _seen("form_failed", *refused, subject=_zipf(FIELD_GROUPS, len(refused[0]), rng), value=missing),
            _seen("form_submitted", *accepted, subject=_zipf(FORMS, len(accepted[0]), rng)),
            _seen("hover", *rests, value=rng.gamma(2.0, 450.0, len(rests[0])).astype(np.int64) + 150),
            _seen("help_opened", *asks),
        ]
    )


def _setting_up(visits: Visits, rng: np.random.Generator) -> Seen:
    """Draw the setup steps, offered in the first visits one after the other, and first tours."""
    early = np.exp(-visits.number / 2.5)
    unguided = visits.hurdles[:, _GUIDANCE]
    done = _scattered(visits, 1.7 * early * sigmoid(1.0 + 0.5 * visits.motivation - 1.1 * unguided), rng, most=5)
    skipped = _scattered(visits, early * (0.12 + 0.75 * unguided), rng, most=5)
    closed = _scattered(visits, early * (0.15 + 0.65 * unguided), rng, most=5)
    return joined_seen(
        [
            _seen("step_completed", *done, subject=_zipf(STEPS, len(done[0]), rng)),
            _seen("step_skipped", *skipped, subject=_zipf(STEPS, len(skipped[0]), rng)),
            _seen("feature_skipped", *closed, subject=_zipf(TOOLS, len(closed[0]), rng)),
        ]
    )


def _working(visits: Visits, rng: np.random.Generator) -> Seen:
    """Draw the use of features and the first result of value of a visit, sooner for those who know what to do."""
    used = _scattered(visits, 0.5 * np.exp(0.35 * visits.motivation) * np.sqrt(visits.length_ms / _MINUTE_MS), rng, most=15)
    slow = 0.5 * np.sqrt(visits.hurdles[:, _GUIDANCE])
    result_ms = np.exp(rng.normal(10.6, 0.7, len(slow)) + slow).astype(np.int64)
    succeeds = (rng.random(len(slow)) < sigmoid(0.3 + 0.5 * visits.motivation - slow)) & (result_ms < visits.length_ms)
    with_result = np.flatnonzero(succeeds).astype(np.int64)
    return joined_seen(
        [
            _seen("feature_used", *used, subject=_zipf(TOOLS, len(used[0]), rng)),
            _seen("key_action", with_result, result_ms[with_result], value=result_ms[with_result]),
        ]
    )


def _scattered(visits: Visits, mean: Floats, rng: np.random.Generator, *, most: int) -> tuple[Ints, Ints]:
    """Draw Poisson many moments in each visit, anywhere in it."""
    visit = np.repeat(np.arange(len(mean)), np.minimum(rng.poisson(mean), most))
    return visit, (rng.random(len(visit)) * visits.length_ms[visit]).astype(np.int64)


def _burst(times: Ints, *, first_ms: Ints, gap_ms: Ints) -> tuple[Ints, Ints]:
    """So many moments in each visit, one ``gap_ms`` after the other."""
    visit = np.repeat(np.arange(len(times)), times)
    number = np.arange(len(visit)) - np.searchsorted(visit, visit)
    return visit, first_ms[visit] + number * gap_ms[visit]


def _zipf(names: tuple[str, ...], size: int, rng: np.random.Generator) -> npt.NDArray[np.str_]:
    weights = 1.0 / np.arange(1, len(names) + 1)
    return rng.choice(np.array(names), size=size, p=weights / weights.sum())


def _seen(
    kind: str, visit: Ints, offset_ms: Ints, *, subject: npt.NDArray[np.str_] | None = None, value: npt.NDArray[np.int64] | None = None
) -> Seen:
    size = len(visit)
    return Seen(
        visit=visit,
        offset_ms=offset_ms,
        kind=np.full(size, kind),
        subject=np.full(size, NO_SUBJECT) if subject is None else subject,
        value=np.full(size, NO_VALUE, dtype=np.int64) if value is None else value,
    )


def joined_seen(parts: list[Seen]) -> Seen:
    """All of them, one part after the other."""
    return Seen(
        visit=np.concatenate([part.visit for part in parts]),
        offset_ms=np.concatenate([part.offset_ms for part in parts]),
        kind=np.concatenate([part.kind for part in parts]),
        subject=np.concatenate([part.subject for part in parts]),
        value=np.concatenate([part.value for part in parts]),
    )


def _only(seen: Seen, chosen: npt.NDArray[np.bool_]) -> Seen:
    return Seen(
        visit=seen.visit[chosen],
        offset_ms=seen.offset_ms[chosen],
        kind=seen.kind[chosen],
        subject=seen.subject[chosen],
        value=seen.value[chosen],
    )
