"""A stage is a nested run; wherever it is interrupted, neither it nor its parent goes on in MLflow."""

from __future__ import annotations

from collections.abc import Iterator

import mlflow
import pytest

from tests.mlflow_store import working_in
from training.stages import mlflow_stage
from training.tracking import PARENT, STAGE_TAG, STOPPED, STOPPED_IN, prepare_tracking, run_of


@pytest.fixture(scope="module", autouse=True)
def _store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("stages")
    with working_in(folder):
        prepare_tracking()
        yield


def runs_of(run_id: str) -> dict[str, mlflow.entities.Run]:
    """The run as "", and its stages by name."""
    parent = mlflow.get_run(run_id)
    nested = mlflow.MlflowClient().search_runs([parent.info.experiment_id], f"tags.`{PARENT}` = '{run_id}'")
    return {run.data.tags.get(STAGE_TAG, ""): run for run in (parent, *nested)}


def test_a_stage_has_its_duration_and_its_figures() -> None:
    with run_of("tiny", "train") as run_id, mlflow_stage("fit") as note:
        note({"fit.rounds": 40.0})
    runs = runs_of(run_id)
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert runs["fit"].data.metrics["fit.rounds"] == 40
    assert runs["fit"].data.metrics["stage.seconds"] >= 0


def fit(moment: str) -> None:
    with mlflow_stage("dataset"):
        pass
    with mlflow_stage("fit"):
        if moment == "within":
            raise KeyboardInterrupt


@pytest.mark.parametrize("moment", ["before it is made", "after it is made", "after it is entered", "within"])
def test_an_interruption_at_any_moment_of_a_stage_ends_both_runs_and_names_the_stage(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    create, start = mlflow.MlflowClient.create_run, mlflow.start_run

    def create_run(self: mlflow.MlflowClient, *args: object, **named: object) -> object:
        is_it = named.get("run_name") == "fit"
        if is_it and moment == "before it is made":
            raise KeyboardInterrupt
        made = create(self, *args, **named)
        if is_it and moment == "after it is made":
            raise KeyboardInterrupt
        return made

    def start_run(*args: object, **named: object) -> object:
        begun = start(*args, **named)
        if named.get("run_name") == "fit" and moment == "after it is entered":
            raise KeyboardInterrupt
        return begun

    monkeypatch.setattr(mlflow.MlflowClient, "create_run", create_run)
    monkeypatch.setattr(mlflow, "start_run", start_run)
    with pytest.raises(KeyboardInterrupt), run_of("tiny", "train") as run_id:
        fit(moment)
    runs = runs_of(run_id)
    assert runs[""].info.status == "FAILED"
    assert runs[""].data.tags[STOPPED] == "interrupted (KeyboardInterrupt)"
    assert runs[""].data.tags[STOPPED_IN] == "fit"
    assert runs["dataset"].info.status == "FINISHED"
    assert ("fit" in runs) == (moment != "before it is made")
    assert "fit" not in runs or runs["fit"].info.status == "FAILED"
    assert mlflow.active_run() is None


def test_an_interruption_while_the_run_itself_begins_leaves_none_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    start = mlflow.start_run

    def start_run(*args: object, **named: object) -> object:
        start(*args, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(mlflow, "start_run", start_run)
    with pytest.raises(KeyboardInterrupt), run_of("tiny", "train"):
        pass
    assert mlflow.active_run() is None
    last = mlflow.last_active_run()
    assert last is not None
    assert (last.info.status, last.data.tags[STOPPED]) == ("FAILED", "interrupted (KeyboardInterrupt)")
