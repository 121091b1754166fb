"""Wall clocks: the user's zone, local calendar days, and when quiet hours end.

Reading the zone database (the system's or the ``tzdata`` wheel) is the one thing outside its arguments that the decision core looks at: a
decision replays to the same bytes under the same database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from features.core.event import from_us, to_us
from serving.decision.policy import Policy, QuietHours

_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)
_MINUTES_PER_DAY = 1440


def zone_of(profile: Mapping[str, Any], policy: Policy) -> ZoneInfo:
    """The user's time zone; the policy's default where the attribute is unset or names no zone."""
    name = profile.get(policy.timezone_attribute)
    zone = _zone_named(name) if isinstance(name, str) else None
    return zone or _zone_named(policy.default_timezone) or ZoneInfo(policy.default_timezone)


@lru_cache(maxsize=1024)
def _zone_named(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not there; not a plain name; a folder of zones ("America") or too long
        return None


@lru_cache(maxsize=1024)  # each rule asks for the same few instants
def local(at_us: int, zone: ZoneInfo) -> datetime:
    """The instant on the user's wall clock."""
    return from_us(at_us).astimezone(zone)


def utc_offset_s(at_us: int, zone: ZoneInfo) -> int:
    """How far the zone's clock is ahead of UTC at the instant, in seconds."""
    offset = local(at_us, zone).utcoffset()
    assert offset is not None  # the instant is aware
    return int(offset.total_seconds())


def day_start_us(day: date, zone: ZoneInfo) -> int:
    """First instant of the local calendar day: 00:00, or the end of the gap where the clocks skip it.

    Examples
    --------
    >>> from_us(day_start_us(date(2026, 4, 24), ZoneInfo("Africa/Cairo"))).isoformat()  # that day has no 00:00, it begins at 01:00
    '2026-04-23T22:00:00+00:00'
    """
    return to_us(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC))


@lru_cache(maxsize=4096)
def day_window_us(day: date, zone: ZoneInfo) -> tuple[int, int]:
    """[first instant of the local day, first instant of the next): 23 to 25 hours."""
    return day_start_us(day, zone), day_start_us(day + _DAY, zone)


def quiet_range_at(at_us: int, ranges: Sequence[QuietHours], zone: ZoneInfo) -> QuietHours | None:
    """The first of these quiet hours that holds at the instant."""
    minute = _minute_of_day(local(at_us, zone))
    for quiet in ranges:
        if _contains(quiet, minute):
            return quiet
    return None


def quiet_end_us(at_us: int, quiet: QuietHours, zone: ZoneInfo) -> int:
    """First whole minute after ``at_us``, itself within ``quiet``, whose wall clock is outside; exact over clock changes.

    Examples
    --------
    Quiet from 22:00 to 08:00 in Berlin, asked at 23:30 on the eve of the change to summer time: eight and a half hours by the wall clock,
    seven and a half by the stopwatch.

    >>> from serving.decision.policy import MessageClass
    >>> quiet = QuietHours(start_minute=22 * 60, end_minute=8 * 60, classes=(MessageClass.OUTREACH,))
    >>> asked = to_us(datetime(2026, 3, 28, 22, 30, tzinfo=UTC))
    >>> from_us(quiet_end_us(asked, quiet, ZoneInfo("Europe/Berlin"))).isoformat()
    '2026-03-29T06:00:00+00:00'
    """
    now = from_us(at_us)
    wall = now.astimezone(zone)
    now -= timedelta(seconds=wall.second, microseconds=wall.microsecond)
    end = now + _MINUTE * ((quiet.end_minute - _minute_of_day(wall)) % _MINUTES_PER_DAY)
    if end.astimezone(zone).utcoffset() == wall.utcoffset():
        return to_us(end)
    # The clocks change before then. It happens twice a year, so minutes are simply tried one by one.
    while _contains(quiet, _minute_of_day(now.astimezone(zone))):
        now += _MINUTE
    return to_us(now)


@lru_cache(maxsize=2048)  # mostly of a midnight, which everybody of a zone shares
def quiet_start_us(at_us: int, ranges: tuple[QuietHours, ...], zone: ZoneInfo) -> int:
    """First whole minute of the unbroken quiet hours that ``at_us`` lies in; itself where it lies in none, or where they never end.

    Examples
    --------
    >>> from serving.decision.policy import MessageClass
    >>> quiet = QuietHours(start_minute=21 * 60, end_minute=8 * 60, classes=(MessageClass.OUTREACH,))
    >>> midnight = to_us(datetime(2026, 3, 3, tzinfo=UTC))
    >>> from_us(quiet_start_us(midnight, (quiet,), ZoneInfo("UTC"))).isoformat()
    '2026-03-02T21:00:00+00:00'
    """
    now = from_us(at_us)
    minute = now - timedelta(seconds=now.second, microseconds=now.microsecond)
    start_us = at_us
    for _ in range(_MINUTES_PER_DAY):  # minutes, since ranges join and clocks change
        if quiet_range_at(to_us(minute), ranges, zone) is None:
            return start_us
        start_us = to_us(minute)
        minute -= _MINUTE
    return at_us


def _contains(quiet: QuietHours, minute: int) -> bool:
    if quiet.start_minute <= quiet.end_minute:
        return quiet.start_minute <= minute < quiet.end_minute
    return minute >= quiet.start_minute or minute < quiet.end_minute


def _minute_of_day(wall: datetime) -> int:
    return wall.hour * 60 + wall.minute
