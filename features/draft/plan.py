"""A first catalogue: which features over which kinds, within a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from features.core.catalogue import Aggregation
from features.draft.horizon import windows_for

MOST_FEATURES = 60
_MOST_WINDOWS = 10
_MIN_KEEP, _BUSY_KEEP = 64, 256
_GROUP_NAMES = ("use", "any_kind", "all_kinds")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedKind:
    """A kind to declare."""

    name: str
    values: tuple[str, ...] = ()  # of the kind column that mean it
    n_rows: int = 0
    busiest: int = 0  # events of a user that 99 of 100 users do not exceed
    subject: str | None = None
    value_unit: str | None = None

    @property
    def keep(self) -> int:
        """How many newest events a timeline keeps of it."""
        return _BUSY_KEEP if self.busiest > _MIN_KEEP else _MIN_KEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFeatures:
    """One entry of ``features``."""

    aggregation: Aggregation
    of: tuple[str, ...]
    windows: tuple[timedelta, ...]  # empty: everything kept
    cause: str

    @property
    def size(self) -> int:
        """How many features it makes."""
        return len(self.of) * max(1, len(self.windows))


CAUSES: Mapping[str, tuple[bool, str]] = {
    "silence": (True, "Not used for a while."),
    "little_use": (True, "Used less than it could be."),
    "low_value": (True, "What is done is small."),
    "narrow_use": (True, "Only a small part is used."),
    "tenure": (False, "It is how long the user has been here."),
}
"""Cause to whether a message can help, and its sentence."""


def group_name(kinds: Sequence[PlannedKind]) -> str:
    """Name of the group of all kinds: one that no kind has."""
    taken = {kind.name for kind in kinds}
    return next(name for name in (*_GROUP_NAMES, "group_of_all_kinds_of_this_log") if name not in taken)


def plan_features(kinds: Sequence[PlannedKind], horizon: timedelta, *, has_clock: bool) -> list[PlannedFeatures]:
    """Plan as many windows over as many kinds as the budget of `MOST_FEATURES` allows, the most frequent kinds first.

    Every kind counts in the group of all; a kind that the budget leaves out has no features of its own.

    Examples
    --------
    >>> planned = plan_features([PlannedKind(name="purchase", value_unit="cents")], timedelta(days=30), has_clock=False)
    >>> sum(entry.size for entry in planned), planned[0].aggregation.value, planned[0].of
    (32, 'count', ('purchase',))
    """
    by_size = sorted(kinds, key=lambda kind: -kind.n_rows)
    for n_own in range(len(by_size), 0, -1):
        for n_windows in range(_MOST_WINDOWS, 0, -1):
            everything = group_name(kinds) if len(kinds) > 1 else kinds[0].name
            planned = _planned(by_size[:n_own], everything, tuple(windows_for(horizon, n_windows)), has_clock=has_clock)
            if sum(entry.size for entry in planned) <= MOST_FEATURES and (n_windows > 1 or n_own == 1 or len(by_size) == n_own):
                return planned
    raise AssertionError("one kind and one window always fit")


def _planned(own: Sequence[PlannedKind], of_all: str, windows: tuple[timedelta, ...], *, has_clock: bool) -> list[PlannedFeatures]:
    everything = (of_all,)
    names = tuple(kind.name for kind in own if kind.name != of_all)
    entries = [
        _entry(Aggregation.COUNT, everything, windows, "little_use"),
        _entry(Aggregation.ACTIVE_DAYS, everything, windows, "silence"),
        _entry(Aggregation.SECONDS_SINCE_LAST, (*everything, *names), (), "silence"),
        _entry(Aggregation.SECONDS_SINCE_FIRST, everything, (), "tenure"),
        _entry(Aggregation.COUNT, names, windows, "little_use"),
        _entry(Aggregation.SUM, tuple(kind.name for kind in own if kind.value_unit), windows, "low_value"),
        _entry(Aggregation.DISTINCT_SUBJECTS, tuple(kind.name for kind in own if kind.subject), windows, "narrow_use"),
    ]
    if has_clock:
        entries += [
            _entry(Aggregation.SESSION_COUNT, everything, windows[len(windows) // 2 :][:2], "little_use"),
            _entry(Aggregation.STREAK_DAYS, everything, (), "silence"),
        ]
    return [entry for entry in entries if entry.of]


def _entry(aggregation: Aggregation, of: tuple[str, ...], windows: tuple[timedelta, ...], cause: str) -> PlannedFeatures:
    return PlannedFeatures(aggregation=aggregation, of=of, windows=windows, cause=cause)
