"""What one explanation may cost a model that decides: measured, beside the bound on trees that training and tuning keep."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from models.risk import RiskModel

FloatArray = npt.NDArray[np.float64]

MOST_MS = 2.0
"""Milliseconds that one explanation of a champion takes at most, unless somebody says otherwise."""

_ROWS = 200


def explained(model: RiskModel, rows: FloatArray) -> tuple[FloatArray, float]:
    """TreeSHAP values of each row, one call each as in serving, shape (n_rows, n_inputs + 1); and the median time of a call in ms."""
    values, times_s = [], []
    for row in rows:
        started = time.perf_counter()
        values.append(model.contributions(row))
        times_s.append(time.perf_counter() - started)
    return np.array(values), float(np.median(times_s)) * 1000


def one_row_ms(model: RiskModel, n_inputs: int) -> float:
    """Median time of one explanation, of a row that needs no log: TreeSHAP walks the same trees whatever the row holds."""
    return explained(model, np.zeros((_ROWS, n_inputs)))[1]


def over_budget(took_ms: float | None, budget_ms: float) -> str:
    """Say what stands against a model whose explanation is too slow; "" where nothing does, or the budget is 0: none.

    Examples
    --------
    >>> over_budget(1.5, 2.0), over_budget(10.55, 0.0), over_budget(10.55, 2.0)[:53]
    ('', '', 'one explanation takes 10.55 ms, more than the budget ')
    """
    if took_ms is None or budget_ms <= 0 or took_ms <= budget_ms:
        return ""
    return (
        f"one explanation takes {took_ms:.2f} ms, more than the budget of {budget_ms:g} ms: grow fewer or shallower trees with fewer"
        " leaves, or allow it (explanation_budget_ms)"
    )
