"""The risk model: raw scores and TreeSHAP values of encoded rows, safe to call from any thread."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

from models.errors import ModelError
from models.native import NativeBooster

FloatArray = npt.NDArray[np.float64]


class RiskModel:
    """A LightGBM model behind one native handle per thread.

    Examples
    --------
    The text comes from ``lightgbm.Booster.model_to_string()``; see ``tests/unit/models/test_risk.py``.
    """

    def __init__(self, model_text: str, n_inputs: int) -> None:
        self._model_text = model_text
        self._n_inputs = n_inputs
        self._local = threading.local()
        self._handle()  # a broken model is refused now, not on the first request

    def raw_scores(self, rows: FloatArray) -> FloatArray:
        """Log-odds of dropout, shape (n_rows, n_inputs) to (n_rows,); one row takes the single-row path, with the same result."""
        self._check(rows)
        if len(rows) == 1:
            return np.array([self._handle().raw_score(np.ascontiguousarray(rows[0]))])
        return self._handle().raw_scores(rows)

    def contributions(self, row: FloatArray) -> FloatArray:
        """TreeSHAP values in log-odds of one row, shape (n_inputs + 1,), the base value last."""
        self._check(row[None, :])
        return self._handle().contributions(np.ascontiguousarray(row))

    def _check(self, rows: FloatArray) -> None:
        if rows.shape[1:] != (self._n_inputs,) or rows.dtype != np.float64:
            raise ModelError(f"got rows of shape {rows.shape} and type {rows.dtype}, expected (n_rows, {self._n_inputs}) of float64")

    def _handle(self) -> NativeBooster:
        handle: NativeBooster | None = getattr(self._local, "handle", None)
        if handle is None:
            handle = NativeBooster(self._model_text, self._n_inputs)
            self._local.handle = handle
        return handle
