"""What a person at the terminal cannot see coming: Redis or the worker is killed, or Redis stalls, under a running service."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime

import httpx
import pytest

from serving import bootstrap
from serving.cli.demo.play import backlog
from serving.cli.processes import free_port
from serving.cli.stack import redis_server, service_and_worker
from serving.client import Client
from tests.small_model import write_small_bundle

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

PATIENCE_S = 60
STALLED_S = 0.7  # one deadline of 0.25 s, and some for a busy machine; three of them would be more


@pytest.fixture(scope="module")
def settings(onboarding, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    write_small_bundle(onboarding, home / "products" / onboarding.name / "bundles" / "1")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("STILLHERE_REDIS_URL", raising=False)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/none.db")
        patch.setenv("PYTHONPATH", os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")]))  # noqa: PTH109
        yield bootstrap.settings_from_environment(home=home)


@pytest.fixture(scope="module")
def redis(settings):
    with redis_server(settings) as running:
        yield running


@pytest.fixture(scope="module")
def stack(settings, redis):
    with service_and_worker(settings, redis.url, port=free_port(), log_delay_s=0.1) as running:
        yield running


@pytest.fixture
def client(stack):
    """Asks as docs/api.md says: whatever a connection loses that the service closed meanwhile is asked again, under its key."""
    with Client(url=stack.api_url, timeout_s=30) as asks:
        yield asks


@pytest.fixture
def waiting(stack):
    """How many events are waiting, asked over a connection of its own each time."""

    def ask():
        with httpx.Client(base_url=stack.api_url, timeout=30) as http:
            return backlog(http)

    return ask


def happens(client, waiting, event_id):
    """Send one sign-in of ada's, and wait until it is in her timeline."""
    signs_in(client, event_id)
    until(lambda: waiting() == 0)


def signs_in(client, event_id):
    event = {"event_id": event_id, "user_id": "ada", "kind": "login", "occurred_at": datetime.now(UTC).isoformat()}
    assert client.send([event]).accepted == 1


def decide(client):
    return client.decide("ada").raw


def n_events(client):
    return client.receipt(decide(client)["decision_id"])["inputs"]["n_events"]


def until(holds):
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline


def kill(process):
    process.kill()
    process.wait()


def test_a_killed_redis_comes_back_with_its_data_and_decisions_with_it(client, waiting, redis, capsys):
    happens(client, waiting, "before")
    known = n_events(client)
    kill(redis.bundled._process)
    assert "ledger_unavailable" in decide(client)["degraded"]
    redis.check()
    assert "is started again over its data" in capsys.readouterr().err
    until(lambda: not decide(client)["degraded"])
    assert n_events(client) == known
    happens(client, waiting, "after")
    assert n_events(client) == known + 1


def test_a_killed_worker_is_started_again_and_takes_up_what_waited(client, waiting, stack, capsys):
    known = n_events(client)
    kill(stack.worker.child.process)
    signs_in(client, "meanwhile")
    assert waiting() == 1
    stack.check()
    assert "the worker ended with code -9 and is started again" in capsys.readouterr().err
    until(lambda: waiting() == 0)
    assert n_events(client) == known + 1


def test_a_stalled_redis_costs_a_decision_one_deadline_not_one_a_read(client, redis):
    assert not decide(client)["degraded"]
    os.kill(redis.bundled.pid, signal.SIGSTOP)
    try:
        for _ in range(5):
            started = time.perf_counter()
            decision = decide(client)
            took_s = time.perf_counter() - started
            assert (decision["action"], set(decision["degraded"])) == (
                "none",
                {"features_unavailable", "profile_unavailable", "ledger_unavailable"},
            )
            assert took_s < STALLED_S
    finally:
        os.kill(redis.bundled.pid, signal.SIGCONT)
    until(lambda: not decide(client)["degraded"])
