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


def table_offset(zone: Zone, instant: datetime) -> timedelta:
    return timedelta(seconds=zone.offsets_s[bisect_right(zone.starts_us, to_us(instant))])


@given(st.sampled_from(NAMES), st.integers(to_us(FIRST), to_us(LAST) - 1))
def test_the_offset_is_right_at_any_instant(name: str, at_us: int) -> None:
    assert table_offset(zone_data(name), from_us(at_us)) == offset(from_us(at_us), name)


@pytest.mark.parametrize("name", NAMES)
def test_two_ways_to_read_a_zone_find_the_same_changes(name: str) -> None:
    ours, other = zone_data(name), zone_table(name)
    low, high = to_us(FIRST), to_us(LAST_DAY)
    assert [us for us in ours.starts_us if us < high] == [us for us in other.starts_us if us > low]
    assert len(ours.offsets_s) == len(ours.starts_us) + 1
