"""10,000 decisions, then Redis and every process anew and another model in their place: each comes out the same to the byte."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import orjson
import pytest

from features.adapters.embedded_redis import EmbeddedRedis
from features.core.event import Event, to_us
from features.core.timeline import timeline_from_events
from serving import bootstrap
from serving.settings import read_settings
from tests.following_world import Sources
from tests.serving_world import NOON

pytestmark = [pytest.mark.faults, pytest.mark.timeout(500)]

USERS = 2_500
TURNS = 4
BATCH = 500
KINDS = ("login", "login_failed", "click", "form_failed", "step_skipped", "feature_used", "key_action")


@dataclass
class Shop:
    """Where it is, and how a command is run there."""

    sources: Sources
    environment: dict[str, str]

    def run(self, *arguments):
        """One command of the command line, in a process of its own; the bundled Redis is started for it alone."""
        command = [sys.executable, "-m", "serving.cli", *arguments]
        ended = subprocess.run(command, env={**os.environ, **self.environment}, capture_output=True, check=False, timeout=400)
        assert ended.returncode == 0, ended.stderr.decode()[-2_000:]
        return orjson.loads(ended.stdout)


@pytest.fixture
def shop(tmp_path, onboarding, monkeypatch):
    monkeypatch.delenv("STILLHERE_REDIS_URL", raising=False)
    sources = Sources(tmp_path, onboarding)
    for version in (1, 2):
        sources.bundle(version, n_rounds=20 * version)
    sources.point(1)
    environment = {
        "STILLHERE_HOME": str(sources.home.root),
        "STILLHERE_PRODUCT": str(sources.product_folder),
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/none.db",
        "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]),
    }
    monkeypatch.setenv("MLFLOW_TRACKING_URI", environment["MLFLOW_TRACKING_URI"])
    return Shop(sources, environment)


def people(opened):
    """Users of all kinds: some silent, some stumbling, some who agreed to nothing, some unknown."""
    rng = np.random.default_rng(7)
    users, timelines, profiles = [f"user-{number}" for number in range(USERS)], {}, {}
    for number, user_id in enumerate(users[: USERS - 100]):
        last = timedelta(seconds=float(rng.exponential(4 * 86_400)))
        ages = [last + timedelta(seconds=float(age)) for age in np.cumsum(rng.exponential(40.0, size=rng.integers(1, 40)))]
        events = [
            Event(event_id=str(place), user_id=user_id, kind=str(rng.choice(KINDS)), occurred_at=NOON - age, received_at=NOON - age)
            for place, age in enumerate(ages)
        ]
        timelines[user_id] = timeline_from_events(events, opened.product.catalogue.kinds)
        zone = ("UTC", "Europe/Berlin", "America/New_York")[number % 3]
        profiles[user_id] = {"consent": number % 10 != 0, "in_app_opt_in": True, "email_opt_in": number % 7 != 0, "timezone": zone}
    opened.timelines.merge(timelines)
    opened.profiles.write(profiles, changed_us=to_us(NOON))
    return users


def decide_about_all(shop):
    """Decide about everybody in turns, hours apart; what was done, counted."""
    done = {}
    with EmbeddedRedis(shop.sources.home.redis_dir) as server:
        opened = bootstrap.installation(read_settings(shop.environment), server.url, asks_registry=False)
        users, service = people(opened), opened.decisions()
        assert service.versions["model"] == "onboarding/1"
        for turn in range(TURNS):
            now_us = to_us(NOON + turn * timedelta(hours=7))
            for start in range(0, USERS, BATCH):
                for answer in service.decide_many(users[start : start + BATCH], now_us=now_us):
                    assert answer.stored
                    done[answer.labels[0]] = done.get(answer.labels[0], 0) + 1
        opened.close()
    return done


def test_ten_thousand_receipts_replay_without_a_difference_after_a_restart_and_a_model_swap(shop):
    started = time.perf_counter()
    done = decide_about_all(shop)
    assert sum(done.values()) == USERS * TURNS
    assert min(done.get(action, 0) for action in ("send", "defer", "none")) > 100
    decided_s = time.perf_counter() - started
    shop.sources.point(2)
    assert shop.run("decide", "somebody")["versions"]["model"] == "onboarding/2"
    started = time.perf_counter()
    summary = shop.run("replay", "--all", "--json")
    sys.stderr.write(f"\n{done} in {decided_s:.1f} s; replayed in {time.perf_counter() - started:.1f} s: {summary}\n")
    assert summary["receipts"] == USERS * TURNS + 1
    assert (summary["unreadable"], summary["same"], summary["differs"]) == (0, True, {})
    assert summary["decision"] == {"same": summary["receipts"]}
    assert summary["score"] == {"same": summary["receipts"]}  # of the model that decided, whose bundle is still here
    assert summary["features"] == {"same": summary["receipts"]}
