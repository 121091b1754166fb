"""A signature encodes rows and refuses any other catalogue."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from features.core.catalogue import Catalogue
from features.core.product import AttributeType
from models.errors import ModelError, SignatureMismatchError
from models.signature import ModelAttribute, Signature


def test_a_row_is_the_vector_then_the_attributes(signature: Signature) -> None:
    rows = signature.encode(np.arange(12.0).reshape(2, 6), [{"plan": "pro", "seats": 3, "invited": True}, {"plan": "unheard of"}])
    np.testing.assert_array_equal(rows[0], [0, 1, 2, 3, 4, 5, 1, 3, 1])
    np.testing.assert_array_equal(rows[1], [6, 7, 8, 9, 10, 11, np.nan, np.nan, np.nan])


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (AttributeType.NUMBER, True),
        (AttributeType.NUMBER, "3"),
        (AttributeType.BOOLEAN, 1),
        (AttributeType.BOOLEAN, None),
        (AttributeType.CATEGORY, 3),
    ],
)
def test_a_value_of_another_type_is_missing(type_: AttributeType, value: object) -> None:
    assert np.isnan(ModelAttribute(name="a", type=type_, categories=("x",)).encode(value))


def test_numpy_values_count_as_their_python_kin() -> None:
    assert ModelAttribute(name="a", type=AttributeType.NUMBER).encode(np.float32(1.5)) == 1.5
    assert ModelAttribute(name="a", type=AttributeType.BOOLEAN).encode(np.bool_(False)) == 0.0


def test_rows_and_profiles_must_fit(signature: Signature) -> None:
    with pytest.raises(ModelError, match=r"\(2, 5\), expected \(2, 6\)"):
        signature.encode(np.zeros((2, 5)), [{}, {}])


def test_its_own_catalogue_is_accepted(signature: Signature, catalogue: Catalogue) -> None:
    signature.require(catalogue)


def test_another_catalogue_is_refused_with_both_fingerprints(signature: Signature, catalogue: Catalogue) -> None:
    other = replace(catalogue, features=catalogue.features[1:])
    with pytest.raises(SignatureMismatchError) as caught:
        signature.require(other)
    message = str(caught.value)
    assert catalogue.fingerprint in message
    assert other.fingerprint in message
    assert "count_login_1d" in message


def test_a_reordered_catalogue_is_refused(signature: Signature, catalogue: Catalogue) -> None:
    with pytest.raises(SignatureMismatchError):
        signature.require(replace(catalogue, features=catalogue.features[::-1]))


def test_json_round_trip(signature: Signature) -> None:
    assert Signature.from_json(json.loads(json.dumps(signature.to_json()))) == signature


def test_categorical_inputs_are_positions_in_the_row(signature: Signature) -> None:
    assert [signature.input_names[i] for i in signature.categorical_inputs] == ["plan"]
