"""The training frame: one row per (user, as_of), with features, profile attributes and the outcome."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.core.ages import age_name, age_s
from features.core.families import CODES
from features.core.product import AttributeType, Product
from models.signature import CodedFeature, ModelAttribute, Signature, profiles_from_columns

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

USER = "user_id"
AS_OF = "as_of"
OUTCOME = "dropped_out"
PROFILE_CAUSE = "profile"
"""Cause of every profile attribute: a fact about the user, which no message can remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFrame:
    """Mature rows only, ordered by as_of then user.

    ``rows`` has the columns ``user_id``, ``as_of`` (UTC), ``dropped_out`` (bool), one float column per feature of the product's
    catalogue, one column per profile attribute that the model may see, and the attribute that names the cohort, if one is declared.
    """

    product: Product
    rows: pd.DataFrame
    horizon: timedelta  # the label's own time: outcomes are known at as_of + horizon
    data_fingerprint: str = ""  # of the raw log that the rows were built from; "" where they come from elsewhere

    @property
    def outcomes(self) -> BoolArray:
        """Dropped out or not, shape (n_rows,)."""
        return self.rows[OUTCOME].to_numpy(dtype=bool)

    @property
    def as_of_us(self) -> npt.NDArray[np.int64]:
        """Instants of the rows in microseconds since the Unix epoch, shape (n_rows,)."""
        return to_us_array(self.rows[AS_OF])

    @property
    def vectors(self) -> FloatArray:
        """Feature vectors in catalogue order, shape (n_rows, n_features)."""
        return self.rows[list(self.product.catalogue.feature_names)].to_numpy(dtype=np.float64)

    def profiles(self) -> list[dict[str, object]]:
        """Profile attributes that the model may see, and the cohort, by name; one dict per row."""
        names = [name for name in carried_attributes(self.product) if name in self.rows.columns]
        return profiles_from_columns({name: self.rows[name].tolist() for name in names}, n_rows=len(self.rows))

    def at(self, positions: npt.NDArray[np.int64]) -> TrainingFrame:
        """Take the rows at these positions."""
        return replace(self, rows=self.rows.iloc[positions])

    def fingerprint(self) -> str:
        """16 hex digits over the whole content of the rows."""
        hashes = pd.util.hash_pandas_object(self.rows, index=False).to_numpy()
        return hashlib.sha256(hashes.tobytes() + ",".join(self.rows.columns).encode()).hexdigest()[:16]


def carried_attributes(product: Product) -> tuple[str, ...]:
    """Names of the attributes that a frame carries: what the model may see, and the cohort."""
    cohort = () if product.cohort is None else (product.cohort,)
    return tuple(dict.fromkeys([*(attribute.name for attribute in product.model_attributes), *cohort]))


def to_us_array(instants: pd.Series) -> npt.NDArray[np.int64]:
    """Microseconds since the Unix epoch of an aware datetime column.

    Examples
    --------
    >>> to_us_array(pd.Series(pd.to_datetime(["1970-01-01T00:00:01Z"]))).tolist()
    [1000000]
    """
    values: npt.NDArray[np.int64] = instants.to_numpy(dtype="datetime64[us]").astype(np.int64)
    return values


def with_ages(product: Product, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with a column for the age of each instant that the model may see, at each row's own as_of."""
    as_of_us = to_us_array(rows[AS_OF]).tolist()
    instants = [a.name for a in product.profile if a.type is AttributeType.INSTANT and a.model and a.name in rows.columns]
    return rows.assign(**{age_name(name): [age_s(at, us) for at, us in zip(rows[name], as_of_us, strict=True)] for name in instants})


def learn_signature(train: TrainingFrame) -> Signature:
    """Describe the model's input: the catalogue's features and the attributes, with the codes and categories of the training rows."""
    catalogue = train.product.catalogue
    return Signature(
        feature_names=catalogue.feature_names,
        feature_fingerprint=catalogue.fingerprint,
        definitions=catalogue.definitions,
        attributes=tuple(
            ModelAttribute(name=a.name, type=a.type, categories=_categories(train.rows, a.name) if a.type is AttributeType.CATEGORY else ())
            for a in train.product.model_attributes
        ),
        coded=tuple(
            CodedFeature(name=feature.name, codes=tuple(sorted({float(code) for code in train.rows[feature.name].dropna().unique()})))
            for feature in catalogue.features
            if feature.aggregation in CODES
        ),
    )


def causes_of(product: Product) -> Mapping[str, str]:
    """Cause of every model input: what the feature declares; `PROFILE_CAUSE` for attributes."""
    causes = {feature.name: feature.cause for feature in product.catalogue.features}
    return causes | {attribute.name: PROFILE_CAUSE for attribute in product.model_attributes}


def _categories(rows: pd.DataFrame, name: str) -> tuple[str, ...]:
    if name not in rows.columns:
        return ()
    return tuple(sorted({str(value) for value in rows[name].dropna().unique()}))
