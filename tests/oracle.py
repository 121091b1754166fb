"""What every feature means, said again slowly: plain Python over raw events, one definition at a time.

It shares nothing with the timeline or the kernel but the event itself; where the two disagree, read this one first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from features.core.catalogue import Aggregation, Catalogue, Feature, Kind
from features.core.event import Event, event_hash, to_us

DAY_US = 24 * 60 * 60 * 1_000_000
SESSION_GAP_US = 30 * 60 * 1_000_000


@dataclass(frozen=True, kw_only=True)
class Fact:
    """An event of one user, once: however often it was sent, it is known since it first arrived."""

    kind: str
    sent_us: int
    hash: int
    known_us: int
    subject: str | None
    value: int | None
    session: str | None

    @property
    def effective_us(self) -> int:
        """When it counts as having happened: a clock that runs ahead cannot put it after its arrival."""
        return min(self.sent_us, self.known_us)


def oracle_vector(events: Iterable[Event], as_of_us: int, catalogue: Catalogue) -> list[float]:
    """All features of one user, from all their events, as known at ``as_of_us``."""
    known = [fact for fact in distinct(events) if fact.known_us <= as_of_us]
    kept = [fact for kind in catalogue.kinds for fact in kept_of(kind, known)]
    return [oracle_feature(feature, kept, as_of_us) for feature in catalogue.features]


def distinct(events: Iterable[Event]) -> list[Fact]:
    first: dict[tuple[object, ...], Event] = {}
    for event in events:
        content = (event.event_id, event.occurred_at, event.kind, event.subject, event.value, event.session_id)
        if content not in first or event.received_at < first[content].received_at:
            first[content] = event
    return [
        Fact(
            kind=event.kind,
            sent_us=to_us(event.occurred_at),
            hash=event_hash(event),
            known_us=to_us(event.received_at),
            subject=event.subject,
            value=event.value,
            session=event.session_id,
        )
        for event in first.values()
    ]


def kept_of(kind: Kind, known: Sequence[Fact]) -> list[Fact]:
    ordered = sorted((fact for fact in known if fact.kind == kind.name), key=lambda fact: (fact.sent_us, fact.hash))
    oldest = ordered[: kind.keep_first]
    newest = ordered[len(ordered) - kind.keep :] if kind.keep < len(ordered) else ordered
    return [fact for fact in ordered if fact in oldest or fact in newest]


def oracle_feature(feature: Feature, kept: Sequence[Fact], as_of_us: int) -> float:
    window_us = math.inf if feature.window is None else feature.window.total_seconds() * 1_000_000
    inside = [fact for fact in kept if fact.kind in feature.kinds and fact.effective_us > as_of_us - window_us]
    inside.sort(key=lambda fact: (fact.effective_us, fact.hash))
    return float(DEFINITIONS[feature.aggregation](inside, as_of_us))


def count(facts: Sequence[Fact], _as_of_us: int) -> int:
    return len(facts)


def sum_of_values(facts: Sequence[Fact], _as_of_us: int) -> int:
    return sum(fact.value or 0 for fact in facts)


def distinct_subjects(facts: Sequence[Fact], _as_of_us: int) -> int:
    return len({fact.subject for fact in facts if fact.subject is not None})


def seconds_since_last(facts: Sequence[Fact], as_of_us: int) -> float:
    return float(as_of_us - facts[-1].effective_us) / 1_000_000 if facts else math.nan


def seconds_since_first(facts: Sequence[Fact], as_of_us: int) -> float:
    return float(as_of_us - facts[0].effective_us) / 1_000_000 if facts else math.nan


def days(facts: Sequence[Fact]) -> set[int]:
    return {fact.effective_us // DAY_US for fact in facts}


def active_days(facts: Sequence[Fact], _as_of_us: int) -> int:
    return len(days(facts))


def streak_days(facts: Sequence[Fact], as_of_us: int) -> int:
    active, today = days(facts), as_of_us // DAY_US
    last = today if today in active else today - 1
    length = 0
    while last - length in active:
        length += 1
    return length


def session_count(facts: Sequence[Fact], _as_of_us: int) -> int:
    named = {fact.session for fact in facts if fact.session is not None}
    times_us = [fact.effective_us for fact in facts if fact.session is None]
    runs = sum(i == 0 or times_us[i] - times_us[i - 1] > SESSION_GAP_US for i in range(len(times_us)))
    return len(named) + runs


DEFINITIONS = {
    Aggregation.COUNT: count,
    Aggregation.SUM: sum_of_values,
    Aggregation.DISTINCT_SUBJECTS: distinct_subjects,
    Aggregation.SECONDS_SINCE_LAST: seconds_since_last,
    Aggregation.SECONDS_SINCE_FIRST: seconds_since_first,
    Aggregation.ACTIVE_DAYS: active_days,
    Aggregation.STREAK_DAYS: streak_days,
    Aggregation.SESSION_COUNT: session_count,
}
