"""A signature encodes rows and refuses any other catalogue."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from features.core.product import Attribute, AttributeType, Product
from models.errors import ModelError, SignatureMismatchError
from models.signature import CodedFeature, ModelAttribute, Signature


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


def test_its_own_product_is_accepted(signature: Signature, product: Product) -> None:
    signature.require(product)


def test_an_attribute_that_the_product_gained_is_no_obstacle(signature: Signature, product: Product) -> None:
    signature.require(replace(product, profile=(Attribute(name="device", type=AttributeType.CATEGORY), *product.profile)))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (Attribute(name="tariff", type=AttributeType.CATEGORY), ("lacks plan (category);", "see tariff (category), seats (number)")),
        (Attribute(name="plan", type=AttributeType.NUMBER), ("lacks plan (category);", "see plan (number), seats (number)")),
        (Attribute(name="plan", type=AttributeType.CATEGORY, model=False), ("lacks plan (category);", "see seats (number)")),
    ],
    ids=["renamed", "of another type", "hidden from the model"],
)
def test_a_product_without_the_attributes_of_the_model_is_refused(
    signature: Signature, product: Product, changed: Attribute, said: tuple[str, str]
) -> None:
    with pytest.raises(SignatureMismatchError) as caught:
        signature.require(replace(product, profile=(changed, *product.profile[1:])))
    assert [part for part in said if part not in str(caught.value)] == []


def test_another_catalogue_is_refused_with_both_fingerprints(signature: Signature, product: Product) -> None:
    catalogue = product.catalogue
    other = replace(catalogue, features=catalogue.features[1:])
    with pytest.raises(SignatureMismatchError) as caught:
        signature.require(replace(product, catalogue=other))
    message = str(caught.value)
    assert catalogue.fingerprint in message
    assert other.fingerprint in message
    assert "count_login_1d" in message


def test_a_reordered_catalogue_is_refused(signature: Signature, product: Product) -> None:
    reordered = replace(product.catalogue, features=product.catalogue.features[::-1])
    with pytest.raises(SignatureMismatchError):
        signature.require(replace(product, catalogue=reordered))


def test_json_round_trip(signature: Signature) -> None:
    assert Signature.from_json(json.loads(json.dumps(signature.to_json()))) == signature


def test_codes_become_their_positions_among_those_learned(signature: Signature) -> None:
    coded = replace(signature, coded=(CodedFeature(name=signature.feature_names[2], codes=(0.0, 7.0, 2.0**31 - 2)),))
    vectors = np.tile(np.array([0.0, 7.0, 2.0**31 - 2, 6.0, np.nan])[:, None], 6)
    rows = coded.encode(vectors, [{}] * 5)
    np.testing.assert_array_equal(rows[:, 2], [0, 1, 2, np.nan, np.nan])
    np.testing.assert_array_equal(rows[:, 1], vectors[:, 1])
    assert [coded.input_names[i] for i in coded.categorical_inputs] == [signature.feature_names[2], "plan"]
    assert Signature.from_json(json.loads(json.dumps(coded.to_json()))) == coded


def test_categorical_inputs_are_positions_in_the_row(signature: Signature) -> None:
    assert [signature.input_names[i] for i in signature.categorical_inputs] == ["plan"]
