"""The run that `mlflow run` starts for a command says what became of it, also where the command stopped before it recorded anything."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest

from tests.model.registered_models import RegisteredModels
from training.commands.app import run
from training.registry import REPLACES, registered_name
from training.tracking import STOPPED, prepare_tracking

PRODUCT = str(Path(__file__).resolve().parents[2] / "products" / "onboarding")
RANDOM = "angry-lark-722"


@pytest.fixture(scope="module")
def models(tmp_path_factory, onboarding):
    """A registry with two versions, the second one champion; it replaced the first."""
    folder = tmp_path_factory.mktemp("moves")
    mlflow.set_tracking_uri(uri := f"sqlite:///{folder}/mlflow.db")
    prepare_tracking()
    mlflow.set_experiment(experiment_id="0")  # as in a process of its own: MLflow remembers what other tests chose
    models = RegisteredModels(folder, onboarding, uri)
    for n_rounds in (20, 40):
        models.register(n_rounds=n_rounds)
    yield models
    mlflow.set_tracking_uri(None)


@pytest.fixture
def client(models):
    """The registry as it was at first."""
    client, name = mlflow.MlflowClient(), registered_name("onboarding")
    models.point("champion", "2")
    client.set_model_version_tag(name, "2", REPLACES, "1")
    client.set_model_version_tag(name, "1", REPLACES, "")
    return client


def run_as_mlflow_does(client, monkeypatch, *arguments, name=RANDOM, product=PRODUCT):
    """The exit code, and the run as the command left it."""
    started = client.create_run("0", run_name=name)
    monkeypatch.setenv("MLFLOW_RUN_ID", started.info.run_id)
    code = run([*arguments, "--product", product])
    left = client.get_run(started.info.run_id)
    return code, left.data.tags["mlflow.runName"], left.data.tags.get(STOPPED, "")


def test_a_refused_rollback_is_called_so_and_says_why(client, monkeypatch):
    assert run_as_mlflow_does(client, monkeypatch, "promote", "--rollback") == (0, "rollback v2 to v1", "")
    code, name, why = run_as_mlflow_does(client, monkeypatch, "promote", "--rollback")
    assert (code, name) == (1, "rollback refused")
    assert "champion version 1 of stillhere-onboarding replaced no other" in why


@pytest.mark.parametrize(
    ("arguments", "name", "why"),
    [
        (["promote", "--shadow", "9"], "shadow refused", "no version or alias 9"),
        (["promote", "--version", "9"], "promote refused", "no version or alias 9"),
        (["promote", "--version", "2"], "promote refused", "champion already"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_whatever_is_refused_before_it_began_has_a_name_and_a_reason(client, monkeypatch, arguments, name, why):
    code, called, said = run_as_mlflow_does(client, monkeypatch, *arguments)
    assert (code, called) == (1, name)
    assert why in said


def test_a_product_that_is_not_there_is_said_in_the_run_too(client, monkeypatch):
    code, name, why = run_as_mlflow_does(client, monkeypatch, "evaluate", product="/nowhere")
    assert (code, name, "/nowhere" in why) == (2, "evaluate refused", True)


def test_a_shadow_is_no_nameless_run_either_and_a_chosen_name_stays(client, monkeypatch):
    assert run_as_mlflow_does(client, monkeypatch, "promote", "--shadow", "1")[:2] == (0, "shadow v1")
    assert run_as_mlflow_does(client, monkeypatch, "promote", "--shadow", "none", name="my own")[:2] == (0, "my own")


def test_a_simulation_has_a_name_too_and_says_why_it_was_refused(client, monkeypatch, tmp_path):
    arguments = ["simulate", "--folder", str(tmp_path), "--users", "20"]
    assert run_as_mlflow_does(client, monkeypatch, *arguments) == (0, "simulate", "")
    code, name, why = run_as_mlflow_does(client, monkeypatch, *arguments, "--end", "yesterday")
    assert (code, name, "expected an ISO date" in why) == (1, "simulate refused", True)


def test_without_mlflow_run_a_move_makes_no_run(client, monkeypatch):
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    before = len(client.search_runs(everywhere))
    assert run(["promote", "--rollback", "--product", PRODUCT]) == 0
    assert run(["promote", "--rollback", "--product", PRODUCT]) == 1
    assert len(client.search_runs(everywhere)) == before
