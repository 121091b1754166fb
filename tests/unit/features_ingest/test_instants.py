from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.core.event import from_us
from features.declarations.log import TimeColumn
from features.ingest.instants import instant_reader
from features.ingest.rejection import RefusedError


def read(value: Any, *formats: str, zone: str | None = None) -> datetime | None:
    return instant_reader(TimeColumn(column="at", formats=formats or ("iso",), assume_timezone=zone))({"at": value})


def refusal(value: Any, *formats: str, zone: str | None = None) -> tuple[str, str]:
    with pytest.raises(RefusedError) as raised:
        read(value, *formats, zone=zone)
    return raised.value.rejection.code, raised.value.rejection.message


@pytest.mark.parametrize(
    ("value", "formats", "zone", "expected"),
    [
        ("2024-05-01T10:00:00Z", ["iso"], None, "2024-05-01T10:00:00+00:00"),
        ("2024-05-01T10:00:00+02:00", ["iso"], "America/New_York", "2024-05-01T08:00:00+00:00"),
        ("2024-05-01T10:00:00", ["iso"], "Europe/Berlin", "2024-05-01T08:00:00+00:00"),
        ("2024-05-01", ["iso"], "UTC", "2024-05-01T00:00:00+00:00"),
        ("01/05/2024", ["iso", "%d/%m/%Y"], "UTC", "2024-05-01T00:00:00+00:00"),
        ("2024-10-27T02:30:00", ["iso"], "Europe/Berlin", "2024-10-27T00:30:00+00:00"),  # repeated: the first, summer, one
        ("1714557600", ["epoch_s"], None, "2024-05-01T10:00:00+00:00"),
        ("1714557600.000001", ["epoch_s"], None, "2024-05-01T10:00:00.000001+00:00"),
        (1714557600123, ["epoch_ms"], None, "2024-05-01T10:00:00.123000+00:00"),
        (1714557600000001, ["epoch_us"], None, "2024-05-01T10:00:00.000001+00:00"),
        (1714557600.5, ["epoch_s"], None, "2024-05-01T10:00:00.500000+00:00"),
        (date(2024, 5, 1), ["iso"], "UTC", "2024-05-01T00:00:00+00:00"),
        (datetime(2024, 5, 1, 10, tzinfo=UTC), ["iso"], None, "2024-05-01T10:00:00+00:00"),
    ],
)
def test_declared_formats_are_read(value: Any, formats: list[str], zone: str | None, expected: str) -> None:
    instant = read(value, *formats, zone=zone)
    assert instant is not None
    assert instant.isoformat() == expected


@given(instant_us=st.integers(0, 2**52))
def test_numbers_since_1970_are_exact_to_the_microsecond(instant_us: int) -> None:
    assert read(instant_us, "epoch_us") == read(f"{instant_us // 10**6}.{instant_us % 10**6:06d}", "epoch_s") == from_us(instant_us)


def test_nothing_is_no_instant() -> None:
    assert read(None) is None
    assert instant_reader(TimeColumn(column="at"))({}) is None


@pytest.mark.parametrize("value", ["yesterday", "", True, ["2024-05-01"], {"a": 1}, "2024-02-30", float("nan"), "1e9999999", 10**30])
@pytest.mark.parametrize("formats", [["iso"], ["epoch_s"], ["iso", "epoch_ms", "%d.%m.%Y"]])
def test_what_fits_no_format_is_refused_with_the_formats(value: Any, formats: list[str]) -> None:
    code, message = refusal(value, *formats, zone="UTC")
    assert code == "bad_timestamp"
    assert message.endswith("expected one of the formats " + ", ".join(formats))


def test_a_time_without_zone_is_refused_unless_one_is_declared() -> None:
    assert refusal("2024-05-01T10:00:00") == (
        "naive_timestamp",
        "at: got '2024-05-01T10:00:00', expected a UTC offset, or a declaration with assume_timezone",
    )


def test_an_instant_before_the_first_utc_year_is_refused() -> None:
    assert refusal("0001-01-01T00:00:00+14:00")[0] == "bad_timestamp"
