"""From a raw score to a probability: a small monotone map, stored as numbers and applied with numpy alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import ModelError

FloatArray = npt.NDArray[np.float64]


class CalibrationMethod(StrEnum):
    """How raw scores (log-odds) become probabilities; p0 = sigmoid(raw)."""

    NONE = "none"  # p0
    PLATT = "platt"  # sigmoid(slope * raw + intercept)
    BETA = "beta"  # sigmoid(a * ln p0 - b * ln(1 - p0) + c)
    ISOTONIC = "isotonic"  # linear between fitted (raw, probability) points, flat outside


_PARAMETERS = {
    CalibrationMethod.NONE: (),
    CalibrationMethod.PLATT: ("slope", "intercept"),
    CalibrationMethod.BETA: ("a", "b", "c"),
    CalibrationMethod.ISOTONIC: ("raw", "probability"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A method, its fitted parameters, and a correction of the base rate.

    ``prior_shift`` is added to the log-odds of every mapped score: the odds of all users rise or fall by one factor, which is what a
    change of the base rate alone does to them.

    References
    ----------
    Platt (1999), Probabilistic outputs for support vector machines. Zadrozny, Elkan (2002), doi:10.1145/775047.775151.
    Kull, Silva Filho, Flach (2017), Beyond sigmoids, doi:10.1214/17-EJS1338SI.
    Saerens, Latinne, Decaestecker (2002), doi:10.1162/089976602753284446 (eq. 2.4: posteriors under another prior).
    """

    method: CalibrationMethod = CalibrationMethod.NONE
    parameters: Mapping[str, float | tuple[float, ...]]
    prior_shift: float = 0.0  # log-odds

    def apply(self, raw: FloatArray) -> FloatArray:
        """Probabilities of raw scores, any shape; never decreasing in the raw score.

        Examples
        --------
        >>> NO_CALIBRATION.apply(np.array([0.0])).tolist()
        [0.5]
        >>> shifted = Calibration(method=CalibrationMethod.PLATT, parameters={"slope": 1.0, "intercept": 2.0})
        >>> shifted.apply(np.array([-2.0])).tolist()
        [0.5]
        >>> Calibration(parameters={}, prior_shift=float(np.log(3.0))).apply(np.array([0.0])).round(12).tolist()
        [0.75]
        """
        return shift_odds(self._mapped(raw), self.prior_shift)

    def _mapped(self, raw: FloatArray) -> FloatArray:
        values = self.parameters
        if self.method is CalibrationMethod.PLATT:
            return sigmoid(_number(values["slope"]) * raw + _number(values["intercept"]))
        if self.method is CalibrationMethod.BETA:
            return sigmoid(_number(values["c"]) - _number(values["a"]) * _softplus(-raw) + _number(values["b"]) * _softplus(raw))
        if self.method is CalibrationMethod.ISOTONIC:
            probability: FloatArray = np.interp(raw, np.asarray(values["raw"]), np.asarray(values["probability"]))
            return probability
        return sigmoid(raw)

    def to_json(self) -> dict[str, Any]:
        """Content of ``calibration.json``."""
        return {"method": self.method.value, "parameters": dict(self.parameters), "prior_shift": self.prior_shift}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Calibration:
        """Invert `to_json`.

        Raises
        ------
        ModelError
            If the method is unknown or its parameters are not the expected ones.
        """
        known = [method.value for method in CalibrationMethod]
        if content.get("method") not in known:
            raise ModelError(f"calibration method is {content.get('method')!r}, expected one of {known}; train the model again")
        method = CalibrationMethod(content["method"])
        got, expected = dict(content.get("parameters", {})), _PARAMETERS[method]
        if sorted(got) != sorted(expected):
            raise ModelError(f"calibration {method.value} has parameters {sorted(got)}, expected {sorted(expected)}; train the model again")
        shift = content.get("prior_shift", 0.0)  # models of before have none
        if not isinstance(shift, int | float) or not math.isfinite(shift):
            raise ModelError(f"calibration prior_shift is {shift!r}, expected a finite number of log-odds; train the model again")
        return cls(method=method, parameters={name: _frozen(got[name]) for name in expected}, prior_shift=float(shift))


def sigmoid(raw: FloatArray) -> FloatArray:
    """1 / (1 + exp(-raw)) without overflow.

    Examples
    --------
    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    if np.shape(raw) == (1,):  # one user: the same arithmetic without numpy's price of each operation
        return np.array([_sigmoid_of_one(raw.item())])
    small = np.exp(-np.abs(raw))
    probability: FloatArray = np.where(raw >= 0, 1.0, small) / (1.0 + small)
    return probability


def _sigmoid_of_one(raw: float) -> float:
    small = float(np.exp(-abs(raw)))  # not that of math, whose last digit may be another
    return (1.0 if raw >= 0 else small) / (1.0 + small)


def shift_odds(probabilities: FloatArray, shift: float | FloatArray) -> FloatArray:
    """Probabilities whose log-odds are ``shift`` higher, one number or one for each; 0 and 1 stay, and all do where every shift is 0.

    Examples
    --------
    >>> shift_odds(np.array([0.0, 0.5, 1.0]), float(np.log(4.0))).round(12).tolist()
    [0.0, 0.8, 1.0]
    """
    if shift == 0.0 if isinstance(shift, float) else not np.any(shift):
        return probabilities
    with np.errstate(divide="ignore"):  # log-odds of 0 and 1 are infinite, and stay so
        shifted = sigmoid(np.log(probabilities) - np.log1p(-probabilities) + shift)
    return np.where(np.equal(shift, 0.0), probabilities, shifted)  # to the last digit, whoever they are computed with


def _softplus(x: FloatArray) -> FloatArray:
    """ln(1 + exp(x)), so that -softplus(-raw) is ln p0 and -softplus(raw) is ln(1 - p0)."""
    result: FloatArray = np.logaddexp(0.0, x)
    return result


def _number(value: float | tuple[float, ...]) -> float:
    if isinstance(value, tuple):
        raise ModelError(f"a calibration parameter is a list of {len(value)} numbers, expected one number; train the model again")
    return value


def _frozen(value: float | list[float]) -> float | tuple[float, ...]:
    return tuple(value) if isinstance(value, list | tuple) else float(value)


NO_CALIBRATION = Calibration(method=CalibrationMethod.NONE, parameters={})
