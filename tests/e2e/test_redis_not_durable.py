"""A Redis that evicts or forgets would lose caps: nothing that sends starts on it, and nothing is sent should it turn up later."""

from __future__ import annotations

import orjson
import pytest
import redis
from prometheus_client import CollectorRegistry

from features.adapters.durability import NotDurableError
from features.adapters.embedded_redis import EmbeddedRedis
from features.home import Home
from serving import bootstrap
from serving.cli.decide import decide
from serving.cli.options import Place
from serving.cli.stack import service_and_worker
from tests.http_client import InProcess
from tests.serving_world import ROOT

SETTINGS = [("maxmemory-policy", "allkeys-lru"), ("appendonly", "no")]
PRODUCT = ROOT / "products" / "onboarding"


@pytest.fixture(params=SETTINGS, ids=lambda setting: setting[0])
def forgetful(request, tmp_path, monkeypatch):
    """Name and address of a Redis with one setting wrong, which the environment names."""
    name, value = request.param
    with EmbeddedRedis(tmp_path / "redis") as server, redis.Redis.from_url(server.url) as client:
        client.config_set(name, value)
        monkeypatch.setenv("STILLHERE_REDIS_URL", server.url)
        monkeypatch.setenv("STILLHERE_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("STILLHERE_PRODUCT", str(PRODUCT))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none.db")
        yield name, server.url


def test_the_service_refuses_to_start(forgetful):
    with pytest.raises(NotDurableError, match=f"is not durable: {forgetful[0]} is"):
        bootstrap.start_api()


def test_decide_refuses(forgetful, tmp_path):
    with pytest.raises(NotDurableError, match=f"is not durable: {forgetful[0]} is"):
        decide("ada", place=Place(product=PRODUCT, home=tmp_path))  # where a Redis once was


def test_serve_refuses_before_it_starts_anything(forgetful, tmp_path):
    settings = bootstrap.settings_from_environment()
    with pytest.raises(NotDurableError), service_and_worker(settings, forgetful[1], port=1):
        pass
    assert not Home(tmp_path / "home").run_file.exists()


def test_one_that_turns_up_under_a_running_service_is_not_ready_and_no_ledger(forgetful):
    name, url = forgetful
    opened = bootstrap.installation(bootstrap.settings_from_environment(), url)
    http = InProcess(bootstrap.build_api(opened, registry=CollectorRegistry()))
    ready = http.get("/readyz")
    assert (ready.status_code, name in ready.json()["error"]["message"]) == (503, True)
    decision = http.post("/v1/decisions", {"user_id": "ada"}).json()
    assert (decision["action"], decision["degraded"]) == ("none", ["model_missing", "ledger_unavailable"])
    with redis.Redis.from_url(url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("appendonly", "yes")
    assert http.get("/readyz").status_code == 200
    again = orjson.loads(http.post("/v1/decisions", {"user_id": "ada"}).content)
    assert again["degraded"] == ["model_missing"]
    opened.close()


def _full(client):
    client.config_set("maxmemory", "1")


def _replica(client):
    client.replicaof("127.0.0.1", "1")


def _alone(client):
    client.config_set("min-replicas-to-write", "1")


def _taking_writes(client):
    client.config_set("maxmemory", "0")
    client.replicaof("NO", "ONE")
    client.config_set("min-replicas-to-write", "0")


@pytest.mark.parametrize("refuses", [_full, _replica, _alone])
def test_one_that_answers_and_refuses_writes_is_not_ready_and_sends_nothing(tmp_path, monkeypatch, refuses):
    monkeypatch.setenv("STILLHERE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STILLHERE_PRODUCT", str(PRODUCT))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none.db")
    with EmbeddedRedis(tmp_path / "redis") as server, redis.Redis.from_url(server.url) as client:
        opened = bootstrap.installation(bootstrap.settings_from_environment(), server.url)
        http = InProcess(bootstrap.build_api(opened, registry=CollectorRegistry()))
        assert http.get("/readyz").status_code == 200
        refuses(client)
        ready = http.get("/readyz")
        assert (ready.status_code, "redis is refusing writes" in ready.json()["error"]["message"]) == (503, True)
        decision = http.post("/v1/decisions", {"user_id": "ada"}).json()
        assert (decision["action"], decision["degraded"]) == ("none", ["model_missing", "ledger_unavailable"])
        _taking_writes(client)
        assert http.get("/readyz").status_code == 200
        assert http.post("/v1/decisions", {"user_id": "ada"}).json()["degraded"] == ["model_missing"]
        opened.close()
