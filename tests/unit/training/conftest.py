"""One small world and one model trained on it, shared by the tests of ``training``."""

from __future__ import annotations

import pytest

from features.core.product import Product
from features.home import Home
from tests.unit.training import synthetic
from training.dataset import build_frame, features_join
from training.frame import TrainingFrame
from training.pipeline import TrainedModel, train_model


@pytest.fixture(scope="session")
def product() -> Product:
    """The synthetic product."""
    return synthetic.product()


@pytest.fixture(scope="session")
def home(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home whose raw log holds 300 users over 60 days."""
    home = synthetic.home_at(tmp_path_factory.mktemp("world"))
    synthetic.fill(home, product, n_users=300, n_days=60, seed=5)
    return home


@pytest.fixture(scope="session")
def frame(product: Product, home: Home) -> TrainingFrame:
    """The world's mature rows."""
    return build_frame(product, home, join=features_join)


@pytest.fixture(scope="session")
def trained(frame: TrainingFrame) -> TrainedModel:
    """A model of that world."""
    return train_model(frame, seed=3)
