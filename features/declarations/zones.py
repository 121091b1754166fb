"""Time zones as data: what `zoneinfo` knows, written out for the kernel."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from features.core.catalogue import Zone

FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""Between these the transitions are written out; before and after them the nearest offset holds."""

_DAY_S = 86_400


@cache
def zone_data(name: str) -> Zone | None:
    """The zone's offsets from UTC between `FIRST` and `LAST`; None for a zone that is UTC throughout.

    Examples
    --------
    >>> zone_data("Asia/Kolkata").offsets_s, zone_data("UTC") is None
    ((19800,), True)
    """
    zone = ZoneInfo(name)
    seconds = range(int(FIRST.timestamp()), int(LAST.timestamp()) + 1, _DAY_S)
    transitions = [
        _transition(zone, before, after) for before, after in pairwise(seconds) if _offset_s(zone, before) != _offset_s(zone, after)
    ]
    offsets = (_offset_s(zone, seconds[0]), *(_offset_s(zone, second) for second in transitions))
    if offsets == (0,):
        return None
    return Zone(name=name, starts_us=tuple(second * 1_000_000 for second in transitions), offsets_s=offsets)


def _transition(zone: ZoneInfo, before: int, after: int) -> int:
    """The first second with another offset than ``before``: no zone changes its mind twice within a day."""
    old = _offset_s(zone, before)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset_s(zone, middle) == old:
            before = middle
        else:
            after = middle
    return after


def _offset_s(zone: ZoneInfo, second: int) -> int:
    offset = datetime.fromtimestamp(second, zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds())
