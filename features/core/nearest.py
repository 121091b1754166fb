"""To which of a few centres a vector is nearest, compiled: one row costs a microsecond, and comes out as it does among a million."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from features.core.compiled import compiled, inlined

Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]

CUT = 3.0
"""Coordinates are cut here, so that one rare burst does not outweigh everything else that a user does."""
FILL, IS_LOG, OFFSET, DIVISOR, WEIGHT = range(5)
"""Rows of a matrix of scales: how one number x becomes a coordinate, weight * cut((log(1 + x) or x, minus offset) / divisor)."""


@inlined
def _coordinate(number: float, scales: Float64s, place: int) -> float:
    if math.isnan(number):
        number = scales[FILL, place]
    if scales[IS_LOG, place] > 0.0:
        number = math.log1p(max(number, 0.0))
    scaled: float = (number - scales[OFFSET, place]) / scales[DIVISOR, place]
    return min(max(scaled, -CUT), CUT) * float(scales[WEIGHT, place])


@compiled
def coordinates(raw: Float64s, scales: Float64s) -> Float64s:
    """Coordinates of numbers, both of shape (n_rows, n_inputs), for scales of shape (5, n_inputs)."""
    points = np.empty_like(raw)
    for row in range(raw.shape[0]):
        for place in range(raw.shape[1]):
            points[row, place] = _coordinate(raw[row, place], scales, place)
    return points


@compiled
def nearest(vectors: Float64s, columns: Int64s, scales: Float64s, centres: Float64s) -> Int64s:
    """Position of the nearest centre, of equals the first, shape (n_rows,); the inputs are those columns of the vectors."""
    positions = np.empty(len(vectors), np.int64)
    distances = np.empty(len(centres), np.float64)
    for row in range(len(vectors)):
        distances[:] = 0.0
        for place in range(len(columns)):
            point = _coordinate(vectors[row, columns[place]], scales, place)
            for centre in range(len(centres)):
                distances[centre] += (point - centres[centre, place]) ** 2
        positions[row] = np.argmin(distances)
    return positions
