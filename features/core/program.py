"""A catalogue as plain arrays: the program that the kernel interprets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from features.core.catalogue import ALL_TIME_US, Aggregation, Catalogue, Feature, Kind, to_duration_us
from features.core.columns import Int64s, Places
from features.core.event import text_hash
from features.core.families import AGGREGATIONS, OF_TWO, PARAMETERS
from features.core.parameters import Parameters, parameters, two_windows_us
from features.core.parts import Parts, UnknownKindError, parts_of

__all__ = ["AGGREGATIONS", "ALL_TIME_US", "IncompleteFeatureError", "Program", "Tables", "UnknownKindError", "compile_program"]

NEEDS_SUBJECTS, NEEDS_SESSIONS, NEEDS_DAYS, NEEDS_SUM = 1, 2, 4, 8

_NEEDS = {
    Aggregation.DISTINCT_SUBJECTS: NEEDS_SUBJECTS,
    Aggregation.SESSION_COUNT: NEEDS_SESSIONS,
    Aggregation.EVENTS_PER_SESSION: NEEDS_SESSIONS,
    Aggregation.ACTIVE_DAYS: NEEDS_DAYS,
    Aggregation.SUM: NEEDS_SUM,
    Aggregation.MEAN: NEEDS_SUM,
}


class IncompleteFeatureError(ValueError):
    """A feature lacks something that its aggregation is defined by."""


class Tables(NamedTuple):
    """What the kernel reads. A *kind set* is a distinct combination of parts of kinds that some feature ranges over."""

    kind_hash: Int64s  # (n_kinds,) ascending
    kind_index: Int64s  # (n_kinds,) index in the catalogue of each hash
    keep: Int64s  # (n_kinds,) by index in the catalogue
    keep_first: Int64s  # (n_kinds,)
    wanted: npt.NDArray[np.bool_]  # (n_kinds,) whether some feature looks at events of the kind
    subject_hash: Int64s  # (n_subjects,) ascending: those that features ask for
    part: Places  # (n_kinds, n_subjects + 1) part of an event by its kind and subject; the last: any other subject
    most_kept: Int64s  # (n_parts,) most events of its kind that features can see
    member_set: Places  # (n_parts, most_members) sets that a part belongs to, then n_sets, which is no set, to fill the row
    most_members: Int64s  # (1,)
    capacity: Int64s  # (1,) most events that all sets together can hold, and one place more for each
    set_needs: Int64s  # (n_sets,) NEEDS_ bits
    needs: Int64s  # (1,) union of all NEEDS_ bits
    window_us: Int64s  # (n_windows,) descending
    feature_start: Places  # (n_aggregations + 1,) features of one aggregation are neighbours
    feature_set: Places  # (n_features,)
    feature_slot: Places  # (n_features,) index of its window in window_us, times n_sets, plus its set
    other_set: Places  # (n_features,) as feature_set, of what `to` stands for
    other_slot: Places  # (n_features,)
    feature_column: Places  # (n_features,) where the number goes in the vector
    parameters: Parameters


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
    IncompleteFeatureError
        If a feature lacks something that its aggregation needs.
    """
    for feature in catalogue.features:
        _check_complete(feature)
    parts = parts_of(catalogue)
    columns = sorted(range(len(catalogue.features)), key=lambda column: AGGREGATIONS.index(catalogue.features[column].aggregation))
    features = [catalogue.features[column] for column in columns]
    return Program(catalogue=catalogue, tables=_tables(catalogue.kinds, parts, features, columns))


def _check_complete(feature: Feature) -> None:
    missing = [name for name in PARAMETERS.get(feature.aggregation, ()) if getattr(feature, name) is None]
    if missing:
        raise IncompleteFeatureError(
            f"feature {feature.name}: got no {' and no '.join(missing)}, expected what {feature.aggregation.value} is defined by; "
            f"give {', '.join(missing)} a value"
        )


def _tables(kinds: Sequence[Kind], parts: Parts, features: Sequence[Feature], columns: Sequence[int]) -> Tables:
    own = [parts.chosen(feature.kinds) for feature in features]
    other = [parts.chosen(feature.to_kinds if feature.aggregation in OF_TWO else feature.kinds) for feature in features]
    sets = sorted({*own, *other})
    own_sets, other_sets = ([sets.index(chosen) for chosen in side] for side in (own, other))
    windows = sorted({us for feature in features for us in _windows_us(feature)}, reverse=True) or [ALL_TIME_US]
    slots = [windows.index(_windows_us(feature)[0]) * len(sets) for feature in features]
    slots_of_two = [
        windows.index(_windows_us(feature)[-1]) * len(sets) + kind_set for feature, kind_set in zip(features, own_sets, strict=True)
    ]
    hashes = [text_hash(kind.name) for kind in kinds]
    by_hash = sorted(range(len(hashes)), key=lambda position: hashes[position])
    members = [[position for position, chosen in enumerate(sets) if part in chosen] for part in range(len(parts.kind))]
    most_kept = [kinds[kind].keep + kinds[kind].keep_first for kind in parts.kind]
    set_needs = _set_needs(features, own_sets, len(sets))
    return Tables(
        kind_hash=_int64s(hashes[position] for position in by_hash),
        kind_index=_int64s(by_hash),
        keep=_int64s(kind.keep for kind in kinds),
        keep_first=_int64s(kind.keep_first for kind in kinds),
        wanted=_wanted(parts, members, len(kinds)),
        subject_hash=_int64s(sorted(map(text_hash, parts.subjects))),
        part=_part_table(parts),
        most_kept=_int64s(most_kept),
        member_set=_member_sets(members, len(sets)),
        most_members=_int64s([max(map(len, members), default=0)]),
        capacity=_int64s([sum(1 + sum(most_kept[part] for part in chosen) for chosen in sets)]),
        set_needs=set_needs,
        needs=np.bitwise_or.reduce(set_needs, keepdims=True) if sets else _int64s([0]),
        window_us=_int64s(windows),
        feature_start=_feature_start(features),
        feature_set=_places(own_sets),
        feature_slot=_places(map(sum, zip(slots, own_sets, strict=True))),
        other_set=_places(other_sets),
        other_slot=_places(map(sum, zip(slots, other_sets, strict=True))),
        feature_column=_places(columns),
        parameters=parameters(features, parts, slots_of_two),
    )


def _windows_us(feature: Feature) -> tuple[int, ...]:
    window_us = ALL_TIME_US if feature.window is None else to_duration_us(feature.window)
    return (window_us, two_windows_us(feature)) if feature.aggregation is Aggregation.TREND else (window_us,)


def _set_needs(features: Sequence[Feature], own_sets: Sequence[int], n_sets: int) -> Int64s:
    needs = np.zeros(n_sets, dtype=np.int64)
    for feature, kind_set in zip(features, own_sets, strict=True):
        needs[kind_set] |= _NEEDS.get(feature.aggregation, 0)
    return needs


def _wanted(parts: Parts, members: Sequence[Sequence[int]], n_kinds: int) -> npt.NDArray[np.bool_]:
    wanted = np.zeros(n_kinds, dtype=np.bool_)
    for kind, found in zip(parts.kind, members, strict=True):
        wanted[kind] |= bool(found)
    return wanted


def _part_table(parts: Parts) -> Places:
    subjects = sorted(parts.subjects, key=text_hash)
    rows = ((*(parts.part(name, subject) for subject in subjects), kind) for name, kind in parts.kinds.items())
    return _places(part for row in rows for part in row).reshape(-1, len(subjects) + 1)


def _member_sets(members: Sequence[Sequence[int]], n_sets: int) -> Places:
    most = max(map(len, members), default=0)
    return _places(kind_set for found in members for kind_set in (*found, *[n_sets] * (most - len(found)))).reshape(len(members), most)


def _feature_start(features: Sequence[Feature]) -> Places:
    counts = [sum(feature.aggregation is aggregation for feature in features) for aggregation in AGGREGATIONS]
    return _places(np.cumsum([0, *counts]))


def _int64s(values: Iterable[int]) -> Int64s:
    return np.array(list(values), dtype=np.int64)


def _places(values: Iterable[int]) -> Places:
    return np.array(list(values), dtype=np.uint32)
