"""A risk model written by hand: three trees in LightGBM's text format, small enough to be worked out on paper."""

from __future__ import annotations

from pathlib import Path

from features.core.product import Product
from models.bundle import REGISTRATION, BundleContent, write_bundle
from models.calibration import Calibration, CalibrationMethod
from models.signature import ModelAttribute, Signature

VERSION = "whole/1"

TREES = """\
tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=4
objective=binary sigmoid:1
feature_names=count_login_failed_2m count_login_failed_7d seconds_since_last_login count_login_30d seats
feature_infos=[0:8] [0:8] [0:2592000] [0:10] [1:500]

Tree=0
num_leaves=4
num_cat=0
split_feature=2 3 2
split_gain=3 2 1
threshold=259200.0 1.5 864000.0
decision_type=8 2 8
left_child=1 -1 -3
right_child=2 -2 -4
leaf_value=0.4 -1.6 0.7 1.3
leaf_weight=100 400 300 200
leaf_count=100 400 300 200
internal_value=-0.13 -1.2 0.94
internal_weight=1000 500 500
internal_count=1000 500 500
is_linear=0
shrinkage=1


Tree=1
num_leaves=3
num_cat=0
split_feature=1 0
split_gain=2 1
threshold=2.5 2.5
decision_type=2 2
left_child=-1 -2
right_child=1 -3
leaf_value=-0.2 0.5 0.9
leaf_weight=800 150 50
leaf_count=800 150 50
internal_value=-0.04 0.6
internal_weight=1000 200
internal_count=1000 200
is_linear=0
shrinkage=1


Tree=2
num_leaves=2
num_cat=0
split_feature=4
split_gain=1
threshold=3.5
decision_type=10
left_child=-1
right_child=-2
leaf_value=0.3 -0.3
leaf_weight=600 400
leaf_count=600 400
internal_value=0.06
internal_weight=1000
internal_count=1000
is_linear=0
shrinkage=1


end of trees
"""
"""Silence (three days, ten days) and how much there was before it; failed sign-ins of the week, then of two minutes; a small account.

``decision_type`` 8 sends an undefined number to the right, 10 to the left; 2: it is never undefined.
"""

SLOPE, INTERCEPT = 0.9, -0.1
BASE_LOG_ODDS = -0.13 - 0.04 + 0.06
"""What the trees say on average over the people that their counts stand for."""


def raw_score(features: dict[str, float], seats: float | None) -> float:
    """The same trees, by hand: log-odds before calibration."""
    silent_s = features["seconds_since_last_login"]
    silence = 0.7 if silent_s <= 864_000.0 else 1.3  # never signed in: NaN is never less
    if silent_s <= 259_200.0:
        silence = 0.4 if features["count_login_30d"] <= 1.5 else -1.6
    friction = -0.2
    if features["count_login_failed_7d"] > 2.5:
        friction = 0.5 if features["count_login_failed_2m"] <= 2.5 else 0.9
    return silence + friction + (0.3 if seats is None or seats <= 3.5 else -0.3)


def write_small_trees(product: Product, folder: Path, *, model_text: str = TREES) -> Path:
    """A bundle of the trees, under the version that the golden receipts name."""
    catalogue = product.catalogue
    signature = Signature(
        feature_names=catalogue.feature_names,
        feature_fingerprint=catalogue.fingerprint,
        attributes=tuple(ModelAttribute(name=attribute.name, type=attribute.type) for attribute in product.model_attributes),
        definitions=catalogue.definitions,
    )
    content = BundleContent(
        product=product.name,
        model_text=model_text,
        signature=signature,
        calibration=Calibration(method=CalibrationMethod.PLATT, parameters={"slope": SLOPE, "intercept": INTERCEPT}),
        causes={**{feature.name: feature.cause for feature in catalogue.features}, "seats": "profile"},
    )
    write_bundle(folder, content)
    (folder / REGISTRATION).write_text(f'{{"version": "{VERSION}"}}')
    return folder
