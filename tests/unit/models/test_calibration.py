"""Calibration maps are monotone, stay in [0, 1] and survive JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calibration import NO_CALIBRATION, Calibration, CalibrationMethod, sigmoid
from models.errors import ModelError

EVERY = (
    NO_CALIBRATION,
    Calibration(method=CalibrationMethod.PLATT, parameters={"slope": 0.7, "intercept": -0.3}),
    Calibration(method=CalibrationMethod.BETA, parameters={"a": 0.8, "b": 1.3, "c": 0.2}),
    Calibration(method=CalibrationMethod.ISOTONIC, parameters={"raw": (-1.0, 0.0, 2.0), "probability": (0.1, 0.4, 0.9)}),
    Calibration(method=CalibrationMethod.ISOTONIC, parameters={"raw": (-1.0, 2.0), "probability": (0.0, 1.0)}, prior_shift=-0.8),
)


@pytest.mark.parametrize("calibration", EVERY, ids=lambda c: f"{c.method.value} {c.prior_shift:+}")
@given(raw=st.lists(st.floats(-800, 800), min_size=1, max_size=40))
def test_probabilities_never_decrease_with_the_raw_score(calibration: Calibration, raw: list[float]) -> None:
    probabilities = calibration.apply(np.sort(np.array(raw)))
    assert (np.diff(probabilities) >= 0).all()
    assert ((probabilities >= 0) & (probabilities <= 1)).all()


@pytest.mark.parametrize("calibration", EVERY, ids=lambda c: f"{c.method.value} {c.prior_shift:+}")
def test_json_round_trip_is_exact(calibration: Calibration) -> None:
    back = Calibration.from_json(json.loads(json.dumps(calibration.to_json())))
    assert back == calibration


@pytest.mark.parametrize("calibration", EVERY, ids=lambda c: f"{c.method.value} {c.prior_shift:+}")
def test_one_row_and_many_rows_agree_exactly(calibration: Calibration) -> None:
    raw = np.random.default_rng(3).normal(size=1001)
    np.testing.assert_array_equal(calibration.apply(raw), np.concatenate([calibration.apply(raw[i : i + 1]) for i in range(1001)]))


def test_beta_with_unit_parameters_is_the_sigmoid() -> None:
    raw = np.linspace(-6, 6, 25)
    beta = Calibration(method=CalibrationMethod.BETA, parameters={"a": 1.0, "b": 1.0, "c": 0.0})
    np.testing.assert_allclose(beta.apply(raw), sigmoid(raw), atol=1e-15)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ModelError, match="'spline', expected one of"):
        Calibration.from_json({"method": "spline", "parameters": {}})


def test_wrong_parameters_are_refused() -> None:
    with pytest.raises(ModelError, match=r"platt has parameters \['slope'\], expected \['intercept', 'slope'\]"):
        Calibration.from_json({"method": "platt", "parameters": {"slope": 1.0}})


def test_a_shift_multiplies_the_odds_and_nothing_else() -> None:
    raw = np.linspace(-6, 6, 25)
    shifted = Calibration(method=CalibrationMethod.PLATT, parameters={"slope": 0.7, "intercept": 0.1}, prior_shift=float(np.log(2.5)))
    before, after = Calibration(method=shifted.method, parameters=shifted.parameters).apply(raw), shifted.apply(raw)
    np.testing.assert_allclose(after / (1 - after), 2.5 * before / (1 - before), rtol=1e-12)


def test_a_calibration_without_a_shift_is_of_an_older_model_and_is_read_as_it_was() -> None:
    calibration = Calibration.from_json({"method": "none", "parameters": {}})
    assert calibration == NO_CALIBRATION


@pytest.mark.parametrize("shift", ["0.1", None, float("nan"), float("inf")])
def test_a_shift_that_is_no_finite_number_is_refused(shift: object) -> None:
    with pytest.raises(ModelError, match="prior_shift is"):
        Calibration.from_json({"method": "none", "parameters": {}, "prior_shift": shift})


def test_a_list_where_a_number_belongs_is_refused() -> None:
    calibration = Calibration.from_json({"method": "platt", "parameters": {"slope": [1.0, 2.0], "intercept": 0.0}})
    with pytest.raises(ModelError, match="list of 2 numbers"):
        calibration.apply(np.zeros(1))


@pytest.mark.parametrize("calibration", EVERY, ids=lambda c: f"{c.method.value} {c.prior_shift:+}")
@given(raw=st.lists(st.one_of(st.floats(-800, 800), st.sampled_from([-0.0, np.inf, -np.inf, np.nan])), min_size=2, max_size=12))
def test_one_score_is_mapped_to_the_bits_that_it_is_mapped_to_among_many(calibration: Calibration, raw: list[float]) -> None:
    if calibration.method is CalibrationMethod.BETA or calibration.prior_shift:
        raw = [score for score in raw if np.isfinite(score)] or [0.0]
    together = calibration.apply(np.array(raw))
    assert [calibration.apply(np.array([score])).tobytes() for score in raw] == [one.tobytes() for one in together]
