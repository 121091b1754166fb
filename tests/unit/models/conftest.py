"""One small trained model, shared by the tests of ``models``."""

from __future__ import annotations

from datetime import timedelta

import lightgbm
import numpy as np
import pytest

from features.core.catalogue import Aggregation, Catalogue, Feature, Kind
from features.core.product import Attribute, AttributeType, Label, Product
from models.bundle import BundleContent
from models.calibration import Calibration, CalibrationMethod
from models.signature import ModelAttribute, Signature

N_FEATURES = 6


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """Six counts over two kinds."""
    kinds = (Kind(name="login"), Kind(name="click"))
    features = tuple(
        Feature(aggregation=Aggregation.COUNT, of=kind.name, kinds=(kind.name,), window=timedelta(days=days), cause=cause)
        for kind, cause in zip(kinds, ("silence", "shallow"), strict=True)
        for days in (1, 7, 30)
    )
    return Catalogue(kinds=kinds, features=features)


@pytest.fixture(scope="session")
def product(catalogue: Catalogue) -> Product:
    """The catalogue's product, with three attributes that the model may see and two that it may not."""
    types = {"plan": AttributeType.CATEGORY, "seats": AttributeType.NUMBER, "invited": AttributeType.BOOLEAN, "email": AttributeType.TEXT}
    return Product(
        name="shop",
        description="",
        catalogue=catalogue,
        causes=(),
        label=Label(activity=("login",), horizon=timedelta(days=5)),
        profile=(
            *(Attribute(name=name, type=type_) for name, type_ in types.items()),
            Attribute(name="consent", type=AttributeType.BOOLEAN, model=False),
        ),
    )


@pytest.fixture(scope="session")
def signature(catalogue: Catalogue) -> Signature:
    """The catalogue's features and three attributes."""
    return Signature(
        feature_names=catalogue.feature_names,
        feature_fingerprint=catalogue.fingerprint,
        definitions=catalogue.definitions,
        attributes=(
            ModelAttribute(name="plan", type=AttributeType.CATEGORY, categories=("free", "pro", "team")),
            ModelAttribute(name="seats", type=AttributeType.NUMBER),
            ModelAttribute(name="invited", type=AttributeType.BOOLEAN),
        ),
    )


@pytest.fixture(scope="session")
def rows(signature: Signature) -> np.ndarray:
    """2,000 encoded rows with missing values, shape (2000, 9)."""
    rng = np.random.default_rng(7)
    rows = rng.gamma(2.0, 3.0, size=(2000, len(signature.input_names)))
    rows[:, N_FEATURES] = rng.integers(0, 3, size=2000)
    rows[:, N_FEATURES + 2] = rng.integers(0, 2, size=2000)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows


@pytest.fixture(scope="session")
def booster(rows: np.ndarray, signature: Signature) -> lightgbm.Booster:
    """A depth-limited LightGBM model of a planted rule."""
    rng = np.random.default_rng(8)
    score = 0.4 * np.nan_to_num(rows[:, 0], nan=4.0) - 0.3 * np.nan_to_num(rows[:, 4]) + (rows[:, 6] == 1) + rng.normal(size=len(rows))
    dataset = lightgbm.Dataset(rows, label=(score > np.median(score)).astype(int), categorical_feature=list(signature.categorical_inputs))
    parameters = {"objective": "binary", "num_leaves": 31, "max_depth": 6, "verbosity": -1, "seed": 1, "num_threads": 1}
    return lightgbm.train(parameters, dataset, num_boost_round=60)


@pytest.fixture(scope="session")
def content(catalogue: Catalogue, signature: Signature, booster: lightgbm.Booster) -> BundleContent:
    """What training would hand over."""
    causes = {feature.name: feature.cause for feature in catalogue.features} | dict.fromkeys(("plan", "seats", "invited"), "profile")
    return BundleContent(
        product="shop",
        model_text=booster.model_to_string(),
        signature=signature,
        calibration=Calibration(method=CalibrationMethod.PLATT, parameters={"slope": 0.9, "intercept": 0.1}),
        causes=causes,
        about={"horizon_s": 86400},
    )
