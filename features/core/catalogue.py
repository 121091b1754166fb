"""What a product measures: kinds of event and the features over them, as data that the kernel interprets."""

from __future__ import annotations

import hashlib
import re
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
    MEAN = "mean"
    MAX = "max"
    RATIO = "ratio"
    TREND = "trend"
    SECONDS_TO_FIRST = "seconds_to_first"
    SECONDS_TO_NEXT = "seconds_to_next"
    SECONDS_TO_LAST = "seconds_to_last"
    SECONDS_WAITING = "seconds_waiting"
    MEAN_GAP_SECONDS = "mean_gap_seconds"
    MAX_GAP_SECONDS = "max_gap_seconds"
    STD_GAP_SECONDS = "std_gap_seconds"
    LAST_GAP_RATIO = "last_gap_ratio"
    MAX_GAP_RATIO = "max_gap_ratio"
    HOUR_SHARE = "hour_share"
    LAST_SESSION_EVENTS = "last_session_events"
    LAST_SESSION_SECONDS = "last_session_seconds"
    EVENTS_PER_SESSION = "events_per_session"
    EVENTS_PER_ACTIVE_HOUR = "events_per_active_hour"
    EVENTS_PER_SECOND = "events_per_second"
    LAST_KINDS = "last_kinds"
    DECAYED_COUNT = "decayed_count"
    FUNNEL_POSITION = "funnel_position"
    SECONDS_AT_STEP = "seconds_at_step"
    SHARE_OF_FIRST = "share_of_first"
    BURST = "burst"


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
class Zone:
    """A time zone as data: the offset from UTC that holds from each transition on."""

    name: str  # IANA
    starts_us: tuple[int, ...]  # ascending UTC instants of the transitions
    offsets_s: tuple[int, ...]  # one more than transitions: the first holds before them all


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One named number, a pure function of (timeline, as_of).

    A *selector* is a kind, ``page_view``, or a kind and a subject, ``page_view/pricing``: its events about that subject.
    """

    aggregation: Aggregation
    of: str  # the selector, the group or the funnel it ranges over: the middle of the name
    kinds: tuple[str, ...]  # the selectors that `of` stands for; of a funnel: its steps, in order
    window: timedelta | None = None  # events in (as_of - window, as_of]; None: all that is kept
    to: str | None = None  # the selector or group that `of` is set against (RATIO, SECONDS_TO_..., SECONDS_WAITING, SHARE_OF_FIRST)
    to_kinds: tuple[str, ...] = ()
    first: int | None = None  # SHARE_OF_FIRST: among how many of the oldest events
    last: int | None = None  # LAST_KINDS: how many of the newest events
    within: timedelta | None = None  # BURST: the span
    half_life: timedelta | None = None  # DECAYED_COUNT
    hours: tuple[int, int] | None = None  # HOUR_SHARE: local hours [from, to), over midnight if from > to
    zone: Zone | None = None  # HOUR_SHARE: whose local hours
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
        >>> Feature(aggregation=Aggregation.RATIO, of="login_failed", kinds=("login_failed",), to="login", to_kinds=("login",)).name
        'ratio_login_failed_to_login'
        """
        parts = [
            self.aggregation.value,
            _name_part(self.of),
            None if self.to is None else f"to_{_name_part(self.to)}",
            None if self.first is None else f"first_{self.first}",
            None if self.last is None else f"last_{self.last}",
            None if self.within is None else f"within_{window_text(self.within)}",
            None if self.half_life is None else f"half_life_{window_text(self.half_life)}",
            None if self.hours is None else f"hours_{self.hours[0]}_{self.hours[1]}",
            None if self.zone is None else _name_part(self.zone.name),
            None if self.window is None else window_text(self.window),
        ]
        return "_".join(part for part in parts if part is not None)

    @property
    def selectors(self) -> frozenset[str]:
        """Everything that the feature looks at."""
        return frozenset((*self.kinds, *self.to_kinds))


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
            [_definition(feature) for feature in self.features],
        ]
        return hashlib.sha256(orjson.dumps(content)).hexdigest()[:16]


_LATER = frozenset(list(Aggregation)[8:])
"""Aggregations whose definition has more to it than kinds and a window."""

KERNEL_VERSION = 1
"""Raised whenever the kernel's meaning changes; part of every fingerprint."""

ALL_TIME_US = 1 << 62
"""Longer than any past: the window of a feature without one."""


def _definition(feature: Feature) -> list[object]:
    """All of a feature that can change its number; as short as it was before there were the later keys, so that old models stay usable."""
    zone = None if feature.zone is None else [feature.zone.name, feature.zone.starts_us, feature.zone.offsets_s]
    later = [
        feature.to,
        sorted(feature.to_kinds),
        feature.first,
        feature.last,
        _us(feature.within),
        _us(feature.half_life),
        feature.hours,
        zone,
    ]
    ordered = feature.aggregation in {Aggregation.FUNNEL_POSITION, Aggregation.SECONDS_AT_STEP}
    kinds = list(feature.kinds) if ordered else sorted(feature.kinds)
    first: list[object] = [feature.aggregation.value, feature.of, kinds, _us(feature.window)]
    return [*first, later] if feature.aggregation in _LATER else first


def _us(duration: timedelta | None) -> int | None:
    return None if duration is None else to_duration_us(duration)


def to_duration_us(duration: timedelta) -> int:
    """Microseconds of a duration; `ALL_TIME_US` for one that is longer.

    Examples
    --------
    >>> to_duration_us(timedelta(seconds=1)), to_duration_us(timedelta.max) == ALL_TIME_US
    (1000000, True)
    """
    return min(duration // timedelta(microseconds=1), ALL_TIME_US)


def kind_of(selector: str) -> str:
    """Return the kind that a selector's events are of.

    Examples
    --------
    >>> kind_of("page_view/pricing"), kind_of("login")
    ('page_view', 'login')
    """
    return selector.split("/", 1)[0]


def subject_of(selector: str) -> str | None:
    """Return the subject that a selector asks for; None: any.

    Examples
    --------
    >>> subject_of("page_view/docs/start"), subject_of("login")
    ('docs/start', None)
    """
    _, slash, subject = selector.partition("/")
    return subject if slash else None


def _name_part(text: str) -> str:
    return re.sub("[^a-z0-9]+", "_", text.lower()).strip("_")


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
