"""The process that asks MLflow, and what it keeps beside the bundles."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from features.home import Home
from models.bundle import load_bundle, verify_bundle
from serving import fetcher
from serving.adapters.model_registry import CURRENT, SHADOW_FILE, RegistryError, fetch_alias, newest_local, pointed_at
from serving.adapters.registry_process import RegistryProcess, read_look
from tests.following_world import until
from tests.model.registered_models import RegisteredModels


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """A store with its schema, which takes seconds to make."""
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    mlflow.MlflowClient(tracking_uri=f"sqlite:///{file}", registry_uri=f"sqlite:///{file}").search_registered_models()
    return file


@pytest.fixture
def models(empty_store, tmp_path, onboarding, monkeypatch):
    """Two versions; the first is the champion."""
    shutil.copyfile(empty_store, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]))
    mlflow.set_tracking_uri(uri)
    models = RegisteredModels(tmp_path, onboarding, uri)
    for n_rounds in (10, 20):
        models.register(n_rounds=n_rounds)
    models.point("champion", "1")
    yield models
    mlflow.set_tracking_uri(None)


@pytest.fixture
def bundles(tmp_path):
    return tmp_path / "bundles"


def test_what_each_alias_points_at_is_fetched_and_what_was_fetched_stays(models, bundles, onboarding):
    models.point("shadow", "2")
    assert fetcher.look("onboarding", bundles) is None
    assert (pointed_at(bundles / CURRENT), pointed_at(bundles / SHADOW_FILE)) == (bundles / "1", bundles / "2")
    assert load_bundle(bundles / "2", onboarding).version == "onboarding/2"
    models.point("champion", "2")
    fetcher.look("onboarding", bundles)
    assert pointed_at(bundles / CURRENT) == bundles / "2"
    verify_bundle(bundles / "1")  # receipts name it
    models.point("champion", "1")
    fetcher.look("onboarding", bundles)
    assert pointed_at(bundles / CURRENT) == bundles / "1"


def test_an_alias_that_was_taken_away_points_at_nothing(models, bundles):
    fetch_alias("onboarding", "champion", bundles)
    models.withdraw("champion")
    fetch_alias("onboarding", "champion", bundles)
    assert json.loads((bundles / CURRENT).read_text()) == {"version": None, "folder": None}
    assert newest_local(bundles) is None


def test_a_registry_that_never_heard_of_the_model_takes_nothing_away(models, bundles, empty_store):
    fetch_alias("onboarding", "champion", bundles)
    mlflow.set_tracking_uri(f"sqlite:///{empty_store}")
    fetch_alias("onboarding", "champion", bundles)
    assert pointed_at(bundles / CURRENT) == newest_local(bundles) == bundles / "1"


def test_a_bundle_that_is_corrupt_at_its_source_is_refused_and_the_pointer_stays(models, bundles, tmp_path):
    fetch_alias("onboarding", "champion", bundles)
    (tmp_path / "model-20" / "artifacts" / "bundle" / "model.txt").write_text("broken")
    models.point("champion", "2")
    assert "model.txt has SHA-256" in fetcher.look("onboarding", bundles)
    assert pointed_at(bundles / CURRENT) == bundles / "1"
    assert not (bundles / "2").exists()


def test_a_whole_bundle_of_another_database_is_put_aside(models, bundles):
    fetch_alias("onboarding", "champion", bundles)
    registration = bundles / "1" / "registration.json"
    registration.write_text(json.dumps({**json.loads(registration.read_text()), "run_id": "of another database"}))
    fetch_alias("onboarding", "champion", bundles)
    (aside,) = bundles.glob("1.before-*")
    verify_bundle(aside)
    assert json.loads((aside / "registration.json").read_text())["run_id"] == "of another database"


def test_a_registry_that_is_away_is_said_and_nothing_changes(models, bundles, tmp_path):
    fetch_alias("onboarding", "champion", bundles)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/nowhere.db")
    assert "nowhere.db is not there" in fetcher.look("onboarding", bundles)
    with pytest.raises(RegistryError):
        fetch_alias("onboarding", "shadow", bundles)
    assert pointed_at(bundles / CURRENT) == bundles / "1"


def test_a_damaged_pointer_is_an_error_that_names_it(tmp_path):
    (tmp_path / CURRENT).write_text("[]")
    with pytest.raises(ValueError, match=r"current\.json holds no"):
        pointed_at(tmp_path / CURRENT)


@pytest.fixture
def services(models, bundles):
    """Two services over one folder of bundles, as two processes would be."""
    services = [RegistryProcess(product="onboarding", bundles_dir=bundles, every_s=0.05, is_there=lambda: True) for _ in range(2)]
    yield services
    for service in services:
        service.close()


@pytest.mark.faults
@pytest.mark.timeout(180)
def test_one_fetcher_serves_all_and_the_other_service_takes_over(services, models, bundles):
    first, second = services
    for service in services:
        service.keep()
    for service in services:
        service.wait_for_first_look(60)
    assert first._process is not None
    assert second._process is None
    assert pointed_at(bundles / CURRENT) == bundles / "1"
    models.point("champion", "2")
    until(lambda: pointed_at(bundles / CURRENT) == bundles / "2")
    assert (first.fault(), second.fault()) == (None, None)
    first._process.stdin.close()  # what the end of the first service's process does
    first._process.wait(timeout=30)
    first.close()
    second.keep()
    assert second._process is not None
    models.point("champion", "1")
    until(lambda: pointed_at(bundles / CURRENT) == bundles / "1")
    until(lambda: read_look(bundles).pid == second._process.pid)


@pytest.mark.faults
@pytest.mark.timeout(240)
def test_a_service_that_does_not_follow_asks_once_at_its_start_and_has_no_mlflow_in_it(models, tmp_path, redis_url):
    script = """if True:
        import sys
        from serving import bootstrap
        settings = bootstrap.settings_from_environment()
        opened = bootstrap.installation(settings, settings.redis_url)
        following = bootstrap.follow(opened)
        print(following.decider.service.versions["model"], following.registry._process.wait(timeout=60), following.faults())
        assert "mlflow" not in sys.modules
        following.close()
        opened.close()
    """
    ours = {"STILLHERE_HOME": str(tmp_path), "STILLHERE_FOLLOW_S": "0", "STILLHERE_REDIS_URL": redis_url}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env={**os.environ, **ours}, capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[0] == "onboarding/1 0 {}", done.stderr
    assert done.returncode == 0, done.stderr
    assert pointed_at(Home(tmp_path).bundles_dir("onboarding") / CURRENT).name == "1"


def test_a_fetcher_that_ends_is_told_and_started_again_after_a_while(bundles):
    now_s = [0.0]
    service = RegistryProcess(product="onboarding", bundles_dir=bundles, every_s=60.0, is_there=lambda: True, clock_s=lambda: now_s[0])
    try:
        service.keep()
        killed = service._process
        killed.kill()
        killed.wait(timeout=30)
        service.keep()
        assert service._process is killed  # not at once: what ends at once ends again
        assert "ended with code -9" in service.fault()
        now_s[0] += 61.0
        service.keep()
        assert service._process.pid != killed.pid
    finally:
        service.close()
