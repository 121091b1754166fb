"""`bentoml serve` with two workers while MLflow's alias and policy.yaml move: no failed request, no restart, every receipt replays."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import httpx
import mlflow
import pytest

from serving import bootstrap
from serving.cli.processes import free_port
from serving.cli.stack import Stack, redis_server, service_and_worker
from tests.following_world import Sources, until
from tests.model.registered_models import RegisteredModels

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]

THRESHOLDS = (0.31, 0.47, 0.83)
CALLERS = 8


@dataclass
class Place:
    """What runs, and what it follows."""

    folder: Path
    sources: Sources
    models: RegisteredModels
    settings: bootstrap.Settings
    stack: Stack
    redis_url: str

    def decide(self, client: httpx.Client, user_id: str):
        answer = client.post("/v1/decisions", json={"user_id": user_id})
        assert answer.status_code == 200, answer.text
        return answer

    def versions(self, client):
        output = self.decide(client, "somebody").json()
        return output["versions"]["model"], output["threshold"]

    def is_served(self, client, version, threshold):
        """Whether both workers serve it, as far as twenty new connections can tell."""
        for _ in range(20):
            with httpx.Client(base_url=self.stack.api_url, timeout=30) as fresh:
                if self.versions(fresh) != (f"onboarding/{version}", threshold):
                    return False
        return True


@pytest.fixture(scope="module")
def place(onboarding, tmp_path_factory):
    folder = tmp_path_factory.mktemp("promotion")
    sources = Sources(folder, onboarding)
    uri = f"sqlite:///{folder}/mlflow.db"
    environment = {
        "MLFLOW_TRACKING_URI": uri,
        "STILLHERE_FOLLOW_S": "0.2",
        "STILLHERE_WORKERS": "2",
        "STILLHERE_EXPORT_EVERY_S": "0.2",
        "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("STILLHERE_REDIS_URL", raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        models = RegisteredModels(folder, onboarding, uri)
        for n_rounds in (20, 40):
            models.register(n_rounds=n_rounds)
        models.point("champion", "1")
        settings = bootstrap.settings_from_environment(home=sources.home.root, product=sources.product_folder)
        with redis_server(settings) as redis, service_and_worker(settings, redis.url, port=free_port(), log_delay_s=0.1) as stack:
            yield Place(folder, sources, models, settings, stack, redis.url)
    mlflow.set_tracking_uri(None)


@pytest.fixture
def client(place):
    with httpx.Client(base_url=place.stack.api_url, timeout=60) as http:
        yield http


def ask(place, caller, swaps_end):
    """Ask again and again, over a connection of one's own, until the swaps have ended."""
    answers = []
    with httpx.Client(base_url=place.stack.api_url, timeout=60) as client:
        while not swaps_end.is_set():
            answers.append(client.post("/v1/decisions", json={"user_id": f"user-{caller}-{len(answers) % 20}"}))
    return answers


def swap(place, client, swaps_end):
    """Move alias and policy, forth and back; each when both workers serve what was there before."""
    try:
        for threshold, version in zip((*THRESHOLDS, 0.31), "2121", strict=True):
            place.models.point("champion", version)
            place.sources.threshold(threshold)
            until(lambda threshold=threshold, version=version: place.is_served(client, version, threshold), f"{version} at {threshold}")
    finally:
        swaps_end.set()


def test_promotions_rollbacks_and_edits_fail_no_request_and_every_receipt_replays(place, client):
    swaps_end = Event()
    with ThreadPoolExecutor(CALLERS) as pool:
        callers = [pool.submit(ask, place, caller, swaps_end) for caller in range(CALLERS)]
        swap(place, client, swaps_end)
        answers = [answer for caller in callers for answer in caller.result(timeout=120)]
    assert {answer.status_code for answer in answers} == {200}
    pairs, thresholds = set(), {}
    opened = bootstrap.installation(place.settings, place.redis_url, asks_registry=False)
    replayers = {version: opened.replayer(version) for version in ("onboarding/1", "onboarding/2")}
    for answer in answers:
        output = answer.json()
        model, policy = output["versions"]["model"], output["versions"]["policy"]
        pairs.add((model, policy))
        thresholds.setdefault(policy, set()).add(output["threshold"])
        report = replayers[model].replay(opened.ledger.receipt("onboarding", output["decision_id"]))
        assert report.output == answer.content
        assert report.is_same
    opened.close()
    assert len(pairs) >= len(THRESHOLDS)
    assert all(len(of_policy) == 1 for of_policy in thresholds.values()), thresholds


def test_the_challenger_scores_live_traffic_and_decides_nothing(place, client):
    from serving.adapters.receipt_files import exported_scores
    from serving.shadow_summary import shadow_summary

    place.models.point("shadow", "2")
    place.models.point("champion", "1")
    until(lambda: place.versions(client)[0] == "onboarding/1")
    receipts_dir = place.sources.home.receipts_dir("onboarding")

    def compared():
        place.decide(client, "somebody")
        return [summary for summary in shadow_summary(exported_scores(receipts_dir)) if summary.shadow == "onboarding/2"]

    until(compared, "a comparison")
    (summary,) = [summary for summary in compared() if summary.champion == "onboarding/1"]
    assert summary.n_decisions >= 1
    assert summary.mean_difference != 0.0


def test_without_mlflow_what_was_served_goes_on(place, client):
    before = place.versions(client)
    database = place.folder / "mlflow.db"
    away = shutil.move(database, place.folder / "away.db")
    database.write_bytes(b"this is no database" * 500)
    try:
        until(lambda: client.get("/readyz").json()["checks"]["model"].startswith("kept: "))
        assert client.get("/readyz").status_code == 200
        assert place.versions(client) == before
        until(lambda: 'stillhere_follow_failures_total{what="registry"}' in client.get("/metrics").text)
        assert f'stillhere_model_info{{version="{before[0]}"}} 1.0' in client.get("/metrics").text
    finally:
        database.unlink()
        shutil.move(away, database)
    until(lambda: client.get("/readyz").json()["checks"]["model"] == "ok")


def test_one_fetcher_asks_for_both_workers(place):
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in descendants(place.stack.service.process.pid)]
    assert len([command for command in commands if b"serving.fetcher" in command]) == 1


def descendants(pid):
    children = {int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()}
    return children.union(*(descendants(child) for child in children))
