"""A small model of any product, trained in a moment on rows made up for it: silent users drop out."""

from __future__ import annotations

from pathlib import Path

import lightgbm
import numpy as np

from features.core.catalogue import Aggregation
from features.core.product import Product
from models.bundle import BundleContent, write_bundle
from models.calibration import Calibration, CalibrationMethod
from models.signature import Signature

DAY_S = 86_400.0


def write_small_bundle(product: Product, folder: Path, *, n_rounds: int = 40) -> Path:
    """Write a bundle whose risk rises with the time since the last use."""
    catalogue = product.catalogue
    signature = Signature(
        feature_names=catalogue.feature_names, feature_fingerprint=catalogue.fingerprint, definitions=catalogue.definitions
    )
    rng = np.random.default_rng(3)
    rows = rng.poisson(3.0, size=(3_000, len(catalogue.features))).astype(float)
    seconds = [i for i, feature in enumerate(catalogue.features) if feature.aggregation is Aggregation.SECONDS_SINCE_LAST]
    rows[:, seconds] = rng.exponential(3 * DAY_S, size=(3_000, 1)) + rng.exponential(600.0, size=(3_000, len(seconds)))
    dropped_out = rows[:, seconds[-1]] > rng.normal(4 * DAY_S, DAY_S, size=3_000)
    parameters = {"objective": "binary", "num_leaves": 15, "max_depth": 5, "verbosity": -1, "seed": 1, "num_threads": 1}
    booster = lightgbm.train(parameters, lightgbm.Dataset(rows, label=dropped_out.astype(int)), num_boost_round=n_rounds)
    content = BundleContent(
        product=product.name,
        model_text=booster.model_to_string(),
        signature=signature,
        calibration=Calibration(method=CalibrationMethod.PLATT, parameters={"slope": 1.0, "intercept": 0.0}),
        causes={feature.name: feature.cause for feature in catalogue.features},
    )
    return write_bundle(folder, content)
