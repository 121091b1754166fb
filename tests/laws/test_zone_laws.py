"""A zone written out as a table tells the time that ``zoneinfo`` tells."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.core.catalogue import Zone
from features.core.event import from_us, to_us
from features.declarations.zones import zone_data
from tests.zone_tables import LAST_DAY, offset, zone_table

# Summer time in the north and the south, by half an hour, by two hours, paused for Ramadan, given up, and a day that never was.
NAMES = (
    "Europe/Berlin",
    "Europe/Dublin",
    "America/New_York",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Africa/Casablanca",
    "Asia/Kolkata",
    "Pacific/Apia",
    "Asia/Gaza",
)
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
BESIDE = (timedelta(0), timedelta(microseconds=-1), timedelta(microseconds=1), timedelta(seconds=-1), timedelta(hours=1))


def table_offset(zone: Zone, instant: datetime) -> timedelta:
    return timedelta(seconds=zone.offsets_s[bisect_right(zone.starts_us, to_us(instant))])


@given(st.sampled_from(NAMES), st.integers(to_us(FIRST), to_us(LAST) - 1))
def test_the_offset_is_right_at_any_instant(name: str, at_us: int) -> None:
    assert table_offset(zone_data(name), from_us(at_us)) == offset(from_us(at_us), name)


@pytest.mark.parametrize("name", NAMES)
def test_the_offset_is_right_beside_every_change(name: str) -> None:
    zone = zone_data(name)
    around = [from_us(start_us) + beside for start_us in zone.starts_us for beside in BESIDE]
    assert [table_offset(zone, at) for at in around] == [offset(at, name) for at in around]


@pytest.mark.parametrize("name", NAMES)
def test_two_ways_to_read_a_zone_find_the_same_changes(name: str) -> None:
    ours, other = zone_data(name), zone_table(name)
    low, high = to_us(FIRST), to_us(LAST_DAY)
    assert [us for us in ours.starts_us if us < high] == [us for us in other.starts_us if us > low]
    assert len(ours.offsets_s) == len(ours.starts_us) + 1


def test_a_zone_that_is_always_utc_needs_no_table() -> None:
    assert zone_data("UTC") is None
    assert zone_data("Etc/UTC") is None
    assert zone_data("Europe/London") is not None
