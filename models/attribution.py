"""Why the raw score is what it is: TreeSHAP values summed by cause."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

BASE = "base"
"""Name of the expected raw score before anything is known about the user; no cause may have it."""


def by_cause(values: FloatArray, causes: Sequence[str]) -> dict[str, float]:
    """Log-odds that each cause adds to the raw score, causes in order of first appearance, then the base value.

    Parameters
    ----------
    values
        TreeSHAP values, shape (n_inputs + 1,), the base value last.
    causes
        Cause of each input, length n_inputs.

    Returns
    -------
    dict
        Its values sum to the raw score (before calibration) within 1e-9.

    Examples
    --------
    >>> by_cause(np.array([0.5, -0.25, 0.125, -1.0]), ["silence", "friction", "silence"])
    {'silence': 0.625, 'friction': -0.25, 'base': -1.0}
    """
    sums = dict.fromkeys(causes, 0.0)
    for cause, value in zip(causes, values[:-1].tolist(), strict=True):
        sums[cause] += value
    sums[BASE] = float(values[-1])
    return sums


def matrix_by_cause(values: FloatArray, causes: Sequence[str]) -> tuple[list[str], FloatArray]:
    """`by_cause` of many rows: names, and sums of shape (n_rows, n_names); the base value is the last column.

    Examples
    --------
    >>> names, sums = matrix_by_cause(np.array([[0.5, -0.25, 0.125, -1.0]]), ["silence", "friction", "silence"])
    >>> names, sums.tolist()
    (['silence', 'friction', 'base'], [[0.625, -0.25, -1.0]])
    """
    names = list(dict.fromkeys(causes))
    sums = np.zeros((len(values), len(names) + 1))
    for column, cause in enumerate(causes):
        sums[:, names.index(cause)] += values[:, column]
    sums[:, -1] = values[:, -1]
    return [*names, BASE], sums
