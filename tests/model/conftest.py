"""One trained and registered model for all tests of this folder, and registries of their own for those that move aliases."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace

import mlflow
import pytest

from models.calibration import Calibration, CalibrationMethod
from tests.model.place import Fresh, Place
from tests.unit.training import synthetic
from training.record import log_model
from training.run import train_product


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One training run, recorded and registered in an MLflow store of its own."""
    folder = tmp_path_factory.mktemp("registry")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_RUN_ID", raising=False)
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        product, home = synthetic.product(), synthetic.home_at(folder)
        synthetic.fill(home, product, n_users=300, n_days=60, seed=5)
        yield Place(folder=folder, product=product, home=home, outcome=train_product(product, home, seed=1))
        mlflow.set_tracking_uri(None)


@pytest.fixture(scope="package")
def uris(place: Place) -> dict[str, str]:
    """Logged models: the good one, and worse ones, by what is wrong with them."""
    content = place.outcome.trained.content
    slope = Calibration(method=CalibrationMethod.PLATT, parameters={"slope": 0.5, "intercept": 0.7})
    with mlflow.start_run(run_name="models for tests"):
        return {"good": log_model(content), "worse": log_model(replace(content, calibration=slope))}


@pytest.fixture
def fresh(place: Place, uris: dict[str, str], request: pytest.FixtureRequest) -> Fresh:
    """The same product and log under a name that nothing is registered for yet."""
    name = f"p{abs(hash(request.node.nodeid)):x}"
    product = replace(place.product, name=name)
    shutil.copytree(place.home.raw_dir(place.product.name), place.home.raw_dir(name))
    return Fresh(product=product, home=place.home, run_id=place.outcome.run_id, uris=uris)
