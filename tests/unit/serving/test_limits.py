"""Reservations, deliveries and rate limits as a whole service keeps them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import orjson
import pytest

from features.core.event import to_us
from serving.decision.policy import Cap, Channel, MessageClass, RateLimit
from serving.policy_file.document import with_hash
from serving.ports import Delivery
from serving.replay import Replayer
from tests.serving_world import World


@pytest.fixture
def limited(onboarding, shipped_policy):
    """A world with some limits changed."""

    def make(scorer, **changes):
        return World(onboarding, with_hash(replace(shipped_policy, **changes)), scorer=scorer)

    return make


SIX_HOURS_FOR_EMAIL = {
    "caps": (Cap(name="email", limit=1, channel="email"), Cap(name="week", limit=1, window=timedelta(days=7))),
    "channels": (
        Channel(name="in_app", message_class=MessageClass.ASSIST),
        Channel(name="push", message_class=MessageClass.OUTREACH, available="app_installed"),
        Channel(name="email", message_class=MessageClass.OUTREACH, deliver_within=timedelta(hours=6)),
    ),
}


def leaving(world, user_id):
    world.person(user_id)
    world.happens(user_id, "login", times=12, ago=timedelta(days=10))
    return user_id


def test_a_rate_limit_defers_the_next_user_to_the_next_window_and_the_receipt_replays(limited, world):
    rates = (RateLimit(name="all_email", limit=1, per=timedelta(hours=1), channel="email"),)
    world = limited(world.scorer, rate_limits=rates)
    ada, bob = leaving(world, "ada"), leaving(world, "bob")
    assert world.decide(ada)["action"] == "send"
    answer = world.answer(bob)
    output = orjson.loads(answer.output)
    assert (output["action"], output["reason"]["code"], output["ask_again_at"]) == ("defer", "rate_limited", "2026-03-02T13:00:00Z")
    assert answer.stored
    assert Replayer(archive=world.archive).replay(answer.receipt).output == answer.output
    world.later(hours=1)
    assert world.decide(bob)["action"] == "send"


def test_a_message_that_nobody_confirmed_gives_its_place_back_when_it_expires(limited, world):
    world = limited(world.scorer, **SIX_HOURS_FOR_EMAIL)
    ada = leaving(world, "ada")
    first = world.decide(ada)
    assert (first["action"], first["moment"]["expires_at"]) == ("send", "2026-03-02T18:00:00Z")
    world.later(hours=6, minutes=4)
    assert world.decide(ada)["action"] != "send"
    world.later(minutes=1)
    assert world.decide(ada)["action"] == "send"


def test_what_was_delivered_keeps_its_place(limited, world):
    world = limited(world.scorer, **SIX_HOURS_FOR_EMAIL)
    ada = leaving(world, "ada")
    first = world.decide(ada)
    assert world.ledger.confirm("onboarding", first["decision_id"], delivered_us=to_us(world.now)) is Delivery.CONFIRMED
    world.later(days=6, hours=23)
    assert world.decide(ada)["action"] != "send"
    world.later(hours=1)
    assert world.decide(ada)["action"] == "send"
