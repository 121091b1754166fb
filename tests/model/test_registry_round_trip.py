"""From a trained model through MLflow to a served bundle: recorded, registered, fetched, verified; and what happens when a step fails."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest

from features.backfill.raw_scan import data_fingerprint
from models.bundle import REGISTRATION, load_bundle
from serving.adapters.model_registry import CURRENT, RegistryError, fetch_champion, newest_local, resolve_champion
from tests.model.place import Place
from training.errors import EmptyLogError
from training.review import MODEL
from training.run import Options, train_product


def test_the_run_has_figures_plots_card_data_and_fingerprints(place: Place) -> None:
    client = mlflow.MlflowClient()
    run = client.get_run(place.outcome.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["model.auc"] == pytest.approx(place.outcome.trained.review.evaluations[MODEL].figures["auc"].value)
    assert run.data.tags["stillhere.feature_fingerprint"] == place.product.catalogue.fingerprint
    assert run.data.tags["stillhere.data_fingerprint"] == data_fingerprint(place.home.raw_dir(place.product.name))
    assert {each.path for each in client.list_artifacts(run.info.run_id)} == {"model_card.md", "thresholds.md", "plots", "tables"}
    assert {each.path for each in client.list_artifacts(run.info.run_id, "plots")} == {
        "plots/gain_by_segment.png",
        "plots/lift_gain.png",
        "plots/reliability.png",
        "plots/roc_pr.png",
        "plots/segments.png",
        "plots/shap_by_cause.png",
    }
    assert {each.path for each in client.list_artifacts(run.info.run_id, "tables")} == {
        f"tables/{name}.json" for name in ("cohorts", "horizons", "scorers", "segment_gains", "segments", "segments_k", "thresholds")
    }
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
    runs = mlflow.MlflowClient().search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FAILED"}
    parent = next(run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    assert "has no events" in parent.data.tags["stillhere.stopped_because"]
    assert parent.data.tags["stillhere.stopped_in"] == "dataset"


def test_the_next_training_waits_as_challenger_and_keeps_the_ids_of_the_champions_segments(place: Place) -> None:
    before = place.outcome.trained.segments
    assert before is not None
    after = train_product(place.product, place.home, seed=2, options=Options(timing=False))
    assert after.standing.alias == "challenger"  # the same rows again: not shown to be better
    assert resolve_champion("tiny").version == place.outcome.registration.version
    assert after.trained.segments is not None
    assert after.trained.segments.kept == before.model.ids
    assert list(after.trained.review.evaluations) == [MODEL, "champion", "logistic", "recency alone", "base rate"]
    run = mlflow.get_run(after.run_id)
    assert run.data.tags["stillhere.compared_with"] == place.outcome.registration.version
    assert run.data.tags["mlflow.runName"] == f"train v{after.registration.version} challenger"
    card = mlflow.artifacts.load_text(f"runs:/{after.run_id}/model_card.md")
    assert f"Against version {place.outcome.registration.version}" in card
    assert "- inputs: the same" in card


def test_every_stage_is_a_nested_run_with_its_duration(place: Place) -> None:
    parent = mlflow.get_run(place.outcome.run_id)
    children = mlflow.search_runs(
        [parent.info.experiment_id], filter_string=f"tags.mlflow.parentRunId = '{place.outcome.run_id}'", output_format="list"
    )
    names = {run.data.tags["stillhere.stage"] for run in children}
    assert names == {
        "dataset",
        "fit",
        "segments",
        "calibrate",
        "explain",
        "evaluate",
        "thresholds",
        "cause stability",
        "timing",
        "horizons",
        "register",
    }
    assert all(run.data.metrics["stage.seconds"] > 0 and run.info.status == "FINISHED" for run in children)
    fit = next(run for run in children if run.data.tags["stillhere.stage"] == "fit")
    assert fit.data.metrics["lightgbm.rounds"] == place.outcome.trained.fitted.rounds


def test_timing_is_a_stage_of_the_run_and_a_part_of_the_bundle(place: Place, tmp_path: Path) -> None:
    fitted = place.outcome.trained.timing
    assert fitted is not None
    metrics = mlflow.get_run(place.outcome.run_id).data.metrics
    assert metrics["timing.ibs"] == fitted.figures["ibs"]
    assert {"calibration.none_log_loss", "correction.shift", "correction.between_cohorts_sd", "alert.whole.threshold"} <= set(metrics)
    folder = fetch_champion("tiny", tmp_path)
    assert folder is not None
    kept = load_bundle(folder, place.product).timing
    assert kept is not None
    assert kept.hazard.edges_s == fitted.model.hazard.edges_s
    card = mlflow.artifacts.load_text(f"runs:/{place.outcome.run_id}/model_card.md")
    for said in ("## When people come back", "integrated Brier score", "## Base rate between weeks of joining", "### Whom to alert?"):
        assert said in card


def test_figures_come_by_horizon_and_by_segment(place: Place) -> None:
    metrics = mlflow.get_run(place.outcome.run_id).data.metrics
    own = "h5d"  # the product's own horizon
    assert metrics[f"model.auc.{own}"] == pytest.approx(metrics["model.auc"])
    assert metrics[f"test.dropout_rate.{own}"] == pytest.approx(metrics["slice.test.dropout_rate"], abs=1e-4)
    assert metrics["test.dropout_rate.h1d"] > metrics["test.dropout_rate.h3d"] > metrics[f"test.dropout_rate.{own}"]
    assert {"recency_alone.auc.h1d_low", "logistic.average_precision.h3d", "segment.learned.s1.auc"} <= set(metrics)


PRODUCT = """
version: 1
name: tiny
description: A small product.
kinds: {login: {}}
causes:
  silence: {sentence: Not used for a while.}
features:
  - {aggregation: seconds_since_last, of: login, cause: silence}
label:
  activity: login
  horizon: 5d
  spine: {every: 1d, start_after: 1d, stop_after: 40d, active_within: 7d}
"""
STAGES = ("reading the raw log", "building snapshots", "fitting LightGBM", "learning segments", "evaluating", "recording the run")


@pytest.mark.parametrize("stage", [*(pytest.param(stage, marks=pytest.mark.faults) for stage in STAGES), "registering"])
@pytest.mark.parametrize("reason", [KeyboardInterrupt, RuntimeError("out of memory")], ids=["ctrl-c", "exception"])
def test_a_run_stopped_in_any_stage_is_a_failed_run_and_nothing_else(place: Place, stage: str, reason: BaseException) -> None:
    def stop(name: str, share: float) -> None:
        if name == stage:
            raise reason

    client, name = mlflow.MlflowClient(), "stillhere-tiny"

    def registry() -> tuple[object, ...]:
        versions = client.search_model_versions(f"name = '{name}'")
        return [version.version for version in versions], resolve_champion("tiny"), client.get_registered_model(name).aliases

    before = registry()
    with pytest.raises((KeyboardInterrupt, RuntimeError)):
        train_product(place.product, place.home, seed=1, options=Options(timing=False), report=stop)
    assert registry() == before
    experiment = mlflow.get_experiment_by_name(name)
    stopped = client.search_runs([experiment.experiment_id], "tags.mlflow.runName = 'train'")
    newest = max(stopped, key=lambda run: run.info.start_time)
    assert newest.info.status == "FAILED"
    assert newest.data.tags["stillhere.stopped_because"] in {"out of memory", "interrupted (KeyboardInterrupt)"}
    assert mlflow.active_run() is None


def test_a_registry_that_is_away_is_said_in_one_sentence(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.commands.app import run

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # it is as far away at the third try
    (tmp_path / "product.yaml").write_text(PRODUCT)
    (tmp_path / "garbage.db").write_bytes(b"this is no database" * 500)
    for uri in (f"sqlite:///{tmp_path}/garbage.db", "http://127.0.0.1:1"):
        mlflow.set_tracking_uri(uri)
        try:
            assert run(["promote", "--product", str(tmp_path), "--home", str(tmp_path / "home")]) == 1
        finally:
            mlflow.set_tracking_uri(f"sqlite:///{place.folder}/mlflow.db")
        said = " ".join(capsys.readouterr().err.split())
        assert "stopped:" in said
        assert f"MLflow at {uri} answered" in said
        assert "Traceback" not in said
