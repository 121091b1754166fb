from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from features.core.event import from_us
from features.declarations.zones import FIRST, LAST, zone_data


def offset_of(zone, instant: datetime) -> int:
    """Offset that the data gives, in seconds."""
    passed = sum(from_us(start_us) <= instant for start_us in zone.starts_us)
    return zone.offsets_s[passed]


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/New_York", "Africa/Casablanca", "Asia/Kathmandu", "Australia/Lord_Howe"])
def test_the_data_says_what_the_zone_says(name):
    zone, original = zone_data(name), ZoneInfo(name)
    assert zone is not None
    instants = [
        FIRST,
        LAST - timedelta(seconds=1),
        *(datetime(year, month, 11, 1, 30, tzinfo=UTC) for year in range(1970, 2100) for month in range(1, 13)),
    ]
    around = [from_us(start_us) + step for start_us in zone.starts_us for step in (-timedelta(seconds=1), timedelta(0))]
    for instant in [*instants, *around]:
        offset = instant.astimezone(original).utcoffset()
        assert offset is not None
        assert offset_of(zone, instant) == offset.total_seconds(), instant


def test_transitions_ascend_and_change_something():
    zone = zone_data("Europe/Berlin")
    assert zone is not None
    assert all(before < after for before, after in pairwise(zone.starts_us))
    assert all(before != after for before, after in pairwise(zone.offsets_s))
    assert datetime(2026, 3, 29, 1, tzinfo=UTC) in [from_us(start_us) for start_us in zone.starts_us]


def test_another_name_for_utc_is_no_zone():
    assert zone_data("Etc/UTC") is None
