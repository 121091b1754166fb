"""In which format a column states instants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from features.declarations.log import EPOCH_FORMATS, ISO_FORMAT, TimeColumn
from features.ingest.instants import instant_reader
from features.ingest.rejection import RefusedError

_DATES = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%d %b %Y", "%b %d, %Y", "%d/%b/%Y")
_CLOCKS = ("", " %H:%M:%S", " %H:%M", " %H:%M:%S.%f", " %I:%M:%S %p", " %I:%M %p")
_PATTERNS = (*(date + clock for clock in _CLOCKS for date in _DATES), "%d/%b/%Y:%H:%M:%S %z", "%a %b %d %H:%M:%S %z %Y")
_EPOCH_RANGES = dict(zip(EPOCH_FORMATS, ((1e8, 1e10), (1e11, 1e13), (1e14, 1e16)), strict=True))  # 1973 to 2286
_FIRST_LOOK = 50
ENOUGH = 0.95
"""Share of the values that a format must read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeGuess:
    """How to read a column of instants."""

    format: str
    has_offset: bool  # False: some values state no offset, so a time zone must be assumed
    has_clock: bool  # False: dates alone
    ambiguous_with: str | None = None  # another format that reads every value too, as another instant
    read: float = 1.0  # share of the sample that it reads


def guess_time(texts: Sequence[str]) -> TimeGuess | None:
    """The first format that reads (nearly) all of the texts; None when there is none.

    Examples
    --------
    >>> guess_time(["1997-01-01", "1997-01-18"])
    TimeGuess(format='iso', has_offset=False, has_clock=False, ambiguous_with=None, read=1.0)
    >>> guess_time(["1700000000123"]).format, guess_time(["31/12/2023 10:05"]).format, guess_time(["ada", "ben"])
    ('epoch_ms', '%d/%m/%Y %H:%M', None)
    >>> guess_time(["01/02/2024"]).ambiguous_with
    '%m/%d/%Y'
    """
    if not texts:
        return None
    numeric = all(text.replace(".", "", 1).isdigit() for text in texts[:_FIRST_LOOK])
    candidates = _epochs(texts) if numeric and not _are_basic_dates(texts) else (ISO_FORMAT, *_PATTERNS)
    shares = {name: _share(texts, name) for name in candidates if _share(texts[:_FIRST_LOOK], name) >= ENOUGH}
    fitting = [name for name, share in shares.items() if share >= ENOUGH]
    if not fitting:
        return None
    best = max(fitting, key=lambda name: shares[name])
    rival = next((name for name in fitting if name != best and shares[name] == shares[best]), None)
    return TimeGuess(
        format=best, has_offset=_has_offset(texts, best), has_clock=_has_clock(texts, best), ambiguous_with=rival, read=shares[best]
    )


def reads(texts: Iterable[str], column: TimeColumn) -> list[int | None]:
    """Instants in microseconds as the import will read them; None for what it will refuse."""
    from features.core.event import to_us

    read = instant_reader(column)
    instants: list[int | None] = []
    for text in texts:
        try:
            instant = read({column.column: text})
        except RefusedError:
            instant = None
        instants.append(None if instant is None else to_us(instant))
    return instants


def _share(texts: Sequence[str], time_format: str) -> float:
    """Share of the texts that the format reads."""
    column = TimeColumn(column="time", formats=(time_format,), assume_timezone="UTC")
    return sum(instant is not None for instant in reads(texts, column)) / len(texts)


def _epochs(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name, (low, high) in _EPOCH_RANGES.items() if all(low <= float(text) < high for text in texts if _is_float(text)))


def _are_basic_dates(texts: Sequence[str]) -> bool:
    """Whether eight digits stand for days, as in 19970118."""
    return all(len(text) == len("19970118") and text[:2] in {"19", "20"} and text[4:6] <= "12" for text in texts[:_FIRST_LOOK])


def _is_float(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


def _has_offset(texts: Sequence[str], time_format: str) -> bool:
    if time_format != ISO_FORMAT:
        return time_format in EPOCH_FORMATS or "%z" in time_format
    return not any(_is_naive(text) for text in texts)


def _is_naive(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is None
    except ValueError:
        return False


def _has_clock(texts: Sequence[str], time_format: str) -> bool:
    """Whether any value is another instant than a midnight."""
    column = TimeColumn(column="time", formats=(time_format,), assume_timezone="UTC")
    return any(instant % 86_400_000_000 for instant in reads(texts, column) if instant is not None)
