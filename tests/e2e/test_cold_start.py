"""A machine on which the kernel was never compiled: the launcher and the service say what is waited for, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import httpx
import pytest

from serving.cli.processes import free_port
from tests.serving_world import ROOT

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

PATIENCE_S = 400.0


@pytest.fixture
def environment(tmp_path, redis_server):
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("STILLHERE_")},
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/none.db",
        "STILLHERE_REDIS_URL": redis_server.url,
        "STILLHERE_HOME": str(tmp_path / "home"),
        "STILLHERE_PRODUCT": str(ROOT / "products" / "onboarding"),
        "STILLHERE_WORKERS": "1",
        "BENTOML_HOME": str(tmp_path / "bentoml"),
    }


def ended(process):
    process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=60)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[1]


def answer_of(url):
    with suppress(httpx.HTTPError):
        return httpx.get(url, timeout=30)
    return None


def start(environment, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", *arguments], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def awaited_ready(url, process):
    """Every answer of /readyz until it is one of success."""
    answers, deadline = [], time.monotonic() + PATIENCE_S
    while not (answers and answers[-1].is_success):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, answers
        answers += [answer for answer in [answer_of(f"{url}/readyz")] if answer is not None]
    return answers


def test_serve_says_that_it_compiles_and_the_second_time_says_nothing(environment):
    said = []
    for _ in range(2):
        port = free_port()
        process = start(environment, "serving.cli", "serve", "--port", str(port))
        try:
            awaited_ready(f"http://127.0.0.1:{port}", process)
        finally:
            said.append(ended(process))
    assert said[0].splitlines()[0] == "Compiling the feature kernel (once, about a minute) ..."
    assert "ompiling" not in said[1]


def test_a_service_that_is_asked_meanwhile_answers_that_it_compiles(environment):
    port = free_port()
    process = start(environment, "bentoml", "serve", "serving.service:Stillhere", "--host", "127.0.0.1", "--port", str(port))
    try:
        answers = awaited_ready(f"http://127.0.0.1:{port}", process)
        alive = answer_of(f"http://127.0.0.1:{port}/healthz")
        decided = httpx.post(f"http://127.0.0.1:{port}/v1/decisions", json={"user_id": "ada"}, timeout=30)
    finally:
        ended(process)
    told = {answer.json()["error"]["message"] for answer in answers if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE}
    assert told == {"compiling the feature kernel (once, about a minute)"}
    assert alive is not None
    assert (alive.json(), decided.status_code) == ({"status": "ok"}, 200)
