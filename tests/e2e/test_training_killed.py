"""A training that is killed, or told to stop, at any step: nothing half-done stays, at the latest after the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pytest

from features.declarations.product_file import load_product
from features.home import Home
from tests.e2e.test_training import PRODUCT, ROOT
from tests.unit.training import synthetic
from training.leftovers import WITHOUT_A_WORD
from training.registry import UNFINISHED
from training.tracking import STAGE_TAG, STOPPED, STOPPED_IN

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]

NAME = "stillhere-tiny"
STOPPED_AT = """
import os, signal, sys
import mlflow

moment, told, *arguments = sys.argv[1:]
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may have these ignored
signal.signal(signal.SIGHUP, signal.SIG_DFL)
create_run, set_alias = mlflow.MlflowClient.create_run, mlflow.MlflowClient.set_registered_model_alias

def stop():
    if told == "wait":
        print("waiting", flush=True)
        sys.stdin.readline()
    else:
        os.kill(os.getpid(), signal.Signals[told])

def stop_as_a_stage_begins(self, *positional, **named):
    made = create_run(self, *positional, **named)
    if named.get("run_name") == moment:
        stop()
    return made

def stop_at_the_last_step(self, *positional):
    if moment == "place":
        stop()
    set_alias(self, *positional)
    if moment == "after":
        stop()

def stop_in_the_midst(*positional, **named):
    if moment == "within fit":
        stop()
    return train(*positional, **named)

mlflow.MlflowClient.create_run = stop_as_a_stage_begins
mlflow.MlflowClient.set_registered_model_alias = stop_at_the_last_step
if moment == "within fit":
    import lightgbm
    train, lightgbm.train = lightgbm.train, stop_in_the_midst
from training.commands.app import run
sys.exit(run(arguments))
"""
"""Runs a command as ``python -m training`` does, and stops at a moment: a nested run just made, or the alias not yet set."""


@dataclass(frozen=True)
class Shop:
    """A product with a log, and an MLflow store of its own."""

    folder: Path
    client: mlflow.MlflowClient

    def begin(self, moment: str = "", told: str = "", *options: str) -> subprocess.Popen[str]:
        """Begin a training that is stopped at a moment."""
        shell = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        environment = shell | {"MLFLOW_TRACKING_URI": f"sqlite:///{self.folder}/mlflow.db", "PYTHONPATH": str(ROOT)}
        home = self.folder / "home"
        sizes = ("--product", str(self.folder), "--home", str(home), "--stale-after-days=0", "--no-timing", "--max-rounds=10")
        command = [sys.executable, "-c", STOPPED_AT, moment, told, "train", *sizes, *options]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def train(self, moment: str = "", told: str = "", *options: str) -> tuple[int, str]:
        """Train; exit code and what was said on stderr."""
        with self.begin(moment, told, *options) as process:
            _, said = process.communicate(timeout=300)
        return process.returncode, said

    def runs(self) -> dict[str, mlflow.entities.Run]:
        """Runs of the newest training: itself as "", stages by name."""
        experiment = self.client.get_experiment_by_name(NAME)
        found = self.client.search_runs([experiment.experiment_id])
        newest = max((run for run in found if STAGE_TAG not in run.data.tags), key=lambda run: run.info.start_time)
        mine = [run for run in found if run.data.tags.get("mlflow.parentRunId") == newest.info.run_id]
        return {run.data.tags[STAGE_TAG]: run for run in mine} | {"": newest}

    def again(self, run: mlflow.entities.Run) -> mlflow.entities.Run:
        """The run as it is now."""
        return self.client.get_run(run.info.run_id)

    def versions(self) -> list[str]:
        return sorted(str(version.version) for version in self.client.search_model_versions(f"name = '{NAME}'"))

    def aliases(self) -> dict[str, str]:
        return {alias: str(version) for alias, version in self.client.get_registered_model(NAME).aliases.items()}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    (tmp_path / "product.yaml").write_text(PRODUCT)
    synthetic.fill(Home(tmp_path / "home"), load_product(tmp_path), n_users=150, n_days=60, seed=5)
    return Shop(folder=tmp_path, client=mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db"))


def test_a_training_killed_before_its_version_has_a_place_is_tidied_by_the_next(shop: Shop) -> None:
    code, _ = shop.train("place", "SIGKILL")
    assert code == -signal.SIGKILL
    half = shop.client.get_model_version(NAME, "1")
    assert UNFINISHED in half.tags
    assert half.description.startswith("**Not finished.**")
    killed = shop.runs()
    assert {killed[""].info.status, killed["register"].info.status} == {"RUNNING"}
    code, said = shop.train()
    assert code == 0, said
    assert (shop.versions(), shop.aliases()) == (["2"], {"champion": "2"})
    for run in (killed[""], killed["register"]):
        now = shop.again(run)
        assert (now.info.status, now.data.tags[STOPPED]) == ("KILLED", WITHOUT_A_WORD)
    assert shop.again(killed[""]).data.tags[STOPPED_IN] == "register"
    assert {run.info.status for run in shop.runs().values()} == {"FINISHED"}
    whole = shop.client.get_model_version(NAME, "2")
    assert UNFINISHED not in whole.tags
    assert whole.description == shop.runs()[""].data.tags["mlflow.note.content"]
    assert whole.description.startswith("**Trained without a champion**: there was no champion. What the version is now, its aliases say.")


def test_a_training_that_is_told_to_stop_ends_in_order_also_with_a_version_half_registered(shop: Shop) -> None:
    code, said = shop.train("place", "SIGTERM")
    assert (code, "stopped: interrupted (SIGTERM)" in said, "Traceback" in said) == (143, True, False)
    runs = shop.runs()
    assert {runs[""].info.status, runs["register"].info.status} == {"FAILED"}
    assert (runs[""].data.tags[STOPPED], runs[""].data.tags[STOPPED_IN]) == ("interrupted (SIGTERM)", "register")
    assert shop.client.search_registered_models() == []


@pytest.mark.parametrize("told", ["SIGTERM", "SIGINT", "SIGKILL"])
@pytest.mark.parametrize("moment", ["dataset", "within fit", "explain", "evaluate", "register"])
def test_stopped_anywhere_no_run_goes_on_after_the_next_training(shop: Shop, moment: str, told: str) -> None:
    code, said = shop.train(moment, told)
    assert code == {"SIGTERM": 143, "SIGINT": 130, "SIGKILL": -9}[told], said
    stopped, stage = shop.runs(), moment.removeprefix("within ")
    if told != "SIGKILL":
        assert f"stopped: interrupted ({told})" in said
        assert {run.info.status for run in stopped.values()} <= {"FAILED", "FINISHED"}
    assert shop.train()[0] == 0
    now = {name: shop.again(run) for name, run in stopped.items()}
    ended, why = ("KILLED", WITHOUT_A_WORD) if told == "SIGKILL" else ("FAILED", f"interrupted ({told})")
    assert now[""].info.status == now[stage].info.status == ended
    assert (now[""].data.tags[STOPPED], now[""].data.tags[STOPPED_IN]) == (why, stage)
    assert (shop.versions(), shop.aliases()) == (["1"], {"champion": "1"})


def test_killed_right_after_it_was_given_its_place_a_version_stays_and_is_finished(shop: Shop) -> None:
    assert shop.train("after", "SIGKILL")[0] == -signal.SIGKILL
    assert shop.aliases() == {"champion": "1"}
    killed = shop.runs()[""]
    assert shop.train()[0] == 0
    version = shop.client.get_model_version(NAME, "1")
    assert UNFINISHED not in version.tags
    assert version.description == shop.again(killed).data.tags["mlflow.note.content"]
    assert shop.aliases() == {"champion": "1", "challenger": "2"}


def test_two_trainings_at_once_do_not_tidy_each_other(shop: Shop) -> None:
    with shop.begin("place", "wait", "--promote", "never") as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "waiting\n"  # its version is there, and has no place
        code, said = shop.train("", "", "--promote", "never")
        assert code == 0, said
        assert shop.versions() == ["1", "2"]
        _, said = first.communicate("go on\n", timeout=300)
    assert first.returncode == 0, said
    assert (shop.versions(), shop.aliases()) == (["1", "2"], {"challenger": "1"})
    experiment = shop.client.get_experiment_by_name(NAME)
    assert {run.info.status for run in shop.client.search_runs([experiment.experiment_id])} == {"FINISHED"}
