"""Instants of external logs: what a declared time column says, exact to the microsecond."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from features.core.event import from_us
from features.declarations.log import EPOCH_FORMATS, ISO_FORMAT, TimeColumn
from features.ingest.rejection import INT64_MAX, RefusedError, shown

_US_PER_UNIT = dict(zip(EPOCH_FORMATS, (1_000_000, 1_000, 1), strict=True))

InstantReader = Callable[[Mapping[str, Any]], datetime | None]


def instant_reader(column: TimeColumn) -> InstantReader:
    """Build the reader of one time column; answers repeat for repeated texts without parsing again.

    The reader gives an aware UTC datetime, None for an empty field, and raises `RefusedError` (``bad_timestamp`` or ``naive_timestamp``,
    the field being the column) otherwise. Instants between two microseconds are cut off to the earlier one. A local time that a clock
    change repeats is its first occurrence.

    Examples
    --------
    >>> read = instant_reader(TimeColumn(column="at", formats=("iso", "%d/%m/%Y %H:%M"), assume_timezone="Europe/Berlin"))
    >>> read({"at": "01/07/2024 12:00"}).isoformat(), read({"at": "2024-07-01T12:00:00Z"}).isoformat(), read({"at": None})
    ('2024-07-01T10:00:00+00:00', '2024-07-01T12:00:00+00:00', None)
    """
    zone = None if column.assume_timezone is None else ZoneInfo(column.assume_timezone)

    @lru_cache(maxsize=65_536, typed=True)
    def parsed(value: object) -> datetime:
        instant = _first_that_fits(value, column)
        if instant.tzinfo is None:
            if zone is None:
                expected = "a UTC offset, or a declaration with assume_timezone"
                raise RefusedError("naive_timestamp", column.column, got=shown(value), expected=expected)
            instant = instant.replace(tzinfo=zone)
        return instant if instant.tzinfo is UTC else instant.astimezone(UTC)

    def read(values: Mapping[str, Any]) -> datetime | None:
        value = values.get(column.column)
        try:
            return None if value is None else parsed(value)
        except (TypeError, OverflowError):  # a JSON list cannot be cached; year 1 has no UTC instant east of Greenwich
            raise _unfit(value, column) from None

    return read


def _first_that_fits(value: object, column: TimeColumn) -> datetime:
    for time_format in column.formats:
        try:
            return _PARSERS.get(time_format, _strptime)(value, time_format)
        except (ValueError, TypeError, ArithmeticError):
            continue
    raise _unfit(value, column)


def _unfit(value: object, column: TimeColumn) -> RefusedError:
    return RefusedError("bad_timestamp", column.column, got=shown(value), expected="one of the formats " + ", ".join(column.formats))


def _iso(value: Any, _format: str) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001  # naive, as the date is; the declared zone is attached by the caller
    return datetime.fromisoformat(value)


def _epoch(value: Any, time_format: str) -> datetime:
    if isinstance(value, bool | datetime):
        raise TypeError
    exact_us = Decimal(str(value)) * _US_PER_UNIT[time_format]
    if abs(exact_us) > INT64_MAX:
        raise ValueError
    return from_us(int(exact_us.to_integral_value(rounding="ROUND_FLOOR")))


def _strptime(value: Any, time_format: str) -> datetime:
    return datetime.strptime(value, time_format)  # noqa: DTZ007  # a naive answer gets the declared zone from the caller


_PARSERS: dict[str, Callable[[Any, str], datetime]] = {ISO_FORMAT: _iso} | dict.fromkeys(EPOCH_FORMATS, _epoch)
