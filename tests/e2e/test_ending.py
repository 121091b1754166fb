"""Ctrl-C on `stillhere serve`: it ends soon, whatever callers do, leaves no process behind, and loses nothing that was acknowledged."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime

import httpx
import orjson
import psutil
import pytest

from serving import bootstrap
from serving.cli.processes import free_port
from serving.cli.stack import redis_server
from tests.serving_world import ROOT

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

SOON_S = 10.0  # three to four seconds on an idle machine; without a limit on the last requests more than fifteen
STALLS = b"POST /v1/events HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n["


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.delenv("STILLHERE_REDIS_URL", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none.db")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return tmp_path / "home"


@pytest.fixture
def served(home):
    """The command, and where it listens."""
    port = free_port()
    command = [sys.executable, "-m", "serving.cli", "serve", "--port", str(port), "--home", str(home)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        for line in process.stderr:
            if "Ctrl-C ends it" in line:
                break
        yield process, port
        process.kill()


def everything_of(process):
    return psutil.Process(process.pid).children(recursive=True)


def still_runs(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("times", [1, 2], ids=["once", "impatiently"])
def test_a_stalled_caller_does_not_delay_the_end_and_nothing_acknowledged_is_lost(served, home, times):
    process, port = served
    started = everything_of(process)
    assert len(started) >= 4  # Redis, the worker, BentoML and its own
    url = f"http://127.0.0.1:{port}/v1/events"
    event = {"event_id": "last", "user_id": "ada", "kind": "login", "occurred_at": datetime.now(UTC).isoformat()}
    with socket.create_connection(("127.0.0.1", port)) as stalled:
        stalled.sendall(STALLS)
        assert httpx.post(url, json=event).status_code == 202
        began = time.monotonic()
        for _ in range(times):
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert time.monotonic() - began < SOON_S
    assert [one for one in started if still_runs(one)] == []
    assert is_kept(home)


def is_kept(home):
    """Whether the event is in a timeline, or waits for the next worker."""
    settings = bootstrap.settings_from_environment(home=home)
    with redis_server(settings) as redis:
        opened = bootstrap.installation(settings, redis.url, asks_registry=False)
        try:
            receipt = orjson.loads(opened.decisions().decide_one("ada", now_us=bootstrap.now_us()).receipt)
            return receipt["inputs"]["n_events"] == 1 or opened.stream.backlog() == 1
        finally:
            opened.close()
