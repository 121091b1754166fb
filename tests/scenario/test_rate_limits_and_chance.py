"""Where a rate limit has no room chance knows it before it draws, so that what is stated of its draws is true."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import numpy as np
import orjson
import pytest
from scipy.stats import chisquare

from features.core.event import to_us
from serving.adapters.memory_ledger import MemoryLedger
from serving.api.schemas import ReceiptOut
from serving.decision.policy import Exploration, MessageClass, Mode, RateLimit
from serving.decision.values import Contact, Permit
from serving.policy_file.document import with_hash
from serving.ports import Commit, LedgerError
from serving.replay import Outcome, Replayer
from tests.scenario.situations import gone_quiet, uses_the_app
from tests.serving_world import DAY_US, HOUR_US, NOON, World

HOUR = timedelta(hours=1)
N_DECISIONS = 2_000
UNLIKELY = 1e-6
EMAILS = RateLimit(name="emails", limit=1, per=HOUR, channel="email")
AT_NOON = to_us(NOON) // HOUR_US * HOUR_US


class AskedLedger(MemoryLedger):
    """Remembers what it was asked about; and does something else in between, or fails, where it is told to."""

    def __init__(self, *, then=lambda: None):
        super().__init__()
        object.__setattr__(self, "asked", [])
        object.__setattr__(self, "commits", [])
        object.__setattr__(self, "then", then)

    def without_room(self, product, windows):
        self.asked.append(windows)
        found = super().without_room(product, windows)
        self.then()
        return found

    def commit(self, product, commit):
        self.commits.append(commit)
        return super().commit(product, commit)


def fill(world, *, since_us=AT_NOON, rate=EMAILS):
    """Take every place of a window."""
    permit = Permit(f"rate:{rate.name}", since_us, since_us + rate.per_us, rate.limit)
    email = {"channel": "email", "message_class": MessageClass.OUTREACH, "message_id": "checking_in", "at_us": since_us}
    for number in range(rate.limit):
        id_ = f"other-{since_us}-{number}"
        parts = {"user_id": id_, "receipt": b"{}", "timeline_hash": "h", "timeline": b"", "as_of_us": to_us(NOON)}
        commit = Commit(decision_id=id_, contact=Contact(decision_id=id_, **email), permits=(permit,), **parts)
        assert MemoryLedger.commit(world.ledger, world.product.name, commit).committed


@pytest.fixture
def exploring(onboarding, shipped_policy, world):
    def exploring(exploration, *, ledger=None, rate_limits=(EMAILS,), **changes):
        policy = replace(shipped_policy, holdout=None, exploration=exploration, rate_limits=rate_limits, **changes)
        exploring = World(onboarding, with_hash(policy), scorer=world.scorer, ledger=ledger or AskedLedger())
        exploring.service = exploring.service_with(with_hash(policy), entropy=np.random.default_rng(3).bytes)  # the same draws in every run
        return exploring

    return exploring


def propensities(output):
    return {arm["name"]: arm["propensity"] for arm in output["arms"]}


def arm_of(output):
    message = output["message"]
    return "none" if message is None else f"{message['class']}/{message['channel']}"


def test_arms_are_taken_as_often_as_is_stated_where_a_window_is_full(exploring):
    world = exploring(Exploration(arm_share=0.3, message_share=0.3))
    fill(world)
    taken, stated = Counter(), Counter()
    for number in range(N_DECISIONS):
        output = world.decide(uses_the_app(world, f"user-{number}"))
        taken[arm_of(output)] += 1
        stated.update(propensities(output))
    possible = [arm for arm, expected in stated.items() if expected > 0.0]
    assert set(taken) <= set(possible)
    assert len(possible) >= 2
    assert stated["outreach/email"] == 0.0
    assert chisquare([taken[arm] for arm in possible], [stated[arm] for arm in possible]).pvalue > UNLIKELY


def test_messages_are_drawn_as_often_as_is_stated_where_one_campaign_has_no_room(exploring, shipped_policy):
    """Of the messages by e-mail those of one campaign cannot go in this hour; the others are drawn with the chances that they state."""
    messages = tuple(replace(one, campaign="spring") if one.id == "checking_in" else one for one in shipped_policy.messages)
    rate = RateLimit(name="spring", limit=1, per=HOUR, campaign="spring")
    world = exploring(Exploration(message_share=0.9), rate_limits=(rate,), messages=messages)
    fill(world, rate=rate)
    taken, stated = Counter(), {}
    for number in range(N_DECISIONS // 2):
        message = world.decide(gone_quiet(world, f"user-{number}"))["message"]
        taken[message["id"]] += 1
        assert stated.setdefault(message["id"], message["propensity"]) == message["propensity"]
    assert "checking_in" not in taken
    assert len(stated) >= 3
    assert sum(stated.values()) == pytest.approx(1.0)
    assert chisquare([taken[id_] for id_ in stated], [stated[id_] * N_DECISIONS / 2 for id_ in stated]).pvalue > UNLIKELY


def test_moments_with_room_are_drawn_from_where_others_have_none(exploring):
    """Tomorrow's hour is full: now and the day after are drawn, one of two each."""
    chance = Exploration(delay_share=1.0, delays=tuple(hour * HOUR for hour in (0, 24, 48)))
    world = exploring(chance, rate_limits=(replace(EMAILS, limit=N_DECISIONS),))
    fill(world, since_us=AT_NOON + DAY_US, rate=replace(EMAILS, limit=N_DECISIONS))
    drawn = Counter()
    for number in range(400):
        delays = world.decide(gone_quiet(world, f"user-{number}"))["delays"]
        assert [slot["code"] for slot in delays["slots"]] == ["ok", "rate_limited", "ok"]
        assert delays["propensity"] == 0.5
        drawn[delays["delay_s"]] += 1
    assert drawn.keys() == {0.0, 48 * 3_600.0}
    assert chisquare(list(drawn.values())).pvalue > UNLIKELY


def test_what_had_no_room_is_in_the_receipt_which_decides_the_same_again(exploring):
    world = exploring(Exploration(arm_share=0.3))
    fill(world)
    answer = world.answer(uses_the_app(world))
    receipt = orjson.loads(answer.receipt)
    assert receipt["inputs"]["exhausted"] == {"rate:emails": AT_NOON + HOUR_US}
    assert receipt["inputs"]["exhausted_before_draw"] is True
    assert ReceiptOut.model_validate_json(answer.receipt).inputs.exhausted_before_draw
    assert (
        receipt["output"]["arms"][[arm["name"] for arm in receipt["output"]["arms"]].index("outreach/email")]["blocked_by"]
        == "rate_limited"
    )
    report = Replayer(archive=world.archive).replay(answer.receipt)
    assert (report.output, report.decision.outcome) == (answer.output, Outcome.SAME)


def test_what_waits_for_the_morning_is_asked_about_there(exploring):
    """21:00 in Tokyo: an e-mail goes at 8:00, in an hour that is full."""
    world = exploring(Exploration(arm_share=0.3))
    morning_us = AT_NOON + 11 * HOUR_US
    fill(world, since_us=morning_us)
    receipt = orjson.loads(world.answer(gone_quiet(world, timezone="Asia/Tokyo")).receipt)
    assert receipt["inputs"]["exhausted"] == {"rate:emails": morning_us + HOUR_US}
    assert (receipt["output"]["action"], receipt["output"]["reason"]["code"]) == ("defer", "rate_limited")


def test_a_window_that_another_caller_fills_in_between_is_met_at_the_commit_and_the_receipt_says_so(exploring):
    """Whatever moment chance drew is full by then: no moment is drawn once a draw was refused."""
    ledger = AskedLedger(then=lambda: [fill(world, since_us=AT_NOON + day * DAY_US) for day in (0, 1)])
    world = exploring(Exploration(delay_share=1.0, delays=(0 * HOUR, 24 * HOUR)), ledger=ledger)
    receipt = orjson.loads(world.answer(gone_quiet(world)).receipt)
    assert AT_NOON + HOUR_US in receipt["inputs"]["exhausted"].values()
    assert len(ledger.asked) == 1
    assert "exhausted_before_draw" not in receipt["inputs"]
    assert receipt["output"]["reason"]["code"] == "rate_limited"
    assert "delays" not in receipt["output"]


@pytest.mark.parametrize(
    ("exploration", "changes"),
    [(Exploration(arm_share=0.3), {"rate_limits": ()}), (Exploration(), {}), (Exploration(arm_share=0.3), {"mode": Mode.STAGING})],
    ids=["no rate limits", "no chance", "staging, which takes no place"],
)
def test_nothing_is_asked_where_nothing_depends_on_it(exploring, exploration, changes):
    world = exploring(exploration, **changes)
    assert any(arm["open"] for arm in world.decide(uses_the_app(world))["arms"] if arm["name"] != "none")
    assert world.ledger.asked == []


def test_nothing_is_asked_about_users_whom_nothing_calls_for(exploring):
    world = exploring(Exploration(arm_share=0.3))
    world.person("ada")
    assert world.decide("ada")["action"] == "none"
    assert world.ledger.asked == []


def test_users_of_a_step_are_asked_about_together_and_each_window_once(exploring):
    world = exploring(Exploration(arm_share=0.3, delay_share=0.5, delays=(0 * HOUR, 24 * HOUR)), timing=None)
    users = [gone_quiet(world, f"user-{number}") for number in range(5)]
    world.service.decide_many(users, now_us=to_us(NOON))
    asked = [[(window.name, window.since_us - AT_NOON) for window in windows] for windows in world.ledger.asked]
    assert asked == [[("rate:emails", 0), ("rate:emails", DAY_US)]]


def test_without_an_answer_nothing_is_sent_and_nothing_committed(exploring):
    """As of any read of the ledger: one that does not answer now would have to be waited for again at the commit."""

    def away():
        raise LedgerError("away")

    world = exploring(Exploration(arm_share=0.3), ledger=AskedLedger(then=away))
    answer = world.answer(uses_the_app(world))
    output = orjson.loads(answer.output)
    assert (answer.stored, output["reason"]["code"], output["degraded"]) == (False, "ledger_unavailable", ["ledger_unavailable"])
    assert world.ledger.commits == []
