"""Another policy over past decisions finds the contacts that it would have made itself: it does what it would have done live."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import orjson
import pytest

from serving.carried_contacts import CarriedContacts
from serving.decision.output import output_object
from serving.decision.policy import Cap, Exploration, Message, Mode, RateLimit
from serving.decision.record import inputs_from_json
from serving.policy_file.document import with_hash
from tests.serving_world import HOUR_US, FixedScorer, World

USERS = ("ada", "bob", "eve")
DAILY = (Cap(name="email_per_day", limit=1, channel="email"), Cap(name="all_per_day", limit=4))
WEEKLY = (*DAILY, Cap(name="email_per_week", limit=2, channel="email", window=timedelta(days=7)))
FEW = RateLimit(name="few", limit=2, per=timedelta(hours=12))
CHANCE = Exploration(arm_share=0.5, message_share=0.5, delay_share=0.5, delays=(timedelta(0), timedelta(hours=13)))
MONTHLY = (*DAILY, Cap(name="email_per_month", limit=2, channel="email", window=timedelta(days=28)))


@pytest.fixture
def calm(shipped_policy):
    """E-mail alone, and so that nothing but caps keeps one from following the other."""
    email = tuple(channel for channel in shipped_policy.channels if channel.name == "email")
    messages = tuple(shortened(message) for message in shipped_policy.messages if message.channel == "email")
    triggers = tuple(trigger for trigger in shipped_policy.triggers if trigger.name == "high_risk")
    changed = replace(shipped_policy, channels=email, messages=messages, triggers=triggers, caps=DAILY, guardrails=(), quiet_hours=())
    return with_hash(changed)


def shortened(message: Message) -> Message:
    return replace(message, cooldown=timedelta(hours=1))


def varied(policy, **changes):
    return with_hash(replace(policy, **changes))


def lived(product, policy, *, days=9, every_h=7):
    """Receipts of users of different risk who are decided about again and again by the policy."""
    world = World(product, policy, scorer=FixedScorer(said_contributions={}))
    world.service = world.service_with(policy, scorer=world.scorer, entropy=np.random.default_rng(3).bytes)  # the same draws in every run
    for user_id in USERS:
        world.person(user_id)
        world.happens(user_id, "login", times=12, ago=timedelta(days=10))
    receipts = []
    for number in range(days * 24 // every_h):
        world.later(hours=every_h)
        for user_id in USERS:
            world.scorer.said_risk = (number * 7 + len(receipts) * 3) % 10 / 10 + 0.05
            receipts.append(world.answer(user_id).receipt)
    return receipts


def done(output):
    message = output["message"] or {}
    return output["user_id"], output["as_of"], output["action"], output["reason"]["code"], message.get("id")


def redecided(receipts, policy):
    carried, found = CarriedContacts(policy=policy), []
    for receipt in receipts:
        recorded = orjson.loads(receipt)
        decision = carried.decide(inputs_from_json(recorded["inputs"]), recorded["output"])
        found.append(output_object(decision, recorded["versions"]))
    return found


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ({"risk_threshold": 0.9}, {"risk_threshold": 0.1}),
        ({"risk_threshold": 0.1}, {"risk_threshold": 0.9}),
        ({"risk_threshold": 0.3}, {"risk_threshold": 0.5}),
        ({"risk_threshold": 0.1}, {"risk_threshold": 0.1, "caps": WEEKLY}),
        ({"risk_threshold": 0.1, "caps": WEEKLY}, {"risk_threshold": 0.1}),
        ({"risk_threshold": 0.1, "caps": WEEKLY}, {"risk_threshold": 0.4, "caps": MONTHLY}),
        ({"risk_threshold": 0.1}, {"risk_threshold": 0.1, "rate_limits": (FEW,)}),
        ({"risk_threshold": 0.1, "rate_limits": (RateLimit(name="few", limit=1, per=timedelta(hours=12)),)}, {"risk_threshold": 0.1}),
    ],
)
def test_it_does_what_the_policy_would_have_done_live(onboarding, calm, then, now):
    common = {"segment_thresholds": {}}
    other = varied(calm, **common, **now)
    again = redecided(lived(onboarding, varied(calm, **common, **then)), other)
    live = [orjson.loads(receipt)["output"] for receipt in lived(onboarding, other)]
    assert [done(output) for output in again] == [done(output) for output in live]
    assert any(output["action"] == "send" for output in live)


@pytest.mark.parametrize("more", [{}, {"rate_limits": (FEW,), "exploration": CHANCE}], ids=["of itself", "with rate limits and chance"])
def test_the_policy_that_decided_does_the_same_again(onboarding, calm, more):
    policy = varied(calm, risk_threshold=0.2, caps=WEEKLY, segment_thresholds={}, **more)
    receipts = lived(onboarding, policy)
    assert redecided(receipts, policy) == [orjson.loads(receipt)["output"] for receipt in receipts]
    had_no_room = [receipt for receipt in receipts if b'"rate_limited"' in receipt]
    assert bool(had_no_room) is bool(more)
    assert all(b'"exhausted_before_draw":true' in receipt for receipt in had_no_room)


def test_a_policy_in_staging_does_not_stage_what_its_caps_would_refuse(onboarding, calm):
    lax = {"risk_threshold": 0.0, "segment_thresholds": {}}
    receipts = lived(onboarding, varied(calm, **lax, mode=Mode.STAGING))
    assert sum(orjson.loads(receipt)["output"]["action"] == "stage" for receipt in receipts) == len(receipts)
    for mode, action in ((Mode.STAGING, "stage"), (Mode.LIVE, "send")):
        days = {(output["user_id"], output["as_of"][:10]) for output in redecided(receipts, varied(calm, **lax, mode=mode))}
        sent = [output for output in redecided(receipts, varied(calm, **lax, mode=mode)) if output["action"] == action]
        assert len(sent) == len(days)  # one a day


def with_contacts(receipt, edit):
    content = orjson.loads(receipt)
    content["inputs"]["contacts"] = edit(content["inputs"]["contacts"])
    return orjson.dumps(content)


def test_contacts_from_before_the_first_receipt_stand(onboarding, calm):
    receipts = lived(onboarding, varied(calm, risk_threshold=0.0, segment_thresholds={}), days=9)
    later = receipts[3 * 10 :]
    (first, *_) = redecided(later, varied(calm, risk_threshold=0.0, caps=WEEKLY, segment_thresholds={}))
    assert first["reason"]["code"] == "cap_reached"
    assert any(verdict["rule"] == "cap:email_per_week" and not verdict["passed"] for verdict in first["verdicts"])


def test_what_both_send_alike_fares_as_later_receipts_show(onboarding, calm):
    """The e-mail failed and gave its place back: the ledger no longer showed it, and it is not in the way under another policy."""
    policy, other = (varied(calm, risk_threshold=bound, segment_thresholds={}) for bound in (0.0, 0.01))
    ada = [receipt for receipt in lived(onboarding, policy, every_h=3) if orjson.loads(receipt)["output"]["user_id"] == "ada"]
    same_day = next(pair for pair in pairwise(ada) if orjson.loads(pair[0])["output"]["action"] == "send")
    for edit, action in ((lambda contacts: contacts, "defer"), (lambda _: [], "send")):
        pair = [same_day[0], with_contacts(same_day[1], edit)]
        assert redecided(pair, other)[1]["action"] == action


def test_a_contact_delivered_on_another_day_counts_there(onboarding, calm):
    policy, other = (varied(calm, risk_threshold=bound, segment_thresholds={}) for bound in (0.0, 0.01))
    ada = [receipt for receipt in lived(onboarding, policy, every_h=24) if orjson.loads(receipt)["output"]["user_id"] == "ada"]

    def two_hours_ago(contacts):
        return [{**contact, "at_us": contact["at_us"] + 22 * HOUR_US} for contact in contacts]

    for edit, code in ((lambda contacts: contacts, "sent_by_high_risk"), (two_hours_ago, "cap_reached")):
        assert redecided([ada[0], with_contacts(ada[1], edit)], other)[1]["reason"]["code"] == code


def test_without_a_ledger_nothing_was_sent_and_nothing_would_have_been(onboarding, calm):
    policy = varied(calm, risk_threshold=0.0, segment_thresholds={})
    (receipt, *_) = lived(onboarding, policy)
    (output,) = redecided([with_contacts(receipt, lambda _: None)], policy)
    assert output["reason"]["code"] == "ledger_unavailable"


def test_what_is_carried_does_not_grow_with_receipts(onboarding, calm):
    """However long users are decided about, no more is known than their contacts of the longest window: a week of one a day."""
    policy = varied(calm, risk_threshold=0.0, segment_thresholds={})
    carried = CarriedContacts(policy=policy)
    for receipt in lived(onboarding, varied(calm, risk_threshold=0.9, segment_thresholds={}), days=30):
        recorded = orjson.loads(receipt)
        carried.decide(inputs_from_json(recorded["inputs"]), recorded["output"])
    assert all(len(person.known) <= 9 and person.own <= person.known.keys() for person in carried._people.values())
