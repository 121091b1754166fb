"""From a trained model through MLflow to a served bundle: recorded, registered, fetched, verified; and what happens when a step fails."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.exceptions import MlflowException

from features.backfill.raw_scan import data_fingerprint
from features.core.product import Product
from features.home import Home
from models.bundle import REGISTRATION, load_bundle
from serving.adapters.model_registry import CURRENT, RegistryError, fetch_champion, newest_local, resolve_champion
from tests.unit.training import synthetic
from training.errors import EmptyLogError
from training.register import champion_segments, register_champion, registered_name
from training.review import MODEL
from training.run import Outcome, train_product


@dataclass(frozen=True)
class Place:
    """Where the tests of this module train and register."""

    folder: Path
    product: Product
    home: Home
    outcome: Outcome


@pytest.fixture(scope="module")
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


def test_the_run_has_figures_plots_card_data_and_fingerprints(place: Place) -> None:
    client = mlflow.MlflowClient()
    run = client.get_run(place.outcome.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["model.auc"] == pytest.approx(place.outcome.trained.review.evaluations[MODEL].figures["auc"].value)
    assert run.data.tags["stillhere.feature_fingerprint"] == place.product.catalogue.fingerprint
    assert run.data.tags["stillhere.data_fingerprint"] == data_fingerprint(place.home.raw_dir(place.product.name))
    assert {each.path for each in client.list_artifacts(run.info.run_id)} == {"model_card.md", "plots", "segments"}
    assert {each.path for each in client.list_artifacts(run.info.run_id, "plots")} == {
        "plots/reliability.png",
        "plots/roc_pr.png",
        "plots/segments.png",
        "plots/shap_by_cause.png",
    }
    assert {each.path for each in client.list_artifacts(run.info.run_id, "segments")} == {"segments/figures.json", "segments/k.json"}
    assert [each.dataset.name for each in run.inputs.dataset_inputs] == ["tiny-training", "tiny-testing"]
    slices = place.outcome.trained.slices
    assert len(slices.fitted.rows) == len(slices.train.rows) + len(slices.stop.rows)
    assert run.inputs.dataset_inputs[0].dataset.digest == slices.fitted.fingerprint() == run.data.tags["stillhere.rows_fingerprint"]


def test_the_champion_is_fetched_verified_and_remembered(place: Place, tmp_path: Path) -> None:
    folder = fetch_champion("tiny", tmp_path)
    assert folder is not None
    bundle = load_bundle(folder, place.product)
    assert bundle.version == f"tiny/{place.outcome.registration.version}"
    assert json.loads((tmp_path / CURRENT).read_text()) == {"version": bundle.version, "folder": folder.name}
    test = place.outcome.trained.slices.test
    np.testing.assert_array_equal(bundle.risk(test.vectors, test.profiles()), place.outcome.trained.review.evaluations[MODEL].probabilities)


def test_a_corrupt_copy_is_fetched_again(place: Place, tmp_path: Path) -> None:
    folder = fetch_champion("tiny", tmp_path)
    assert folder is not None
    (folder / "model.txt").write_text("broken")
    assert newest_local(tmp_path) is None
    assert fetch_champion("tiny", tmp_path) == folder
    load_bundle(folder, place.product)


def test_without_mlflow_the_last_verified_bundle_serves(place: Place, tmp_path: Path) -> None:
    folder = fetch_champion("tiny", tmp_path)
    assert folder is not None
    older = Path(shutil.copytree(folder, tmp_path / "0"))
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/nowhere.db")
    try:
        assert fetch_champion("tiny", tmp_path) == folder
        (folder / "calibration.json").write_text("{}")
        assert fetch_champion("tiny", tmp_path) == older
        assert fetch_champion("tiny", tmp_path / "empty") is None
        with pytest.raises(RegistryError, match=r"nowhere\.db is not there; train a model first"):
            resolve_champion("tiny")
        assert not (tmp_path / "nowhere.db").exists()
    finally:
        mlflow.set_tracking_uri(f"sqlite:///{place.folder}/mlflow.db")


def test_a_garbage_database_is_a_registry_that_is_away(place: Place, tmp_path: Path) -> None:
    folder = fetch_champion("tiny", tmp_path)
    (tmp_path / "garbage.db").write_bytes(b"this is no database" * 500)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/garbage.db")
    try:
        assert fetch_champion("tiny", tmp_path) == folder
        with pytest.raises(RegistryError, match="could not name the champion"):
            resolve_champion("tiny")
    finally:
        mlflow.set_tracking_uri(f"sqlite:///{place.folder}/mlflow.db")


def test_a_cached_version_of_another_database_is_fetched_anew(place: Place, tmp_path: Path) -> None:
    folder = fetch_champion("tiny", tmp_path)
    assert folder is not None
    file = folder / REGISTRATION
    registration = json.loads(file.read_text())
    assert registration["run_id"] == place.outcome.run_id
    file.write_text(json.dumps({**registration, "run_id": "of another database"}))
    (folder / "left_over.txt").touch()
    assert fetch_champion("tiny", tmp_path) == folder
    assert json.loads(file.read_text()) == registration
    assert not (folder / "left_over.txt").exists()


def test_a_product_never_trained_has_no_champion(place: Place, tmp_path: Path) -> None:
    assert resolve_champion("unheard-of") is None
    assert fetch_champion("unheard-of", tmp_path) is None


def test_the_logged_model_loads_alone_and_predicts_from_a_dataframe(place: Place, tmp_path: Path) -> None:
    test = place.outcome.trained.slices.test
    columns = list(place.product.catalogue.feature_names)
    test.rows[columns].head(20).to_parquet(tmp_path / "rows.parquet")
    script = """if True:
        import sys
        import mlflow, pandas
        model = mlflow.pyfunc.load_model("models:/stillhere-tiny@champion")
        print(*model.predict(pandas.read_parquet("rows.parquet"))["risk"].map(float.hex))
        import models
        assert "artifacts" in models.__file__, models.__file__
        assert "training" not in sys.modules
    """
    environment = {"MLFLOW_TRACKING_URI": mlflow.get_tracking_uri(), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = place.outcome.trained.review.evaluations[MODEL].probabilities[:20]
    assert [float.fromhex(risk) for risk in done.stdout.split()] == expected.tolist()


def test_a_run_that_cannot_train_registers_nothing(place: Place) -> None:
    other = replace(place.product, name="never-imported")
    with pytest.raises(EmptyLogError):
        train_product(other, place.home)
    assert resolve_champion("never-imported") is None
    experiment = mlflow.get_experiment_by_name("stillhere-never-imported")
    run = mlflow.MlflowClient().search_runs([experiment.experiment_id])[0]
    assert run.info.status == "FAILED"
    assert "has no events" in run.data.tags["stillhere.stopped_because"]


def test_a_registration_that_fails_is_taken_back(place: Place) -> None:
    client = mlflow.MlflowClient()
    name = registered_name("half-done")
    with pytest.raises(MlflowException):
        register_champion("half-done", "models:/m-that-is-not-there", run_id=place.outcome.run_id, tags={})
    assert [model for model in client.search_registered_models() if model.name == name] == []


def test_a_failed_registration_leaves_the_old_champion(place: Place) -> None:
    before = resolve_champion("tiny")
    with pytest.raises(MlflowException):
        register_champion("tiny", "models:/m-that-is-not-there", run_id=place.outcome.run_id, tags={})
    assert resolve_champion("tiny") == before


def test_a_second_model_becomes_champion_and_the_first_stays(place: Place, tmp_path: Path) -> None:
    uri = mlflow.MlflowClient().get_model_version(registered_name("tiny"), place.outcome.registration.version).source
    second = register_champion("tiny", uri, run_id=place.outcome.run_id, tags={"seed": "1"})
    try:
        folder = fetch_champion("tiny", tmp_path)
        assert folder == tmp_path / second.version
        assert int(second.version) > int(place.outcome.registration.version)
    finally:
        mlflow.MlflowClient().set_registered_model_alias(second.name, "champion", place.outcome.registration.version)


def test_the_next_training_keeps_the_ids_of_the_champions_segments(place: Place) -> None:
    before = place.outcome.trained.segments
    assert before is not None
    assert champion_segments("tiny") == before.model
    assert champion_segments("nobody") is None
    after = train_product(place.product, place.home, seed=2).trained.segments
    assert after is not None
    assert after.kept == before.model.ids
