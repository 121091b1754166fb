"""Reservations, deliveries and rate limits as a whole service keeps them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import orjson
import pytest

from features.core.event import to_us
from serving.decision.local_time import local
from serving.decision.policy import Cap, Channel, MessageClass, RateLimit
from serving.policy_file.document import with_hash
from serving.ports import Delivery
from serving.replay import Replayer
from tests.serving_world import FixedScorer, World


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


def test_caps_hold_over_a_month_of_asking_every_hour(onboarding, shipped_policy):
    policy = with_hash(replace(shipped_policy, caps=(Cap(name="email_per_day", limit=1, channel="email"), Cap(name="all", limit=2))))
    world = World(onboarding, policy, scorer=FixedScorer(said_risk=0.9))
    world.person("ada", timezone="America/New_York")
    world.happens("ada", "login", times=12, ago=timedelta(days=10))
    causes = ["silence", "skipped_setup", "slow_start", "login_friction"]
    for hour in range(24 * 30):
        world.scorer.said_contributions = {causes[hour % 4]: 1.0}
        world.happens("ada", "login_failed", times=3)
        world.answer()
        world.later(hours=1)
    contacts = world.ledger.contacts("onboarding", "ada", since_us=0)
    zone = ZoneInfo("America/New_York")
    per_day = Counter(local(c.at_us, zone).date() for c in contacts)
    emails = Counter(local(c.at_us, zone).date() for c in contacts if c.channel == "email")
    assert max(per_day.values()) == 2
    assert max(emails.values(), default=0) <= 1
    assert all(not (local(c.at_us, zone).hour >= 21 or local(c.at_us, zone).hour < 8) for c in contacts if c.channel == "email")
