"""Instants that commands are given, and the one they read from the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from training.freshness import Look


def look_now(stale_after_days: int, product_dir: Path | None = None) -> Look:
    """Look at the clock, here and nowhere deeper."""
    stale_after = timedelta(days=stale_after_days) if stale_after_days > 0 else None
    return Look(now=datetime.now(UTC), stale_after=stale_after, product_dir=product_dir)


def in_utc(instant: datetime | None) -> datetime | None:
    """Take an instant without an offset as UTC.

    Examples
    --------
    >>> in_utc(datetime(2026, 3, 1)).isoformat()
    '2026-03-01T00:00:00+00:00'
    """
    return instant.replace(tzinfo=UTC) if instant is not None and instant.tzinfo is None else instant
