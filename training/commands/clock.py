"""Instants that commands are given, and the one they read from the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from training.bounds import require_whole
from training.errors import BadInputError
from training.freshness import MOST_DAYS, STALE_AFTER_DAYS, Look


def look_now(stale_after_days: int, product_dir: Path | None = None) -> Look:
    """Look at the clock, here and nowhere deeper.

    Raises
    ------
    BadInputError
        If no log could be so young.
    """
    advice = f"{STALE_AFTER_DAYS} is the default, and 0 takes a log of any age"
    stale_after = span_of("stale_after_days", stale_after_days, advice=advice)
    return Look(now=datetime.now(UTC), stale_after=stale_after, product_dir=product_dir)


def span_of(name: str, days: int, *, advice: str) -> timedelta | None:
    """So many days; 0: None, for without an end.

    Raises
    ------
    BadInputError
        If there are fewer than none, or more than a hundred years.

    Examples
    --------
    >>> span_of("days", 30, advice="0: never"), span_of("days", 0, advice="0: never")
    (datetime.timedelta(days=30), None)
    """
    require_whole(name, days, least=0, most=MOST_DAYS, advice=advice)
    return timedelta(days=days) if days else None


def instant_of(text: str) -> datetime | None:
    """Read an ISO date or instant, as UTC where it names no zone; "": none.

    Raises
    ------
    BadInputError
        If it is neither.

    Examples
    --------
    >>> instant_of("2026-03-01").isoformat(), instant_of("2026-03-01T12:00+02:00").isoformat(), instant_of("")
    ('2026-03-01T00:00:00+00:00', '2026-03-01T12:00:00+02:00', None)
    """
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as exc:
        raise BadInputError(f"{text!r} is no instant ({exc}), expected an ISO date or instant such as 2026-03-01T12:00Z") from exc
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
