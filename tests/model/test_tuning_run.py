"""A search through MLflow: one run, one nested in it for each trial, and a file that train accepts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

from features.core.product import Product
from features.home import Home
from tests.mlflow_store import working_in
from tests.unit.training import synthetic
from training.errors import EmptyLogError
from training.parameters_file import read_parameters
from training.run import Options, train_product
from training.tune import Search
from training.tuning_run import TuningOutcome, tune_product

N_TRIALS = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an MLflow store of its own."""
    folder = tmp_path_factory.mktemp("tuning")
    with working_in(folder):
        yield folder


@pytest.fixture(scope="module")
def world(folder: Path) -> tuple[Product, Home]:
    """The synthetic product and its log."""
    product, home = synthetic.product(), synthetic.home_at(folder)
    synthetic.fill(home, product, n_users=300, n_days=60, seed=5)
    return product, home


@pytest.fixture(scope="module")
def outcome(world: tuple[Product, Home]) -> TuningOutcome:
    """One search."""
    return tune_product(*world, Search(n_trials=N_TRIALS, seed=1))


def nested_in(run_id: str) -> list[mlflow.entities.Run]:
    client = mlflow.MlflowClient()
    experiment = client.get_run(run_id).info.experiment_id
    return client.search_runs([experiment], filter_string=f"tags.`mlflow.parentRunId` = '{run_id}'")


def test_every_trial_is_a_run_inside_the_search(outcome: TuningOutcome) -> None:
    runs = nested_in(outcome.run_id)
    assert {run.info.run_name for run in runs} == {f"trial {i}" for i in range(N_TRIALS)}
    losses = {run.info.run_name: run.data.metrics["tune.log_loss"] for run in runs}
    assert losses["trial 0"] == pytest.approx(outcome.tuned.base_log_loss)
    assert all("lightgbm.num_leaves" in run.data.params for run in runs)


def test_the_search_keeps_its_table_and_its_answer(outcome: TuningOutcome) -> None:
    client = mlflow.MlflowClient()
    run = client.get_run(outcome.run_id)
    assert {"stillhere.data_fingerprint", "stillhere.rows_fingerprint", "stillhere.feature_fingerprint"} <= set(run.data.tags)
    assert len(run.inputs.dataset_inputs) == 1
    assert run.info.status == "FINISHED"
    assert run.data.metrics["tune.trials"] == N_TRIALS
    kept = {each.path for each in client.list_artifacts(outcome.run_id, "tuning")}
    assert kept == {"tuning/trials.json", f"tuning/{outcome.path.name}"}
    assert read_parameters(outcome.path) == outcome.tuned.parameters


def test_training_may_search_first(world: tuple[Product, Home]) -> None:
    product, home = world
    trained = train_product(product, home, seed=1, options=Options(timing=False, tune_trials=2))
    trials = [run for run in nested_in(trained.run_id) if (run.info.run_name or "").startswith("trial ")]
    assert len(trials) == 2
    assert trained.trained.parameters.explanation_cost > 0


def test_a_search_without_a_log_is_a_failed_run_that_says_why(folder: Path) -> None:
    product, home = synthetic.product("empty"), Home(folder / "elsewhere")
    home.raw_dir(product.name).mkdir(parents=True)
    with pytest.raises(EmptyLogError):
        tune_product(product, home, Search(n_trials=1))
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("stillhere-empty")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED"
    assert "has no events" in run.data.tags["stillhere.stopped_because"]
