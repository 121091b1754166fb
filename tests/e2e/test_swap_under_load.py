"""Policy and champion change again and again under load: no request fails, and every answer is of one policy and one model."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest
from prometheus_client import CollectorRegistry

from features.core.event import Event, to_us
from features.core.timeline import timeline_from_events
from serving import bootstrap
from serving.settings import read_settings
from tests.following_world import Sources, until
from tests.serving_world import PATIENT

THRESHOLDS = (0.31, 0.47, 0.83)
CALLERS = 16


@dataclass
class Running:
    """A service in this process that follows, and what it follows."""

    sources: Sources
    opened: bootstrap.Installation
    app: Any
    metrics: CollectorRegistry

    def http(self):
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://stillhere", timeout=60)

    def get(self, path):
        async def call():
            async with self.http() as client:
                return await client.get(path)

        return asyncio.run(call())

    def decide(self, *user_ids):
        async def call():
            async with self.http() as client:
                return await client.post("/v1/decisions", json=[{"user_id": user_id} for user_id in user_ids])

        answer = asyncio.run(call())
        assert answer.status_code == 200, answer.text
        return answer.json()

    def versions(self):
        return self.decide("somebody")[0]["versions"]

    def threshold(self):
        return self.decide("somebody")[0]["threshold"]


@pytest.fixture
def running(onboarding, redis_url, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none.db")
    sources = Sources(tmp_path, onboarding)
    for version in (1, 2):
        sources.bundle(version, n_rounds=20 * version)
    sources.point(1)
    environment = {"STILLHERE_HOME": str(sources.home.root), "STILLHERE_PRODUCT": str(sources.product_folder)}
    settings = read_settings({**environment, **PATIENT, "STILLHERE_FOLLOW_S": "0.01"})
    opened = bootstrap.installation(settings, redis_url, timeout_s=10.0)
    metrics = CollectorRegistry()
    api = bootstrap.run_api(opened, registry=metrics)
    yield Running(sources, opened, api.app, metrics)
    api.close()


def fill(opened, *user_ids):
    """Let everybody have signed in now and then, and not for some days."""
    agreed = {"consent": True, "in_app_opt_in": True, "email_opt_in": True, "timezone": "UTC"}
    now = datetime.now(UTC)
    for place, user_id in enumerate(user_ids):
        instants = [now - timedelta(days=1 + place % 7, seconds=second) for second in range(12)]
        events = [
            Event(event_id=str(number), user_id=user_id, kind="login", occurred_at=at, received_at=at) for number, at in enumerate(instants)
        ]
        opened.timelines.merge({user_id: timeline_from_events(events, opened.product.catalogue.kinds)})
    opened.profiles.write(dict.fromkeys(user_ids, agreed), changed_us=to_us(now))


async def ask(client, user_ids, swaps_end):
    """Ask again and again until the swaps have ended; every answer."""
    answers = []
    turns = itertools.cycle(user_ids)
    while not swaps_end.is_set():
        answers.append(await client.post("/v1/decisions", json={"user_id": next(turns)}))
    return answers


async def swap(running, client, swaps_end):
    """Move policy and champion in turn, each as soon as the one before it is served."""
    for step, (threshold, version) in enumerate(itertools.product((*THRESHOLDS, *THRESHOLDS), (2, 1))):
        running.sources.threshold(threshold)
        running.sources.point(version)
        for _ in range(10_000):
            served = (await client.post("/v1/decisions", json={"user_id": f"swapper-{step}"})).json()
            if (served["threshold"], served["versions"]["model"]) == (threshold, f"onboarding/{version}"):
                break
        else:
            raise AssertionError((threshold, version, served["threshold"], served["versions"]))
    swaps_end.set()


async def under_load(running, users):
    swaps_end = asyncio.Event()
    async with running.http() as client:
        callers = [ask(client, users[caller::CALLERS], swaps_end) for caller in range(CALLERS)]
        *answers, _ = await asyncio.gather(*callers, swap(running, client, swaps_end))
    return [answer for of_caller in answers for answer in of_caller]


@pytest.mark.timeout(180)
def test_policy_and_champion_change_under_load_and_every_answer_is_of_one_of_each(running):
    users = [f"user-{number}" for number in range(2 * CALLERS)]
    fill(running.opened, *users)
    answers = asyncio.run(under_load(running, users))
    assert {answer.status_code for answer in answers} == {200}
    outputs = [answer.json() for answer in answers]
    assert {output["versions"]["model"] for output in outputs} == {"onboarding/1", "onboarding/2"}
    thresholds = {}
    for output in outputs:
        thresholds.setdefault(output["versions"]["policy"], set()).add(output["threshold"])
    assert len(thresholds) >= len(THRESHOLDS)
    assert all(len(of_policy) == 1 for of_policy in thresholds.values()), thresholds  # never another policy's
    assert not any(output["degraded"] for output in outputs)
    assert {output["risk"] is None for output in outputs if output["user_id"] in users} == {False}
    replayers = {version: running.opened.replayer(version) for version in ("onboarding/1", "onboarding/2")}
    for answer, output in zip(answers, outputs, strict=True):
        receipt = running.opened.ledger.receipt("onboarding", output["decision_id"])
        report = replayers[output["versions"]["model"]].replay(receipt)
        assert report.output == answer.content
        assert (report.decision.outcome, report.score.outcome) == ("same", "same"), (output["versions"], report.score)


def test_a_policy_that_is_wrong_keeps_the_old_one_and_says_so(running):
    running.sources.threshold(0.31)
    until(lambda: running.threshold() == 0.31)
    running.sources.threshold("no number")
    until(lambda: running.metrics.get_sample_value("stillhere_follow_failures_total", {"what": "policy"}))
    assert running.threshold() == 0.31
    ready = running.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert ready.json()["checks"]["policy"].startswith("kept: DeclarationError")
    assert "risk_threshold" in ready.json()["checks"]["policy"]
    running.sources.policy_file.unlink()
    until(lambda: "FileNotFoundError" in running.get("/readyz").json()["checks"]["policy"])
    assert running.threshold() == 0.31
    running.sources.threshold(0.47)
    until(lambda: running.threshold() == 0.47)
    checks = {"redis": "ok", "model": "ok", "policy": "ok"}
    assert running.get("/readyz").json() == {"status": "ready", "product": "onboarding", "checks": checks}


def test_a_corrupt_champion_keeps_the_old_one_until_it_is_whole(running):
    whole = running.sources.bundle(3, n_rounds=10).joinpath("model.txt")
    text = whole.read_text()
    whole.write_text(text[:-100])
    running.sources.point(3)
    until(lambda: running.metrics.get_sample_value("stillhere_follow_failures_total", {"what": "model"}))
    assert running.versions()["model"] == "onboarding/1"
    assert "CorruptBundleError" in running.get("/readyz").json()["checks"]["model"]
    whole.write_text(text)
    until(lambda: running.versions()["model"] == "onboarding/3")


def test_a_rollback_and_a_withdrawal_are_followed_and_the_metrics_say_what_serves(running):
    def serves(version):
        return running.metrics.get_sample_value("stillhere_model_info", {"version": version})

    assert serves("onboarding/1") == 1.0
    running.sources.point(2)
    until(lambda: running.versions()["model"] == "onboarding/2")
    running.sources.point(1)
    until(lambda: running.versions()["model"] == "onboarding/1")
    until(lambda: (serves("onboarding/1"), serves("onboarding/2")) == (1.0, 0.0))
    running.sources.point(None)
    until(lambda: running.versions()["model"] is None)
    assert running.get("/readyz").json()["checks"]["model"] == "missing"
    until(lambda: serves("none") == 1.0)
    policy = running.versions()["policy"]
    assert running.metrics.get_sample_value("stillhere_policy_info", {"hash": policy}) == 1.0


def test_a_batch_has_one_policy_and_one_model(running):
    running.sources.threshold(0.31)
    running.sources.point(2)
    users = [f"user-{number}" for number in range(60)]

    def settled():
        versions = {orjson.dumps(output["versions"]) for output in running.decide(*users)}
        assert len(versions) == 1
        return b"onboarding/2" in next(iter(versions)) and running.threshold() == 0.31

    until(settled)


def test_with_following_off_the_start_counts(running, redis_url):
    places = {"STILLHERE_HOME": str(running.sources.home.root), "STILLHERE_PRODUCT": str(running.sources.product_folder)}
    opened = bootstrap.installation(read_settings({**places, **PATIENT, "STILLHERE_FOLLOW_S": "0"}), redis_url)
    api = bootstrap.run_api(opened, registry=CollectorRegistry())
    still = Running(running.sources, opened, api.app, running.metrics)
    running.sources.threshold(0.31)
    until(lambda: running.threshold() == 0.31)
    assert still.threshold() == 0.6
    api.close()
