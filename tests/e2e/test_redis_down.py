"""The real adapters over a Redis that is not there: decisions are answered all the same, and soon."""

from __future__ import annotations

import socket
import time
from statistics import median

import pytest
from prometheus_client import CollectorRegistry

from serving import bootstrap
from serving.settings import read_settings
from tests.http_client import InProcess
from tests.serving_world import PATIENT
from tests.small_model import write_small_bundle

DEADLINE_S = 2.0  # generous: the machine may be busy; without deadlines a silent Redis would hang for ever


@pytest.fixture(scope="module")
def home(tmp_path_factory, onboarding):
    home = tmp_path_factory.mktemp("home")
    write_small_bundle(onboarding, home / "products" / onboarding.name / "bundles" / "1")
    return home


@pytest.fixture(params=["refuses", "is silent"])
def http(request, home, monkeypatch):
    """The app over an address where nothing listens, or where something listens and never answers."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/none.db")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if request.param == "refuses":
            listener.close()
        settings = read_settings({**PATIENT, "STILLHERE_HOME": str(home), "STILLHERE_REDIS_TIMEOUT_S": "0.1"})
        opened = bootstrap.installation(settings, f"redis://127.0.0.1:{port}/0", timeout_s=settings.redis_timeout_s)
        yield InProcess(bootstrap.build_api(opened, registry=CollectorRegistry()))
        opened.close()


def test_decisions_are_answered_without_redis_and_send_nothing(http):
    http.post("/v1/decisions", {"user_id": "ada"})
    took_s = []
    for _ in range(3):
        started = time.perf_counter()
        one = http.post("/v1/decisions", {"user_id": "ada"})
        many = http.post("/v1/decisions", [{"user_id": f"user-{number}"} for number in range(100)])
        took_s.append(time.perf_counter() - started)
    assert median(took_s) < DEADLINE_S
    assert (one.status_code, many.status_code) == (200, 200)
    for decision in (one.json(), *many.json()):
        assert decision["action"] == "none"
        assert {"features_unavailable", "ledger_unavailable"} <= set(decision["degraded"])


def test_events_receipts_and_readiness_say_that_it_is_down(http):
    event = {"event_id": "e", "user_id": "ada", "kind": "login", "occurred_at": "2026-03-01T12:00:00Z"}
    assert http.post("/v1/events", event).status_code == 503
    assert http.get("/v1/decisions/dfdee430d40bd57de-01kjmma2g00000000000000000").status_code == 503
    assert http.get("/readyz").status_code == 503
    assert http.get("/healthz").status_code == 200
    assert http.get("/metrics").status_code == 200
