"""Histories as a person writes them down: ``Wed 10:00:04 click/save``, one event a line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from features.core.event import Event

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def instant(text: str) -> datetime:
    """``Wed 10:00:04`` of the first week of March 2026, or ``2026-03-29 01:00``; UTC."""
    day, time = text.split()
    if day in DAYS:
        day = str((MONDAY + DAYS.index(day) * timedelta(days=1)).date())
    return datetime.fromisoformat(f"{day}T{time}+00:00")


def events(text: str) -> list[Event]:
    """Each line: day, time, kind or kind/subject, then ``=value``, ``#session`` and ``+seconds`` until it arrives, if any."""
    return [_event(line.split(), str(number)) for number, line in enumerate(text.splitlines()) if line.strip()]


def _event(words: list[str], event_id: str) -> Event:
    at, (kind, _, subject) = instant(" ".join(words[:2])), words[2].partition("/")
    more = {word[0]: word[1:] for word in words[3:]}
    return Event(
        event_id=event_id,
        user_id="ada",
        kind=kind,
        occurred_at=at,
        received_at=at + timedelta(seconds=float(more.get("+", 0))),
        subject=subject or None,
        value=int(more["="]) if "=" in more else None,
        session_id=more.get("#"),
    )
