"""Time zones as tables, read off ``zoneinfo`` by looking at every day and halving those on which the clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from features.core.catalogue import Zone
from features.core.event import to_us

FIRST_DAY, LAST_DAY = datetime(1969, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


@lru_cache
def zone_table(name: str) -> Zone:
    days = [FIRST_DAY + n * DAY for n in range((LAST_DAY - FIRST_DAY) // DAY + 1)]
    changes = [change_between(day, next_day, name) for day, next_day in pairwise(days) if offset(day, name) != offset(next_day, name)]
    offsets = [offset(instant, name) // SECOND for instant in (FIRST_DAY, *changes)]
    return Zone(name=name, starts_us=tuple(map(to_us, changes)), offsets_s=tuple(offsets))


def offset(instant: datetime, name: str) -> timedelta:
    return instant.astimezone(ZoneInfo(name)).utcoffset()


def change_between(before: datetime, after: datetime, name: str) -> datetime:
    """The first whole second with the offset of ``after``."""
    while after - before > SECOND:
        middle = before + (after - before) // SECOND // 2 * SECOND
        if offset(middle, name) == offset(before, name):
            before = middle
        else:
            after = middle
    return after
