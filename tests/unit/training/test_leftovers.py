"""The next run of a product ends what a killed process left, and touches nothing that may still go on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mlflow
import pytest

from tests.mlflow_store import working_in
from tests.small_model import write_small_bundle
from tests.unit.training import synthetic
from training.leftovers import WITHOUT_A_SIGN, WITHOUT_A_WORD
from training.process_mark import PROCESS, mark
from training.registry import UNFINISHED, registered_name, version_of
from training.tracked import tracked_run
from training.tracking import NOTE_TAG, PARENT, STAGE_TAG, STOPPED, STOPPED_IN, experiment_name, prepare_tracking

ELSEWHERE = "elsewhere-0a1b2c3d 4711 5d0c1e2f 9127.35"


@pytest.fixture(scope="module", autouse=True)
def _store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("leftovers")
    with working_in(folder):
        prepare_tracking()
        yield


@pytest.fixture(scope="module")
def dead() -> str:
    """Mark of a process that has ended."""
    script = "from training.process_mark import *; print(mark()[PROCESS])"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def client() -> mlflow.MlflowClient:
    return mlflow.MlflowClient()


def left(client: mlflow.MlflowClient, product: str, process: str, **tags: str) -> str:
    """A run as it stays of the process."""
    experiment = client.get_experiment_by_name(experiment_name(product))
    experiment_id = client.create_experiment(experiment_name(product)) if experiment is None else experiment.experiment_id
    return str(client.create_run(experiment_id, tags={PROCESS: process} | tags).info.run_id)


def the_next_run(product: str) -> None:
    with tracked_run(synthetic.product(product), "drift"):
        pass


def test_runs_of_a_process_that_is_gone_are_killed_with_what_is_nested_in_them(client: mlflow.MlflowClient, dead: str) -> None:
    parent = left(client, "gone", dead)
    nested = left(client, "gone", dead, **{PARENT: parent, STAGE_TAG: "fit"})
    the_next_run("gone")
    for run_id in (parent, nested):
        run = client.get_run(run_id)
        assert (run.info.status, run.data.tags[STOPPED]) == ("KILLED", WITHOUT_A_WORD)
        assert run.info.end_time is not None
    assert client.get_run(parent).data.tags[STOPPED_IN] == "fit"


def test_a_parent_that_mlflow_run_called_failed_is_told_why(client: mlflow.MlflowClient, dead: str) -> None:
    parent = left(client, "called", dead)
    client.set_terminated(parent, "FAILED")
    left(client, "called", dead, **{PARENT: parent, STAGE_TAG: "register"})
    the_next_run("called")
    run = client.get_run(parent)
    assert (run.info.status, run.data.tags[STOPPED], run.data.tags[STOPPED_IN]) == ("FAILED", WITHOUT_A_WORD, "register")


def test_runs_of_the_living_of_other_hosts_and_of_no_mark_go_on(client: mlflow.MlflowClient) -> None:
    going_on = [left(client, "living", process) for process in (mark()[PROCESS], ELSEWHERE, "somebody's own words")]
    the_next_run("living")
    assert {client.get_run(run_id).info.status for run_id in going_on} == {"RUNNING"}


def unmarked(client: mlflow.MlflowClient, product: str, *, hours_ago: float, **tags: str) -> str:
    """A run as an earlier release left it."""
    experiment = client.get_experiment_by_name(experiment_name(product))
    experiment_id = client.create_experiment(experiment_name(product)) if experiment is None else experiment.experiment_id
    return str(client.create_run(experiment_id, start_time=ms_ago(hours_ago), tags=tags).info.run_id)


def ms_ago(hours: float) -> int:
    return int((datetime.now(UTC) - timedelta(hours=hours)).timestamp() * 1000)


OURS = {"stillhere.data_fingerprint": "0a1b"}


def test_runs_of_earlier_releases_that_gave_no_sign_for_two_days_are_killed_and_say_why(client: mlflow.MlflowClient) -> None:
    parent = unmarked(client, "early", hours_ago=60)  # its tags came last; what is nested in it shows whose it is
    nested = unmarked(client, "early", hours_ago=59, **{PARENT: parent, STAGE_TAG: "fit"})
    alone = unmarked(client, "early", hours_ago=49, **OURS)
    client.log_metric(alone, "auc", 0.8, timestamp=ms_ago(48.5))
    the_next_run("early")
    for run_id in (parent, nested, alone):
        run = client.get_run(run_id)
        assert (run.info.status, run.data.tags[STOPPED]) == ("KILLED", WITHOUT_A_SIGN)
    assert client.get_run(parent).data.tags[STOPPED_IN] == "fit"


def test_runs_that_name_no_process_go_on_while_they_may_live_or_are_not_ours(client: mlflow.MlflowClient) -> None:
    young = unmarked(client, "young", hours_ago=47, **OURS)
    logs = unmarked(client, "young", hours_ago=99, **OURS)
    client.log_metric(logs, "auc", 0.8, timestamp=ms_ago(90))
    client.log_metric(logs, "auc", 0.8, timestamp=ms_ago(1))
    goes_on = unmarked(client, "young", hours_ago=99, **OURS)
    stage = unmarked(client, "young", hours_ago=98, **{PARENT: goes_on, STAGE_TAG: "tune"})
    unmarked(client, "young", hours_ago=2, **{PARENT: stage})
    somebodys = unmarked(client, "young", hours_ago=999, team="another")
    elsewhere = unmarked(client, "young", hours_ago=999, **OURS, **{PROCESS: ELSEWHERE})
    the_next_run("young")
    assert {client.get_run(run_id).info.status for run_id in (young, logs, goes_on, stage, somebodys, elsewhere)} == {"RUNNING"}


def test_another_experiment_is_left_alone(client: mlflow.MlflowClient, dead: str) -> None:
    other = left(client, "other", dead)
    the_next_run("this")
    assert client.get_run(other).info.status == "RUNNING"


@pytest.mark.parametrize("alias", ["champion", "challenger", None])
def test_a_version_without_a_place_goes_and_one_with_a_place_is_finished(
    client: mlflow.MlflowClient, dead: str, tmp_path: Path, alias: str | None
) -> None:
    product = f"version-{alias}"
    write_small_bundle(synthetic.product(), tmp_path / "model" / "artifacts" / "bundle", n_rounds=2)
    name, source = registered_name(product), (tmp_path / "model").as_uri()
    client.create_registered_model(name)
    run_id = left(client, product, dead, **{NOTE_TAG: "what was found"})
    for process in (dead, ELSEWHERE, mark()[PROCESS]):
        client.create_model_version(name, source, run_id=run_id, tags={UNFINISHED: process}, description="not finished")
    if alias is not None:
        client.set_registered_model_alias(name, alias, "1")
    the_next_run(product)
    found = version_of(name, "1")
    if alias is None:
        assert found is None
    else:
        assert found is not None
        assert UNFINISHED not in found.tags
        assert client.get_model_version(name, "1").description == "what was found"
    for version in ("2", "3"):
        assert client.get_model_version(name, version).description == "not finished"
