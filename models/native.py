"""LightGBM's own C library through ctypes: one row in tens of microseconds, without importing the Python package.

``import lightgbm`` pulls in pandas and scikit-learn, seconds of start-up that a service does not need, and its Python API
does not offer the single-row-fast calls at all.

References
----------
LightGBM C API, https://lightgbm.readthedocs.io/en/stable/C-API.html
"""

from __future__ import annotations

import ctypes
import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.errors import NativeLibraryError

FloatArray = npt.NDArray[np.float64]

RAW_SCORE = 1  # C_API_PREDICT_RAW_SCORE
CONTRIB = 3  # C_API_PREDICT_CONTRIB
_FLOAT64 = 1  # C_API_DTYPE_FLOAT64
_ROW_MAJOR = 1
_ONE_THREAD = b"verbosity=-1 num_threads=1"
_LIBRARY_NAMES = ("lib_lightgbm.so", "lib_lightgbm.dylib")


class NativeBooster:
    """One handle on one model; not to be shared between threads (its fast calls reuse their buffers).

    Parameters
    ----------
    model_text
        The model as LightGBM's text format.
    n_inputs
        Numbers in one row.

    Raises
    ------
    NativeLibraryError
        If the library is missing or the text is not a model.
    """

    def __init__(self, model_text: str, n_inputs: int) -> None:
        self._library = _library()
        self._n_inputs = n_inputs
        self._booster = ctypes.c_void_p()
        iterations = ctypes.c_int(0)
        self._call("LGBM_BoosterLoadModelFromString", model_text.encode(), ctypes.byref(iterations), ctypes.byref(self._booster))
        self._fast = {kind: self._open_fast(kind) for kind in (RAW_SCORE, CONTRIB)}
        self._row, self._out = np.empty(n_inputs), np.empty(n_inputs + 1)
        self._out_len = ctypes.c_int64(0)
        # Made once: finding an array's address takes as long as a score.
        places = ctypes.c_void_p(self._row.ctypes.data), ctypes.byref(self._out_len), ctypes.c_void_p(self._out.ctypes.data)
        self._fast_arguments = {kind: (config, *places) for kind, config in self._fast.items()}

    def raw_score(self, row: FloatArray) -> float:
        """Log-odds of one row, shape (n_inputs,); equal to ``Booster.predict(raw_score=True)``."""
        self._predict_fast(RAW_SCORE, row)
        return float(self._out[0])

    def contributions(self, row: FloatArray) -> FloatArray:
        """TreeSHAP values of one row in log-odds, shape (n_inputs + 1,); the last is the base value."""
        self._predict_fast(CONTRIB, row)
        return self._out.copy()

    def raw_scores(self, rows: FloatArray) -> FloatArray:
        """Log-odds of many rows, shape (n_rows, n_inputs) to (n_rows,); one thread, as services run one process per core."""
        rows = np.ascontiguousarray(rows, dtype=np.float64)
        out = np.empty(len(rows))
        if len(rows) == 0:
            return out
        self._call(
            "LGBM_BoosterPredictForMat",
            self._booster,
            ctypes.c_void_p(rows.ctypes.data),
            ctypes.c_int(_FLOAT64),
            ctypes.c_int32(rows.shape[0]),
            ctypes.c_int32(rows.shape[1]),
            ctypes.c_int(_ROW_MAJOR),
            ctypes.c_int(RAW_SCORE),
            ctypes.c_int(0),
            ctypes.c_int(-1),
            _ONE_THREAD,
            ctypes.byref(self._out_len),
            ctypes.c_void_p(out.ctypes.data),
        )
        return out

    def close(self) -> None:
        """Free the native memory; the handle is unusable afterwards."""
        for config in self._fast.values():
            self._call("LGBM_FastConfigFree", config)
        self._fast, self._fast_arguments = {}, {}
        if self._booster:
            self._call("LGBM_BoosterFree", self._booster)
            self._booster = ctypes.c_void_p()

    def __del__(self) -> None:
        """Free the native memory with the object."""
        if getattr(self, "_fast", None):
            self.close()

    def _open_fast(self, kind: int) -> ctypes.c_void_p:
        config = ctypes.c_void_p()
        self._call(
            "LGBM_BoosterPredictForMatSingleRowFastInit",
            self._booster,
            ctypes.c_int(kind),
            ctypes.c_int(0),
            ctypes.c_int(-1),
            ctypes.c_int(_FLOAT64),
            ctypes.c_int32(self._n_inputs),
            _ONE_THREAD,
            ctypes.byref(config),
        )
        return config

    def _predict_fast(self, kind: int, row: FloatArray) -> None:
        self._row[:] = row
        self._call("LGBM_BoosterPredictForMatSingleRowFast", *self._fast_arguments[kind])

    def _call(self, name: str, *arguments: object) -> None:
        if getattr(self._library, name)(*arguments) != 0:
            reason = self._library.LGBM_GetLastError().decode(errors="replace")
            raise NativeLibraryError(f"LightGBM refused {name}: {reason}; train the model again, or reinstall lightgbm")


@cache
def _library() -> ctypes.CDLL:
    spec = importlib.util.find_spec("lightgbm")
    folders = [] if spec is None else [Path(place) for place in spec.submodule_search_locations or ()]
    candidates = [folder / "lib" / name for folder in folders for name in _LIBRARY_NAMES]
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        looked = ", ".join(map(str, candidates)) or "no installed package lightgbm"
        raise NativeLibraryError(f"LightGBM's native library was not found (looked at: {looked}); install lightgbm>=4.6")
    library = ctypes.CDLL(str(found))
    library.LGBM_GetLastError.restype = ctypes.c_char_p
    return library
