"""One trained and registered model for all tests of this folder, and registries of their own for those that move aliases."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace

import mlflow
import pytest

from models.calibration import Calibration, CalibrationMethod
from tests.mlflow_store import working_in
from tests.model.place import Fresh, Place
from tests.unit.training import synthetic
from training.record import log_model
from training.run import train_product


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """One training run, recorded and registered in an MLflow store of its own."""
    folder = tmp_path_factory.mktemp("registry")
    with working_in(folder):
        product, home = synthetic.product(), synthetic.home_at(folder)
        synthetic.fill(home, product, n_users=300, n_days=60, seed=5)
        return Place(folder=folder, product=product, home=home, outcome=train_product(product, home, seed=1))


@pytest.fixture(autouse=True)
def _working_in_the_place(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that stands on the place works there, and leaves no other test there."""
    if "place" not in request.fixturenames or not isinstance(there := request.getfixturevalue("place"), Place):
        yield
        return
    with working_in(there.folder):
        yield


@pytest.fixture(scope="package")
def uris(place: Place) -> dict[str, str]:
    """Logged models: the good one, and worse ones, by what is wrong with them."""
    content = place.outcome.trained.content
    slope = Calibration(method=CalibrationMethod.PLATT, parameters={"slope": 0.5, "intercept": 0.7})
    with working_in(place.folder):
        mlflow.set_experiment("models for tests")  # the active one may be of another test's store
        with mlflow.start_run(run_name="models for tests"):
            return {"good": log_model(content), "worse": log_model(replace(content, calibration=slope))}


@pytest.fixture
def fresh(place: Place, uris: dict[str, str], request: pytest.FixtureRequest) -> Fresh:
    """The same product and log under a name that nothing is registered for yet."""
    name = f"p{abs(hash(request.node.nodeid)):x}"
    product = replace(place.product, name=name)
    shutil.copytree(place.home.raw_dir(place.product.name), place.home.raw_dir(name))
    return Fresh(product=product, home=place.home, run_id=place.outcome.run_id, uris=uris)
