"""Segments learned from behaviour: the nearest of a few centres, from the feature vector alone. Learned in ``training.segments``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from features.core.nearest import coordinates, nearest
from models.errors import ModelError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledInput:
    """How one feature becomes a coordinate (`features.core.nearest`)."""

    feature: str
    fill: float  # what an undefined x counts as
    is_log: bool
    offset: float
    divisor: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedSegment:
    """One segment: users nearer to this centre than to any other."""

    id: str  # "s3"; stable across trainings
    name: str  # what stands out; may change with every training
    centre: tuple[float, ...]  # a coordinate per input


@dataclass(frozen=True, kw_only=True)
class SegmentModel:
    """Scaled inputs and centres."""

    feature_names: tuple[str, ...]  # of the whole vector, in order
    inputs: tuple[ScaledInput, ...]
    segments: tuple[LearnedSegment, ...]
    next_number: int  # of the next new segment's id: ids are never used again

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Ids in the order of the centres."""
        return tuple(segment.id for segment in self.segments)

    @cached_property
    def centres(self) -> FloatArray:
        """Centres, shape (n_segments, n_inputs)."""
        return np.array([segment.centre for segment in self.segments])

    def positions(self, vectors: FloatArray) -> IntArray:
        """Position in ``segments`` of each user's segment, shape (n_users,), for vectors of shape (n_users, n_features)."""
        return nearest(np.ascontiguousarray(vectors), self._columns, self._scales, self.centres)

    def assign(self, vectors: FloatArray) -> list[str]:
        """Id of each user's segment."""
        ids = self.ids
        return [ids[position] for position in self.positions(vectors).tolist()]

    def points(self, vectors: FloatArray) -> FloatArray:
        """Scaled coordinates, shape (n_users, n_inputs)."""
        return self.scaled(vectors[:, self._columns])

    def scaled(self, raw: FloatArray) -> FloatArray:
        """Scaled coordinates of the inputs' own values, shape (n_users, n_inputs)."""
        return coordinates(np.ascontiguousarray(raw), self._scales)

    def unscaled(self, points: FloatArray) -> FloatArray:
        """Invert `scaled`, but for what was cut; shape (n_points, n_inputs)."""
        _, is_log, offset, divisor, weight = self._scales
        values: FloatArray = points / weight * divisor + offset
        return np.where(is_log > 0.0, np.expm1(np.where(is_log > 0.0, values, 0.0)), values)

    def to_json(self) -> dict[str, Any]:
        """Content of ``segments.json``."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any], feature_names: Sequence[str]) -> SegmentModel:
        """Invert `to_json`.

        Raises
        ------
        ModelError
            If it was learned on other features than those named.
        """
        if tuple(content["feature_names"]) != tuple(feature_names):
            raise ModelError("segments.json was learned on other features than the model beside it; train again")
        return cls(
            feature_names=tuple(feature_names),
            inputs=tuple(ScaledInput(**entry) for entry in content["inputs"]),
            segments=tuple(LearnedSegment(**{**entry, "centre": tuple(entry["centre"])}) for entry in content["segments"]),
            next_number=content["next_number"],
        )

    @cached_property
    def _columns(self) -> IntArray:
        return np.array([self.feature_names.index(entry.feature) for entry in self.inputs], dtype=np.int64)

    @cached_property
    def _scales(self) -> FloatArray:
        """A column for each input."""
        rows = [(entry.fill, entry.is_log, entry.offset, entry.divisor, entry.weight) for entry in self.inputs]
        return np.array(rows, dtype=np.float64).T.copy()
