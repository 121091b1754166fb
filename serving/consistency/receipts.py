"""What a receipt says that its decision was made on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from features.core.product import Product


class Skipped(StrEnum):
    """Why a receipt is not checked."""

    NO_FEATURES = "no_features"  # the timeline could not be read: the decision was made without
    OTHER_FEATURES = "other_features"  # the catalogue has changed since
    TOO_RECENT = "too_recent"  # its events may not be in the raw log yet
    NOT_A_RECEIPT = "not_a_receipt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """The part of a receipt that the raw log can confirm."""

    decision_id: str
    user_id: str
    as_of_us: int
    timeline_hash: str
    freshness_us: int | None  # None: no event was known
    features: Mapping[str, float]  # NaN where undefined


def read_receipt(receipt: bytes, product: Product, *, not_after_us: int | None = None) -> Logged | Skipped:
    """Read one receipt, or say why it is not checked.

    Examples
    --------
    >>> from features.core.catalogue import Catalogue
    >>> from features.core.product import Label
    >>> from datetime import timedelta
    >>> label = Label(activity=(), horizon=timedelta(days=30))
    >>> read_receipt(b"?", Product(name="p", description="", catalogue=Catalogue(kinds=(), features=()), causes=(), label=label)).value
    'not_a_receipt'
    """
    try:
        return _read(orjson.loads(receipt), product, not_after_us)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Skipped.NOT_A_RECEIPT


def _read(content: Mapping[str, Any], product: Product, not_after_us: int | None) -> Logged | Skipped:
    inputs, timeline, catalogue = content["inputs"], content["timeline"], product.catalogue
    features = inputs["features"]
    if not_after_us is not None and inputs["as_of_us"] > not_after_us:
        return Skipped.TOO_RECENT
    if not features:
        return Skipped.NO_FEATURES
    if content["versions"]["features"] != catalogue.fingerprint or set(catalogue.feature_names) - features.keys():
        return Skipped.OTHER_FEATURES
    return Logged(
        decision_id=inputs["decision_id"],
        user_id=inputs["user_id"],
        as_of_us=int(inputs["as_of_us"]),
        timeline_hash=timeline["hash"],
        freshness_us=timeline["freshness_us"],
        features={name: math.nan if features[name] is None else float(features[name]) for name in catalogue.feature_names},
    )
