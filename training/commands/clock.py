"""Instants that commands are given, and the one they read from the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from training.errors import BadInputError
from training.freshness import Look


def look_now(stale_after_days: int, product_dir: Path | None = None) -> Look:
    """Look at the clock, here and nowhere deeper."""
    stale_after = timedelta(days=stale_after_days) if stale_after_days > 0 else None
    return Look(now=datetime.now(UTC), stale_after=stale_after, product_dir=product_dir)


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
