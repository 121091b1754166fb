"""The risk model: raw scores and TreeSHAP values of encoded rows, safe to call from any thread."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from models.errors import ModelError
from models.native import NativeBooster

FloatArray = npt.NDArray[np.float64]


class RiskModel:
    """A LightGBM model behind as many native handles as threads ever scored at the same time.

    A handle is used by one thread at a time and by whichever comes next, so that a model warmed on one thread is warm on every other.

    Examples
    --------
    The text comes from ``lightgbm.Booster.model_to_string()``; see ``tests/unit/models/test_risk.py``.
    """

    def __init__(self, model_text: str, n_inputs: int) -> None:
        self._model_text = model_text
        self._n_inputs = n_inputs
        self._idle: deque[NativeBooster] = deque([self._new_handle()])  # a broken model is refused now, not on the first request

    def raw_scores(self, rows: FloatArray) -> FloatArray:
        """Log-odds of dropout, shape (n_rows, n_inputs) to (n_rows,); one row takes the single-row path, with the same result."""
        self._check(rows)
        handle = self._take()
        try:
            return np.array([handle.raw_score(rows[0])]) if len(rows) == 1 else handle.raw_scores(rows)
        finally:
            self._idle.append(handle)

    def contributions(self, row: FloatArray) -> FloatArray:
        """TreeSHAP values in log-odds of one row, shape (n_inputs + 1,), the base value last."""
        self._check(row[None, :])
        handle = self._take()
        try:
            return handle.contributions(row)
        finally:
            self._idle.append(handle)

    def _check(self, rows: FloatArray) -> None:
        if rows.shape[1:] != (self._n_inputs,) or rows.dtype != np.float64:
            raise ModelError(f"got rows of shape {rows.shape} and type {rows.dtype}, expected (n_rows, {self._n_inputs}) of float64")

    def _take(self) -> NativeBooster:
        """An idle handle, or a new one where every other is in use; whoever takes it gives it back."""
        try:
            return self._idle.pop()  # atomic, as append is
        except IndexError:
            return self._new_handle()

    def _new_handle(self) -> NativeBooster:
        return NativeBooster(self._model_text, self._n_inputs)
