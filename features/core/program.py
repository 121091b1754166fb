"""A catalogue as plain arrays: the program that the kernel interprets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import numpy as np

from features.core.catalogue import Aggregation, Catalogue, Feature
from features.core.columns import Int64s, Places
from features.core.event import text_hash

AGGREGATIONS = tuple(Aggregation)
"""Order in which the kernel computes them."""

ALL_TIME_US = 1 << 62
"""Longer than any past: the window of a feature without one."""

NEEDS_SUBJECTS, NEEDS_SESSIONS, NEEDS_DAYS, NEEDS_SUM = 1, 2, 4, 8

_NEEDS = {
    Aggregation.DISTINCT_SUBJECTS: NEEDS_SUBJECTS,
    Aggregation.SESSION_COUNT: NEEDS_SESSIONS,
    Aggregation.ACTIVE_DAYS: NEEDS_DAYS,
    Aggregation.SUM: NEEDS_SUM,
}


class UnknownKindError(ValueError):
    """A feature ranges over a kind that its catalogue does not declare."""


class Tables(NamedTuple):
    """What the kernel reads. A *kind set* is a distinct combination of kinds that some feature ranges over."""

    kind_hash: Int64s  # (n_kinds,) ascending
    kind_index: Int64s  # (n_kinds,) index in the catalogue of each hash
    keep: Int64s  # (n_kinds,) by index in the catalogue
    keep_first: Int64s  # (n_kinds,)
    member_start: Places  # (n_kinds + 1,) kind k belongs to the sets member_set[member_start[k] : member_start[k + 1]]
    member_set: Places
    set_base: Places  # (n_sets + 1,) where each set's events begin in the scratch: the sum of the keeps before it
    set_needs: Int64s  # (n_sets,) NEEDS_ bits
    needs: Int64s  # (1,) union of all NEEDS_ bits
    window_us: Int64s  # (n_windows,) descending
    feature_start: Places  # (n_aggregations + 1,) features of one aggregation are neighbours
    feature_set: Places  # (n_features,)
    feature_slot: Places  # (n_features,) index of its window in window_us, times n_sets, plus its set
    feature_column: Places  # (n_features,) where the number goes in the vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A compiled catalogue."""

    catalogue: Catalogue
    tables: Tables

    @property
    def n_features(self) -> int:
        """Length of a vector."""
        return len(self.catalogue.features)


def compile_program(catalogue: Catalogue) -> Program:
    """The catalogue as arrays.

    Raises
    ------
    UnknownKindError
        If a feature names a kind that the catalogue does not have.
    """
    index = {kind.name: position for position, kind in enumerate(catalogue.kinds)}
    features = sorted(enumerate(catalogue.features), key=lambda item: AGGREGATIONS.index(item[1].aggregation))
    feature_sets = [_kind_set(feature, index) for _, feature in features]
    sets = sorted(set(feature_sets))
    windows = sorted({_window_us(feature.window) for feature in catalogue.features}, reverse=True)
    hashes = [text_hash(kind.name) for kind in catalogue.kinds]
    by_hash = sorted(range(len(hashes)), key=lambda position: hashes[position])
    keeps = [(kind.keep, kind.keep_first) for kind in catalogue.kinds]
    member_start, member_set = _members(len(hashes), sets)
    set_needs = _set_needs([feature for _, feature in features], feature_sets, sets)
    tables = Tables(
        kind_hash=_int64s(hashes[position] for position in by_hash),
        kind_index=_int64s(by_hash),
        keep=_int64s(keep for keep, _ in keeps),
        keep_first=_int64s(keep_first for _, keep_first in keeps),
        member_start=member_start,
        member_set=member_set,
        set_base=_set_base(keeps, sets),
        set_needs=set_needs,
        needs=np.bitwise_or.reduce(set_needs, keepdims=True) if sets else _int64s([0]),
        window_us=_int64s(windows),
        feature_start=_feature_start([feature for _, feature in features]),
        feature_set=_places(sets.index(kinds) for kinds in feature_sets),
        feature_slot=_places(
            windows.index(_window_us(feature.window)) * len(sets) + sets.index(kinds)
            for (_, feature), kinds in zip(features, feature_sets, strict=True)
        ),
        feature_column=_places(column for column, _ in features),
    )
    return Program(catalogue=catalogue, tables=tables)


def _kind_set(feature: Feature, index: dict[str, int]) -> tuple[int, ...]:
    unknown = sorted(set(feature.kinds) - index.keys())
    if unknown:
        raise UnknownKindError(
            f"feature {feature.name}: kinds: got {', '.join(unknown)}, expected kinds of the product ({', '.join(sorted(index))}); "
            "declare the kind or take it out of the feature"
        )
    return tuple(sorted({index[name] for name in feature.kinds}))


def _window_us(window: timedelta | None) -> int:
    return ALL_TIME_US if window is None else min(window // timedelta(microseconds=1), ALL_TIME_US)


def _members(n_kinds: int, sets: Sequence[tuple[int, ...]]) -> tuple[Places, Places]:
    members = [[position for position, kinds in enumerate(sets) if kind in kinds] for kind in range(n_kinds)]
    return _places(np.cumsum([0, *map(len, members)])), _places(position for found in members for position in found)


def _set_base(keeps: Sequence[tuple[int, int]], sets: Sequence[tuple[int, ...]]) -> Places:
    """One place more than a set can hold: the suffix statistics end with that of no event."""
    return _places(np.cumsum([0, *(1 + sum(sum(keeps[kind]) for kind in kinds) for kinds in sets)]))


def _set_needs(features: Sequence[Feature], feature_sets: Sequence[tuple[int, ...]], sets: Sequence[tuple[int, ...]]) -> Int64s:
    needs = np.zeros(len(sets), dtype=np.int64)
    for feature, kinds in zip(features, feature_sets, strict=True):
        needs[sets.index(kinds)] |= _NEEDS.get(feature.aggregation, 0)
    return needs


def _feature_start(features: Sequence[Feature]) -> Places:
    counts = [sum(feature.aggregation == aggregation for feature in features) for aggregation in AGGREGATIONS]
    return _places(np.cumsum([0, *counts]))


def _int64s(values: Iterable[int]) -> Int64s:
    return np.array(list(values), dtype=np.int64)


def _places(values: Iterable[int]) -> Places:
    return np.array(list(values), dtype=np.uint32)
