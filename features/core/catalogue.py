"""What a product measures: kinds of event and the features over them, as data that the kernel interprets."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cached_property

import orjson


class Aggregation(StrEnum):
    """How events become one number. The exact definitions are in ``docs/features.md`` and in the tests' oracle."""

    COUNT = "count"
    SUM = "sum"
    DISTINCT_SUBJECTS = "distinct_subjects"
    SECONDS_SINCE_LAST = "seconds_since_last"
    SECONDS_SINCE_FIRST = "seconds_since_first"
    ACTIVE_DAYS = "active_days"
    SESSION_COUNT = "session_count"
    STREAK_DAYS = "streak_days"


class Direction(StrEnum):
    """How risk is expected to move as the feature grows; a monotone constraint where not NONE."""

    UP = "up"
    DOWN = "down"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of event and how much of it a timeline keeps."""

    name: str
    keep: int = 64  # newest events kept
    keep_first: int = 2  # oldest events kept
    subject: str | None = None  # what the subject names ("step"); None: events carry no subject
    value_unit: str | None = None  # unit of the integer value ("ms"); None: events carry no value
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One named number, a pure function of (timeline, as_of)."""

    aggregation: Aggregation
    of: str  # the kind or the kind group it ranges over: the middle of the name
    kinds: tuple[str, ...]  # the kinds that `of` stands for
    window: timedelta | None = None  # events in (as_of - window, as_of]; None: all that is kept
    cause: str = "other"  # cause group: features with one remedy
    unit: str = "count"
    direction: Direction = Direction.NONE
    description: str = ""

    @property
    def name(self) -> str:
        """Derived from the definition, so that name and meaning cannot drift.

        Examples
        --------
        >>> Feature(aggregation=Aggregation.COUNT, of="login", kinds=("login",), window=timedelta(days=7)).name
        'count_login_7d'
        >>> Feature(aggregation=Aggregation.SECONDS_SINCE_LAST, of="any", kinds=("login", "click")).name
        'seconds_since_last_any'
        """
        window = "" if self.window is None else f"_{window_text(self.window)}"
        return f"{self.aggregation.value}_{self.of}{window}"


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """All kinds and features of one product, in declared order."""

    kinds: tuple[Kind, ...]
    features: tuple[Feature, ...]

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """Names in vector order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits over everything that can change a vector: keeps, units of values, definitions, order, kernel version.

        Descriptions, causes and directions are left out: they change no number.
        """
        content = [
            KERNEL_VERSION,
            [[kind.name, kind.keep, kind.keep_first, kind.value_unit] for kind in self.kinds],
            [
                [f.aggregation.value, f.of, sorted(f.kinds), None if f.window is None else f.window // timedelta(microseconds=1)]
                for f in self.features
            ],
        ]
        return hashlib.sha256(orjson.dumps(content)).hexdigest()[:16]


KERNEL_VERSION = 1
"""Raised whenever the kernel's meaning changes; part of every fingerprint."""


def window_text(window: timedelta) -> str:
    """Shortest exact text of a window: ``7d``, ``36h``, ``90s``, ``500ms``.

    Examples
    --------
    >>> [window_text(timedelta(**w)) for w in ({"days": 7}, {"hours": 36}, {"minutes": 2}, {"milliseconds": 500})]
    ['7d', '36h', '2m', '500ms']
    """
    for unit, name in _UNITS:
        if window % unit == timedelta(0):
            return f"{window // unit}{name}"
    return f"{window // timedelta(microseconds=1)}us"


_UNITS = (
    (timedelta(days=1), "d"),
    (timedelta(hours=1), "h"),
    (timedelta(minutes=1), "m"),
    (timedelta(seconds=1), "s"),
    (timedelta(milliseconds=1), "ms"),
)
