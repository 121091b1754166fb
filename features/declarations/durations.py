"""Durations as people write them: ``30d``, ``36h``, ``2m``, ``90s``, ``500ms``."""

from __future__ import annotations

import re
from datetime import timedelta

_PATTERN = re.compile(r"(\d{1,9})(ms|s|m|h|d)", re.ASCII)
_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}

_LONGEST = timedelta(days=36_500)  # keeps every sum with an instant inside 64-bit microseconds

DURATION_EXPECTED = "a duration such as 7d, 36h, 2m, 90s or 500ms"


def parse_duration(text: str) -> timedelta:
    """One whole number and one unit, nothing else; exact, and the inverse of `features.core.catalogue.window_text`.

    Raises
    ------
    ValueError
        If the text is anything else, also for compound ("1d12h"), fractional ("1.5h") and signed ones, and beyond 36500d.

    Examples
    --------
    >>> parse_duration("36h")
    datetime.timedelta(days=1, seconds=43200)
    >>> parse_duration("7 days")
    Traceback (most recent call last):
    ValueError: got '7 days', expected a duration such as 7d, 36h, 2m, 90s or 500ms
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(f"got {text!r}, expected {DURATION_EXPECTED}")
    duration = int(match[1]) * _UNITS[match[2]]
    if duration > _LONGEST:
        raise ValueError(f"got {text!r}, expected at most 36500d")
    return duration
