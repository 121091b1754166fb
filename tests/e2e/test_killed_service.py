"""R5: a service killed between any two steps of a decision; who asks again under the same key gets one decision with one effect."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from features.core.event import Event, to_us
from features.core.timeline import timeline_from_events
from serving import bootstrap
from serving.settings import read_settings
from tests.certain import certain_product
from tests.http_client import InProcess
from tests.serving_world import PATIENT

pytestmark = pytest.mark.timeout(180)

# The fault hooks are the adapters, which are asked at these points: dies before or after the call that is named.
DIES = """
import os, signal, sys
from pathlib import Path
from prometheus_client import CollectorRegistry
from serving import bootstrap
from serving.adapters import idempotency, person_store, redis_ledger
from tests.http_client import InProcess

def dying(owner, name, when):
    call = getattr(owner, name)
    def hook(*args, **named):
        if when == "after":
            call(*args, **named)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(owner, name, hook)

when, owner, name = sys.argv[3:]
opened = bootstrap.installation(bootstrap.settings_from_environment(home=Path(sys.argv[1])), sys.argv[2])
http = InProcess(bootstrap.build_api(opened, registry=CollectorRegistry()))
module, _, kind = owner.partition(".")
dying(getattr(globals()[module], kind), name, when)
http.post("/v1/decisions", {"user_id": "ada"}, headers={"Idempotency-Key": "k1"})
"""
POINTS = {  # whether the decision is made by then
    ("before", "idempotency.RedisIdempotencyKeys", "claim"): False,
    ("after", "idempotency.RedisIdempotencyKeys", "claim"): False,
    ("after", "person_store.RedisPersonStore", "read"): False,
    ("before", "redis_ledger.RedisLedger", "commit_many"): False,
    ("after", "redis_ledger.RedisLedger", "commit_many"): True,
}


def in_time(point, is_made):
    """The commit always; the other points in the long runs."""
    return pytest.param(point, is_made, id=" ".join(point), marks=() if "commit_many" in point else pytest.mark.faults)


@pytest.fixture
def opened(redis_url, tmp_path, monkeypatch):
    """An installation in which help is due to ada at once."""
    product = str(certain_product(tmp_path / "product"))
    monkeypatch.setenv("STILLHERE_PRODUCT", product)  # of the process that is killed
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none.db")
    settings = read_settings({**PATIENT, "STILLHERE_HOME": str(tmp_path), "STILLHERE_PRODUCT": product})
    opened = bootstrap.installation(settings, redis_url)
    now = datetime.now(UTC)
    sign_ins_fail(opened, now)
    agreed = {"consent": True, "in_app_opt_in": True, "email_opt_in": True, "timezone": "UTC"}
    opened.profiles.write({"ada": agreed}, changed_us=to_us(now))
    yield opened
    opened.close()


def sign_ins_fail(opened, now):
    """Three times just now: help is due for two minutes, and a process that is killed takes its time to start on a busy machine."""
    at = [now - timedelta(seconds=second) for second in (1, 2, 3)]
    events = [Event(event_id=one.isoformat(), user_id="ada", kind="login_failed", occurred_at=one, received_at=one) for one in at]
    opened.timelines.merge({"ada": timeline_from_events(events, opened.product.catalogue.kinds)})


def effects(opened):
    """Contacts and delivery orders: as many of the one as of the other, always."""
    contacts, orders = opened.ledger.contacts("onboarding", "ada", since_us=0), opened.ledger.outbox("onboarding")
    assert len(contacts) == len(orders)
    return len(orders)


@pytest.mark.parametrize(("point", "is_made"), [in_time(*one) for one in POINTS.items()])
def test_r5_a_service_killed_at_any_step_has_one_effect_after_the_retry(opened, redis_url, tmp_path, point, is_made):
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-c", DIES, str(tmp_path), redis_url, *point]
    ended = subprocess.run(command, env=environment, check=False, timeout=120, capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()[-2_000:]
    assert effects(opened) == is_made
    sign_ins_fail(opened, datetime.now(UTC))
    http = InProcess(bootstrap.build_api(opened, registry=CollectorRegistry()))
    first, second = (http.post("/v1/decisions", {"user_id": "ada"}, headers={"Idempotency-Key": "k1"}) for _ in range(2))
    assert (first.status_code, first.json()["action"]) == (200, "send"), first.json()["reason"]
    assert first.content == second.content
    assert effects(opened) == 1
