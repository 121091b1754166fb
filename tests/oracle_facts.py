"""What is known of one user, from raw events: each event once, and of each kind no more than a timeline may keep.

It shares nothing with the timeline but the words of docs/features.md, the event hash included: that is said again here, from the standard
library's JSON and calendar, because ties are broken by it.
"""

from __future__ import annotations

import calendar
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import xxhash

from features.core.catalogue import Kind
from features.core.event import Event


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

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands in the order of a feature's events."""
        return self.effective_us, self.hash


def microseconds(instant: datetime) -> int:
    return calendar.timegm(instant.utctimetuple()) * 1_000_000 + instant.microsecond


def content_hash(event: Event) -> int:
    content = [event.event_id, microseconds(event.occurred_at), event.kind, event.subject, event.value, event.session_id]
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return int.from_bytes(xxhash.xxh3_64_digest(text.encode()), "big", signed=True)


def distinct(events: Iterable[Event]) -> list[Fact]:
    first: dict[tuple[object, ...], Event] = {}
    for event in events:
        content = (event.event_id, event.occurred_at, event.kind, event.subject, event.value, event.session_id)
        if content not in first or event.received_at < first[content].received_at:
            first[content] = event
    return [
        Fact(
            kind=event.kind,
            sent_us=microseconds(event.occurred_at),
            hash=content_hash(event),
            known_us=microseconds(event.received_at),
            subject=event.subject,
            value=event.value,
            session=event.session_id,
        )
        for event in first.values()
    ]


def kept_of(kind: Kind, known: Sequence[Fact]) -> list[Fact]:
    ordered = sorted((fact for fact in known if fact.kind == kind.name), key=lambda fact: (fact.sent_us, fact.hash))
    from_newest = len(ordered) - kind.keep
    return [fact for position, fact in enumerate(ordered) if position < kind.keep_first or position >= from_newest]
