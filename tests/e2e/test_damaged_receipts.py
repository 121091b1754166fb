"""What lies in Redis under a receipt's key and is none: told as that, in one place, and of no consequence for anybody else."""

from __future__ import annotations

import subprocess
import sys

import orjson
import pytest

from serving.adapters.receipt_form import receipt_from, stored_form
from tests.installed_world import InstalledWorld

DAMAGES = {
    "cut": lambda stored: stored[:-3],
    "longer than it was": lambda stored: stored + b"xx",
    "of a length that is wrong": lambda stored: stored[:4] + (len(receipt_from(stored)) - 1).to_bytes(4, "little") + stored[8:],
    "of a later form": lambda stored: b"SHR\x02" + stored[4:],
    "no JSON": lambda _: b"\xff\xfe",
    "a list": lambda _: stored_form(b"[1]"),
}


@pytest.fixture
def world(tmp_path, redis_url):
    world = InstalledWorld(tmp_path / "home", redis_url)
    yield world
    world.close()


def decided(world, user_id="ada", *, key=None):
    """A decision that helps, and the key of its receipt."""
    world.send(world.identify(user_id), *(world.event(user_id, "login_failed") for _ in range(3)))
    answer = ask(world, {"user_id": user_id}, key or user_id)
    assert answer.json()["action"] == "send"
    (place,) = world.opened.client.scan_iter(f"*:receipt:{answer.json()['decision_id']}")
    return answer, place


def ask(world, body, key):
    return world.http.post("/v1/decisions", body, headers={"Idempotency-Key": key})


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_receipt_is_told_as_that_and_not_as_bytes(world, damage):
    answer, place = decided(world)
    world.opened.client.set(place, damage(world.opened.client.get(place)))
    told = world.http.get(f"/v1/decisions/{answer.json()['decision_id']}")
    assert (told.status_code, told.json()["error"]["code"]) == (500, "receipt_damaged")
    assert answer.json()["decision_id"] in told.json()["error"]["message"]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_retry_onto_a_damaged_receipt_sends_nothing_and_costs_nobody_an_answer(world, damage):
    body = [{"user_id": "ada"}, {"user_id": "bob"}]
    for user_id in ("ada", "bob"):
        world.send(world.identify(user_id), *(world.event(user_id, "login_failed") for _ in range(3)))
    first = ask(world, body, "k1").json()
    (place,) = world.opened.client.scan_iter(f"*:receipt:{first[0]['decision_id']}")
    world.opened.client.set(place, damage(world.opened.client.get(place)))
    again = ask(world, body, "k1")
    assert again.status_code == 200
    ada, bob = again.json()
    assert (ada["action"], bob) == ("none", first[1])
    assert "ledger_unavailable" in ada["degraded"]
    assert ada["decision_id"] != first[0]["decision_id"]
    assert len(world.opened.ledger.outbox("onboarding")) == 2


def test_a_receipt_as_an_earlier_release_stored_it_is_looked_up_and_found_again(world):
    answer, place = decided(world, key="k1")
    receipt = receipt_from(world.opened.client.get(place))
    world.opened.client.set(place, receipt)
    assert world.http.get(f"/v1/decisions/{answer.json()['decision_id']}").content == receipt
    assert ask(world, {"user_id": "ada"}, "k1").content == answer.content == orjson.dumps(orjson.loads(receipt)["output"])


@pytest.mark.parametrize("command", ["explain", "replay"])
def test_commands_say_it_in_a_line(world, command, redis_url, monkeypatch):
    monkeypatch.setenv("STILLHERE_REDIS_URL", redis_url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{world.home.root}/none.db")
    answer, place = decided(world)
    world.opened.client.set(place, world.opened.client.get(place)[:-3])
    product = world.home.root.with_name("home-product")
    named = ["--home", str(world.home.root), "--product", str(product)]
    ended = subprocess.run(
        [sys.executable, "-m", "serving.cli", command, answer.json()["decision_id"], *named], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert f"the receipt of {answer.json()['decision_id']} in Redis is damaged" in ended.stderr
