"""How far a column has moved: the population stability index."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

BINS = 10
"""Bins of a number: between deciles of the reference."""

SMOOTHING = 0.5
"""Added to the count of every bin, of both samples, so that an empty one is no infinity."""

MINOR, MAJOR = 0.1, 0.2
"""From where a move is usually called minor, and major."""


def psi(reference: npt.NDArray[np.int64], current: npt.NDArray[np.int64]) -> float:
    """Sum over bins of (q - p) ln(q / p), from counts of the reference and of the current sample, smoothed.

    It is the symmetrised Kullback-Leibler divergence; 0 where nothing moved. Even then chance alone gives about
    (bins - 1) (1 / n_reference + 1 / n_current) on average.

    References
    ----------
    Jeffreys (1946), doi:10.1098/rspa.1946.0056. Yurdakul, Naranjo (2020), Statistical properties of the population stability index,
    doi:10.21314/JRMV.2020.227.

    Examples
    --------
    >>> round(psi(np.array([50, 50]), np.array([50, 50])), 4), round(psi(np.array([50, 50]), np.array([80, 20])), 4)
    (0.0, 0.4063)
    """
    p, q = (counts + SMOOTHING for counts in (reference, current))
    p, q = p / p.sum(), q / q.sum()
    return float(((q - p) * np.log(q / p)).sum())


def binned(reference: FloatArray, current: FloatArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Counts of both samples in the bins between deciles of the reference; missing values have a bin of their own, the last.

    Equal deciles (many zeros) make one bin.

    Examples
    --------
    >>> counts, _ = binned(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, np.nan]), np.array([0.0]))
    >>> int(counts.sum()), int(counts[0]), int(counts[-1])
    (10, 6, 1)
    """
    known = reference[~np.isnan(reference)]
    edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if len(known) else np.empty(0)
    size = len(edges) + 2
    return _counts(reference, edges, size), _counts(current, edges, size)


def coded(reference: npt.NDArray[np.object_], current: npt.NDArray[np.object_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Counts of both samples by value, for codes and categories; a missing value (None, NaN) is a value like any other.

    Examples
    --------
    >>> [counts.tolist() for counts in coded(np.array(["a", "b", None], dtype=object), np.array(["b"], dtype=object))]
    [[1, 1, 1], [0, 0, 1]]
    """
    texts = [np.array(["" if value is None or value != value else str(value) for value in values]) for values in (reference, current)]  # noqa: PLR0124
    names = np.unique(np.concatenate(texts))
    first, second = (np.bincount(np.searchsorted(names, text), minlength=len(names)).astype(np.int64) for text in texts)
    return first, second


def _counts(values: FloatArray, edges: FloatArray, size: int) -> npt.NDArray[np.int64]:
    place = np.searchsorted(edges, values, side="left")
    place[np.isnan(values)] = size - 1
    return np.bincount(place, minlength=size).astype(np.int64)
