"""Ids of learned segments that outlive a retraining.

References
----------
Kuhn (1955), The Hungarian method, doi:10.1002/nav.3800020109.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.segments import SegmentModel

FloatArray = npt.NDArray[np.float64]


def stable_ids(model: SegmentModel, previous: SegmentModel | None, vectors: FloatArray) -> tuple[list[str], int]:
    """Ids of the segments, and the number of the next new one: those of the champion where a segment is the same, else new ones.

    Segments are matched one to one. First by their centres: nearer than half the way from the champion's centre to its own nearest
    neighbour, in the champion's scale. What is left, by their users: of all rows in one or the other, more than half are in both. Centres
    move with the product and with time, while the same people stay together.

    Parameters
    ----------
    model
        The new segments; their ids are not read.
    previous
        The champion's.
    vectors
        Rows to compare the users by, shape (n_rows, n_features).
    """
    matched: dict[int, str] = {}
    if previous is not None:
        pairs = _by_centre(model, previous)
        pairs |= _by_users(model, previous, vectors, taken=pairs)
        matched = {new: previous.ids[old] for new, old in pairs.items()}
    next_number = 1 if previous is None else previous.next_number
    ids: list[str] = []
    for position in range(len(model.segments)):
        ids.append(matched.get(position, f"s{next_number}"))
        next_number += position not in matched
    return ids, next_number


def _by_centre(model: SegmentModel, previous: SegmentModel) -> dict[int, int]:
    """Position of a new segment -> position of the champion's with a close centre."""
    ours = {entry.feature: i for i, entry in enumerate(model.inputs)}
    shared = [(ours[entry.feature], i) for i, entry in enumerate(previous.inputs) if entry.feature in ours]
    if 2 * len(shared) < len(previous.inputs):
        return {}
    left, right = (list(column) for column in zip(*shared, strict=True))
    raw = np.full((len(model.segments), len(previous.inputs)), np.nan)
    raw[:, right] = model.unscaled(model.centres)[:, left]
    new, old = previous.scaled(raw)[:, right], previous.centres[:, right]
    apart = _distances(old, old)
    np.fill_diagonal(apart, np.inf)
    distances = _distances(new, old)
    return {i: j for i, j in _assigned(distances) if distances[i, j] < apart[j].min() / 2}


def _by_users(model: SegmentModel, previous: SegmentModel, vectors: FloatArray, *, taken: dict[int, int]) -> dict[int, int]:
    """Position of a new segment -> position of the champion's with the same users, among those not taken."""
    ours, theirs = model.positions(vectors), previous.positions(_for(previous, vectors, model.feature_names))
    together = np.zeros((len(model.segments), len(previous.segments)))
    np.add.at(together, (ours, theirs), 1.0)
    either = together.sum(axis=1, keepdims=True) + together.sum(axis=0, keepdims=True) - together
    share = together / np.maximum(either, 1.0)
    share[list(taken), :] = 0.0
    share[:, list(taken.values())] = 0.0
    return {i: j for i, j in _assigned(-share) if share[i, j] > 0.5}  # noqa: PLR2004  more than half


def _for(previous: SegmentModel, vectors: FloatArray, names: tuple[str, ...]) -> FloatArray:
    """The rows in the order of the champion's features; those that are gone count as undefined."""
    undefined = np.full(len(vectors), np.nan)
    return np.column_stack([vectors[:, names.index(name)] if name in names else undefined for name in previous.feature_names])


def _assigned(costs: FloatArray) -> list[tuple[int, int]]:
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(costs)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def _distances(left: FloatArray, right: FloatArray) -> FloatArray:
    distances: FloatArray = np.sqrt(((left[:, None, :] - right[None, :, :]) ** 2).sum(axis=2))
    return distances
