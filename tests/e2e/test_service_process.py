"""The real thing, once: `bentoml serve` and the worker as processes over the bundled Redis, spoken to over HTTP."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import orjson
import pytest
import redis

from features.core.event import to_us
from serving import bootstrap
from serving.adapters.run_file import read_run_file
from serving.cli.demo.play import backlog
from serving.cli.processes import free_port
from serving.cli.stack import service_and_worker
from tests.certain import certain_product
from tests.e2e.callers import Asked, Callers
from tests.e2e.silent_people import decisions, fall_silent, names_of, orders
from tests.small_model import write_small_bundle

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def installation(redis_server, onboarding, tmp_path_factory):
    """An installation with a small model and an empty Redis."""
    home = tmp_path_factory.mktemp("home")
    product = certain_product(home / "product")
    with (product / "product.yaml").open("a") as declared:
        declared.write("\ncollection: {attribute: consent, unless_said: kept}\n")
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    environment = {
        "STILLHERE_PRODUCT": str(product),
        "STILLHERE_REDIS_URL": redis_server.url,
        "MLFLOW_TRACKING_URI": f"sqlite:///{home}/none.db",
        "STILLHERE_LOG_DELAY_S": "0.1",
        "STILLHERE_EXPORT_EVERY_S": "0.1",
        "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        opened = bootstrap.installation(bootstrap.settings_from_environment(home=home), redis_server.url)
        write_small_bundle(onboarding, opened.settings.home.bundles_dir(onboarding.name) / "1")
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def stack(installation):
    """Service, worker and sweep, running; afterwards every process of theirs has ended."""
    with service_and_worker(installation.settings, installation.redis_url, port=free_port(), sweep_every="1d") as running:
        yield running
    assert all(child.process.returncode is not None for child in running.children)
    assert read_run_file(installation.settings.home.run_file) is None


@pytest.fixture
def client(stack):
    with httpx.Client(base_url=stack.api_url, timeout=30) as http:
        yield http


def events(user_id, kind, *ages_s):
    now = datetime.now(UTC)
    for number, age_s in enumerate(ages_s):
        occurred_at = (now - timedelta(seconds=age_s)).isoformat()
        yield {"event_id": f"{kind}-{number}-{age_s}", "user_id": user_id, "kind": kind, "occurred_at": occurred_at}


def identify(user_id):
    traits = {"consent": True, "in_app_opt_in": True, "email_opt_in": True, "timezone": "UTC"}
    return {"type": "identify", "user_id": user_id, "occurred_at": datetime.now(UTC).isoformat(), "traits": traits}


def taken_up(client):
    """Wait for the worker: what was sent is in the timelines."""
    deadline = time.monotonic() + 60
    while backlog(client):
        assert time.monotonic() < deadline


def test_events_decision_receipt_replay_over_http(client, installation):
    sent = client.post(
        "/v1/events", json=[identify("ada"), *events("ada", "login", *range(300, 400, 10)), *events("ada", "login_failed", 3, 2, 1)]
    )
    assert (sent.status_code, sent.json()) == (202, {"accepted": 14, "rejected": []})
    taken_up(client)
    decided = client.post("/v1/decisions", json={"user_id": "ada"})
    decision = decided.json()
    assert (decision["action"], decision["message"]["id"], decision["degraded"]) == ("send", "secure_reset", [])
    assert 0.0 <= decision["risk"] <= 1.0
    receipt = client.get(f"/v1/decisions/{decision['decision_id']}")
    report = installation.replayer().replay(receipt.content)
    assert report.output == decided.content
    assert (report.decision.outcome, report.score.outcome, report.features.outcome) == ("same", "same", "same")


def test_r2_many_callers_who_repeat_themselves_get_one_effect_a_key(client, stack, installation):
    """The short form of `tests/e2e/test_requests_of_many_callers.py`: 64 callers, 40 keys about five users, each key four times."""
    users = [f"r2-{number}" for number in range(5)]
    for user_id in users:
        client.post(
            "/v1/events",
            json=[identify(user_id), *events(user_id, "login", *range(300, 400, 10)), *events(user_id, "login_failed", 3, 2, 1)],
        )
    taken_up(client)
    callers = Callers(api_url=stack.api_url)
    asyncio.run(callers.ask_all([Asked(key=f"r2-{key}", user_id=users[key % 5]) for key in range(40)] * 4, at_once=64))
    assert set(callers.refusals) <= {503}
    assert [len(set(bodies)) for bodies in callers.answers.values()] == [1] * 40
    decisions = [orjson.loads(bodies[0]) for bodies in callers.answers.values()]
    sent = {decision["decision_id"]: decision["user_id"] for decision in decisions if decision["action"] == "send"}
    assert sorted(sent.values()) == users  # of eight keys each one sent: the caps let no second one through
    orders = [orjson.loads(order) for order in installation.ledger.outbox(installation.product.name)]
    assert sorted(order["decision_id"] for order in orders if order["user_id"] in users) == sorted(sent)
    assert {
        c.decision_id for user_id in users for c in installation.ledger.contacts(installation.product.name, user_id, since_us=0)
    } == set(sent)


def sent_as_it_is(client, *heads, line=b"POST /v1/decisions HTTP/1.1", body=b'{"user_id": "wire"}'):
    """Bytes that no client library would send; status line and the rest of the answer."""
    url = client.base_url
    with socket.create_connection((url.host, url.port), timeout=30) as wire:
        wire.sendall(b"\r\n".join([line, b"Host: x", b"Connection: close", b"Content-Length: %d" % len(body), *heads, b"", body]))
        answer = b"".join(iter(lambda: wire.recv(65_536), b""))
    head, _, content = answer.partition(b"\r\n\r\n")
    status, _, headers = head.lower().partition(b"\r\n")
    return int(status.split()[1]), headers, content


@pytest.mark.parametrize("key", [b"", b"   ", b"x" * 10_000, "schlüssel".encode(), b"\xff\xfe", b"two words", b"a\tb"])
def test_what_is_no_idempotency_key_on_the_wire_is_refused_in_the_one_shape(client, key):
    status, _, content = sent_as_it_is(client, b"Idempotency-Key: " + key)
    assert (status, orjson.loads(content)["error"]["code"]) == (422, "invalid_request")


def test_two_idempotency_keys_on_the_wire_are_refused(client):
    status, _, content = sent_as_it_is(client, b"Idempotency-Key: w1", b"IDEMPOTENCY-KEY: w2")
    assert (status, orjson.loads(content)["error"]["field"]) == (422, "Idempotency-Key")
    assert "got 2 such headers, expected one" in orjson.loads(content)["error"]["message"]


def test_spaces_around_a_key_on_the_wire_are_no_part_of_it(client):
    answers = [sent_as_it_is(client, b"Idempotency-Key:" + key) for key in (b"w3", b"   w3", b" w3   ", b"\tw3\t ")]
    assert [(status, content) for status, _, content in answers] == [(200, answers[0][2])] * 4


@pytest.mark.parametrize(
    "request_",
    [
        {"line": b"hello"},
        {"line": b"GET /two words HTTP/1.1"},
        {"line": b"GET /" + b"a" * 100_000 + b" HTTP/1.1"},
        {"line": b"GET /healthz HTTP/9.9"},
        {"heads": [b"no colon"]},
        {"heads": [b"Idempotency-Key: a\0b"]},
        {"heads": [b"Content-Length: 3"]},
        {"heads": [b"Transfer-Encoding: gzip"]},
    ],
)
def test_what_is_no_http_is_refused_by_the_server_beneath_in_plain_text(client, request_):
    """The exception that `docs/api.md` names from the one shape of errors; the service goes on."""
    rest = {name: value for name, value in request_.items() if name != "heads"}
    status, headers, content = sent_as_it_is(client, *request_.get("heads", []), **rest)
    assert (status, content) == (400, b"Invalid HTTP request received.")
    assert b"content-type: text/plain" in headers
    assert client.get("/healthz").json() == {"status": "ok"}


def test_a_handshake_for_a_websocket_is_refused_without_a_body(client):
    handshake = [b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    status, headers, content = sent_as_it_is(client, *handshake, b"Connection: upgrade", line=b"GET /v1/decisions HTTP/1.1", body=b"")
    assert (status, content) == (403, b"")
    assert b"content-type: text/plain" in headers


def test_public_routes_are_ours_and_not_bentomls(client):
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/livez").json() == {"status": "ok"}
    checks = {"redis": "ok", "model": "ok", "policy": "ok"}
    assert client.get("/readyz").json() == {"status": "ready", "product": "onboarding", "checks": checks}
    assert client.get("/openapi.json").json()["openapi"].startswith("3.1")
    for path in ("/", "/nowhere", "/docs.json", "/schema.json"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found"), path
    assert (status := client.get("/v1/decisions")).status_code == 405
    assert status.json()["error"]["code"] == "method_not_allowed"


def test_metrics_of_the_real_process(client):
    client.post("/v1/decisions", json={"user_id": "nobody"})
    figures = client.get("/metrics").text
    assert 'stillhere_decisions_total{action="none",code="no_consent"}' in figures
    assert "stillhere_request_seconds_bucket" in figures


def test_the_raw_log_and_the_receipts_are_files(client, installation):
    client.post("/v1/events", json=list(events("ben", "login", 5)))
    decision_id = client.post("/v1/decisions", json={"user_id": "ben"}).json()["decision_id"]
    taken_up(client)
    assert "ben" in installation.raw_log.scan()["user_id"].to_pylist()
    from serving.adapters.receipt_export import exported_ids

    receipts_dir = installation.settings.home.receipts_dir(installation.product.name)
    deadline = time.monotonic() + 60
    while decision_id not in exported_ids(receipts_dir):
        assert time.monotonic() < deadline


def test_a_kept_alive_connection_serves_many_requests(client):
    for _ in range(50):
        assert orjson.loads(client.post("/v1/decisions", json={"user_id": "ada"}).content)["user_id"] == "ada"


def sweep(installation, *options):
    """The command, started; its counts are on stdout."""
    command = [sys.executable, "-m", "serving.cli", "sweep", "--json", "--home", str(installation.settings.home.root), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_s2_14_who_fell_silent_is_written_to_by_the_sweep_and_once_though_it_is_killed_and_run_again(stack, installation):
    deadline = time.monotonic() + 60
    while "decided about" not in stack.sweep.child.log.read_text():  # its own sweep, of last midnight, is to find none of them
        assert time.monotonic() < deadline
    users = names_of(2, at_least=4)
    fall_silent(installation, [*users, "opted-out"])
    installation.profiles.write({"opted-out": {"consent": False}}, changed_us=to_us(datetime.now(UTC)))  # who may be here since, unseen
    options = ["--due", datetime.now(UTC).isoformat()]
    with sweep(installation, *options, "--per-second", "0.01") as killed:  # minutes from the first list to the second
        deadline = time.monotonic() + 60
        while not any(orders(installation, users).values()):
            assert time.monotonic() < deadline
        killed.kill()
    first = {user for user, ids in decisions(installation, users).items() if ids}
    assert 0 < len(first) < len(users)
    for _ in range(2):
        with sweep(installation, *options, "--per-second", "1000") as again:
            out, err = again.communicate(timeout=60)
        assert again.returncode == 0, err
        report = orjson.loads(out)
        assert (report["silent"], report["failed"], report["left"], report["untracked"]) == (len(users), 0, 0, 1)
        assert report["decisions"] == [{"action": "send", "reason": "sent_by_regular_away_for_a_day", "users": len(users)}]
        assert [len(ids) for ids in orders(installation, users).values()] == [1] * len(users)
        assert decisions(installation, users) == orders(installation, users)
        assert decisions(installation, ["opted-out"]) == {"opted-out": []}


def test_a_sweep_that_was_asked_for_runs_beside_the_service_and_asks_the_one_it_was_started_with(stack):
    command = stack.sweep.child.command
    assert command[-5:] == ("sweep", "--every", "1d", "--url", stack.api_url)
    stack.check()
    assert stack.sweep.child.is_running
