"""`bentoml serve` over what could never serve ends at once with the reason, on a machine with and without a compiled kernel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
import redis

from features.adapters.embedded_redis import EmbeddedRedis
from serving.cli.processes import free_port
from tests.serving_world import ROOT

PATIENCE_S = 60.0
"""It takes two; a server that only starts its processes again and again never ends."""


@pytest.fixture(params=["compiled before", pytest.param("never compiled", marks=pytest.mark.faults)])
def environment(request, tmp_path, redis_server):
    shutil.copytree(ROOT / "products" / "onboarding", tmp_path / "product")
    ours = {name: value for name, value in os.environ.items() if not name.startswith("STILLHERE_")}
    if request.param == "never compiled":
        ours["NUMBA_CACHE_DIR"] = str(tmp_path / "cache")
    return {
        **ours,
        "PYTHONPATH": str(ROOT),
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/none.db",
        "STILLHERE_REDIS_URL": redis_server.url,
        "STILLHERE_HOME": str(tmp_path / "home"),
        "STILLHERE_PRODUCT": str(tmp_path / "product"),
        "STILLHERE_WORKERS": "1",
        "BENTOML_HOME": str(tmp_path / "bentoml"),
    }


def said_by(environment):
    """What `bentoml serve` says before it ends by itself, which it does with exit code 1."""
    serve = [sys.executable, "-m", "bentoml", "serve", "serving.service:Stillhere", "--host", "127.0.0.1", "--port", str(free_port())]
    with subprocess.Popen(serve, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            said, _ = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.terminate()
            raise
    assert process.returncode == 1, said
    assert "Traceback" not in said
    return said


def test_a_broken_policy(environment, tmp_path):
    policy = tmp_path / "product" / "policy.yaml"
    policy.write_text(policy.read_text().replace("consent_attribute: consent", "consent_attribute: consnt"))
    assert f'{policy}: consent_attribute: found "consnt", expected one of consent' in said_by(environment)


def test_a_broken_product(environment, tmp_path):
    product = tmp_path / "product" / "product.yaml"
    product.write_text("name: onboarding\n")
    assert f"{product}: kinds: found nothing, expected this key; add it" in said_by(environment)


def test_no_address_of_a_redis(environment):
    del environment["STILLHERE_REDIS_URL"]
    assert "STILLHERE_REDIS_URL is not set, expected the address of a Redis" in said_by(environment)


def test_a_redis_that_would_forget_caps(environment, tmp_path):
    with EmbeddedRedis(tmp_path / "redis") as server, redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        assert "is not durable: maxmemory-policy is" in said_by({**environment, "STILLHERE_REDIS_URL": server.url})
