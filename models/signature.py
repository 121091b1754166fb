"""What a model expects as input: the features it was trained on, in order, and the profile attributes with their categories."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from features.core.catalogue import Catalogue
from features.core.product import AttributeType, Product
from models.errors import ModelError, SignatureMismatchError

FloatArray = npt.NDArray[np.float64]

_BOOLEANS = (bool, np.bool_)
_NUMBERS = (int, float, np.number)


@dataclass(frozen=True, kw_only=True)
class ModelAttribute:
    """One profile attribute as a model input."""

    name: str
    type: AttributeType
    categories: tuple[str, ...] = ()  # of a category, in code order; learned from the training rows

    def encode(self, value: object) -> float:
        """Turn a value into the number the model sees; NaN when it is unset, unseen or of another type.

        A category becomes its position, a boolean 0 or 1, a number stays itself.

        Examples
        --------
        >>> plan = ModelAttribute(name="plan", type=AttributeType.CATEGORY, categories=("free", "pro"))
        >>> plan.encode("pro"), plan.encode("never seen")
        (1.0, nan)
        """
        if self.type is AttributeType.CATEGORY:
            return self._codes.get(value, math.nan) if isinstance(value, str) else math.nan
        if self.type is AttributeType.BOOLEAN:
            return float(value) if isinstance(value, _BOOLEANS) else math.nan
        is_number = isinstance(value, _NUMBERS) and not isinstance(value, bool)
        return float(value) if is_number else math.nan  # type: ignore[arg-type]

    @cached_property
    def _codes(self) -> dict[str, float]:
        return {category: float(code) for code, category in enumerate(self.categories)}


@dataclass(frozen=True, kw_only=True)
class CodedFeature:
    """A feature whose number is a code: the model sees its position among the codes of the training rows.

    The codes themselves reach 2^31; LightGBM keeps a bit for each number up to the greatest category.
    """

    name: str
    codes: tuple[float, ...]  # ascending; learned from the training rows

    def encode(self, numbers: FloatArray) -> FloatArray:
        """Positions of numbers of any shape; NaN for a code that was not among the training rows.

        Examples
        --------
        >>> CodedFeature(name="last_kinds_use_last_2", codes=(0.0, 5.0, 7.0)).encode(np.array([7.0, 6.0, np.nan]))
        array([ 2., nan, nan])
        """
        places = self._places
        encoded = [places.get(number, math.nan) for number in numbers.ravel().tolist()]
        return np.array(encoded, dtype=np.float64).reshape(numbers.shape)

    @cached_property
    def _places(self) -> dict[float, float]:
        return {code: float(place) for place, code in enumerate(self.codes)}


@dataclass(frozen=True, kw_only=True)
class Signature:
    """Ordered behaviour features, their fingerprint, and profile attributes.

    The input row of the model is the feature vector, codes replaced by their positions, followed by one number per attribute.
    """

    feature_names: tuple[str, ...]
    feature_fingerprint: str
    attributes: tuple[ModelAttribute, ...] = ()
    coded: tuple[CodedFeature, ...] = ()
    definitions: tuple[str, ...] = ()  # of each feature, as `Catalogue.definitions` gives them; () in models older than these

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the model's inputs in row order."""
        return (*self.feature_names, *(attribute.name for attribute in self.attributes))

    @property
    def categorical_inputs(self) -> tuple[int, ...]:
        """Positions in the input row that hold category codes."""
        first = len(self.feature_names)
        attributes = (first + i for i, attribute in enumerate(self.attributes) if attribute.type is AttributeType.CATEGORY)
        return (*(self.feature_names.index(feature.name) for feature in self.coded), *attributes)

    def encode(self, vectors: FloatArray, profiles: Sequence[Mapping[str, object]]) -> FloatArray:
        """Input rows, shape (n_users, n_inputs), of vectors (n_users, n_features) and as many profiles.

        Raises
        ------
        ModelError
            If the shapes do not fit.
        """
        expected = (len(profiles), len(self.feature_names))
        if vectors.shape != expected:
            raise ModelError(f"got vectors of shape {vectors.shape}, expected {expected}: one row per profile, one column per feature")
        n_features, n_attributes = len(self.feature_names), len(self.attributes)
        rows = np.empty((len(profiles), n_features + n_attributes))
        rows[:, :n_features] = vectors
        for column, feature in self._coded_columns:
            rows[:, column] = feature.encode(vectors[:, column])
        codes = (attribute.encode(profile.get(attribute.name)) for profile in profiles for attribute in self.attributes)
        rows[:, n_features:] = np.fromiter(codes, np.float64, len(profiles) * n_attributes).reshape(len(profiles), n_attributes)
        return rows

    @cached_property
    def _coded_columns(self) -> tuple[tuple[int, CodedFeature], ...]:
        return tuple((self.feature_names.index(feature.name), feature) for feature in self.coded)

    def columns_of(self, product: Product) -> tuple[int, ...]:
        """Where each feature of the model lies in the vectors of a product, which may have gained features and attributes since.

        Raises
        ------
        SignatureMismatchError
            If the product measures a feature differently or not at all, or lacks an attribute: naming both fingerprints and what it lacks,
            or both sides' attributes and their types.
        """
        columns = self._columns_in(product.catalogue)
        declared = {attribute.name: attribute.type.value for attribute in product.model_attributes}
        expected = {attribute.name: attribute.type.value for attribute in self.attributes}
        if not expected.items() <= declared.items():
            changed = {name: kind for name, kind in expected.items() if declared.get(name) != kind}
            raise SignatureMismatchError(
                f"the model was trained on profile attributes of which the product lacks {_listed(changed)};"
                f" the product lets the model see {_listed(declared)}; train a model on the present product.yaml,"
                " or put back the profile that the model was trained on"
            )
        return columns

    def _columns_in(self, catalogue: Catalogue) -> tuple[int, ...]:
        if self.feature_fingerprint == catalogue.fingerprint and self.feature_names == catalogue.feature_names:
            return tuple(range(len(self.feature_names)))
        place = {definition: column for column, definition in enumerate(catalogue.definitions)}
        unlike = [name for name, definition in zip(self.feature_names, self.definitions, strict=False) if definition not in place]
        if self.definitions and not unlike:
            return tuple(place[definition] for definition in self.definitions)
        missing = sorted(set(self.feature_names) - set(catalogue.feature_names))
        added = sorted(set(catalogue.feature_names) - set(self.feature_names))
        changed = sorted(set(unlike) - set(missing))
        raise SignatureMismatchError(
            f"the model was trained on features {self.feature_fingerprint}, the product declares {catalogue.fingerprint}"
            f" (only in the model: {missing or 'none'}; only in the product: {added or 'none'}; defined otherwise: {changed or 'none'});"
            " train a model on the present product.yaml, or put back the product.yaml that the model was trained on"
        )

    def to_json(self) -> dict[str, Any]:
        """Content of ``signature.json``."""
        attributes = [{"name": a.name, "type": a.type.value, "categories": list(a.categories)} for a in self.attributes]
        coded = [{"name": feature.name, "codes": list(feature.codes)} for feature in self.coded]
        content = {"feature_names": list(self.feature_names), "feature_fingerprint": self.feature_fingerprint, "attributes": attributes}
        return content | {"definitions": list(self.definitions)} | ({"coded": coded} if coded else {})

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Signature:
        """Invert `to_json`."""
        return cls(
            feature_names=tuple(content["feature_names"]),
            feature_fingerprint=content["feature_fingerprint"],
            attributes=tuple(_attribute(attribute) for attribute in content["attributes"]),
            definitions=tuple(content.get("definitions", ())),
            coded=tuple(CodedFeature(name=each["name"], codes=tuple(each["codes"])) for each in content.get("coded", ())),
        )


def profiles_from_columns(columns: Mapping[str, Sequence[object]], *, n_rows: int) -> list[dict[str, object]]:
    """Turn attribute columns, each of length n_rows, into one profile per row.

    Examples
    --------
    >>> profiles_from_columns({"plan": ["pro", "free"], "seats": [3, None]}, n_rows=2)
    [{'plan': 'pro', 'seats': 3}, {'plan': 'free', 'seats': None}]
    """
    if not columns:
        return [{} for _ in range(n_rows)]
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _listed(types: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in types.items()) or "none"


def _attribute(content: Mapping[str, Any]) -> ModelAttribute:
    return ModelAttribute(name=content["name"], type=AttributeType(content["type"]), categories=tuple(content["categories"]))
