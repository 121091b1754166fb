"""The price of a slot: the timeline that docs/policy-file.md tells, and what it is worth where risk differs from day to day."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.bench_slot_price import draw_risks, play, policy_with
from serving.decision.decide import decide
from serving.decision.values import Inputs
from tests.serving_world import DAY_US, contact

MONDAY_US = 4 * DAY_US + 12 * 3_600_000_000  # 5 January 1970


@pytest.fixture
def policy():
    """A push that is expected to take away 0.8 of the risk; whoever has any is a candidate."""
    made = policy_with(slot_price=0.6, risk_threshold=0.0)
    return replace(made, messages=(replace(made.messages[0], effect=0.8),))


def asked(policy, day, risk, sent_on=()):
    inputs = Inputs(
        decision_id="d",
        user_id="ada",
        as_of_us=MONDAY_US + day * DAY_US,
        n_events=10,
        features={"count": 1.0},
        risk=risk,
        contributions=None,
        profile={"consent": True},
        segment=None,
        contacts=tuple(contact("push", "push", at_us=MONDAY_US + on * DAY_US) for on in sent_on),
    )
    return decide(inputs, policy)


@pytest.mark.parametrize(
    ("day", "risk", "sent_on", "action", "code"),
    [
        (0, 0.35, (), "none", "slot_price"),
        (1, 0.65, (), "send", "sent_by_risk"),
        (2, 0.70, (1,), "none", "slot_price"),
        (3, 0.90, (1,), "send", "sent_by_risk"),
        (4, 0.95, (1, 3), "defer", "cap_reached"),
    ],
)
def test_point_6_the_timeline_of_the_document(policy, day, risk, sent_on, action, code):
    decision = asked(policy, day, risk, sent_on)
    assert (decision.action.value, decision.code) == (action, code)


def test_point_6_what_is_deferred_by_the_cap_is_told_from_when(policy):
    assert asked(policy, 4, 0.95, (1, 3)).ask_again_at_us == MONDAY_US + 8 * DAY_US  # Tuesday


@pytest.mark.parametrize(
    ("risk", "sent_on", "from_day"),
    [
        (0.70, (1,), 8),  # worth 0.56: not the last place, but the first again, once Tuesday's push is a week old
        (0.70, (1, 0), 8),  # the one of Monday leaves a place on the next Monday, which is still the last
        (0.35, (1,), None),  # worth 0.28: not even the first
    ],
)
def test_point_6_what_costs_too_much_now_is_told_from_when_it_costs_less(policy, risk, sent_on, from_day):
    decision = asked(policy, 2, risk, sorted(sent_on))
    from_us = None if from_day is None else MONDAY_US + from_day * DAY_US
    (push, _) = decision.arms
    assert (push.open, push.allowed_from_us, decision.ask_again_at_us) == (False, from_us, from_us)
    if from_day is not None:
        assert asked(policy, from_day, risk, sorted(sent_on)).arms[0].open


def test_point_6_without_a_price_the_mediocre_push_takes_the_slot(policy):
    free = replace(policy, channels=(replace(policy.channels[0], slot_price=0.0),))
    assert asked(free, 2, 0.70, (1,)).action.value == "send"


def test_a_cap_of_one_contact_sets_no_price(policy):
    """With one a day beside two a week, each would otherwise cost as if it were the last of the week."""
    assert [cap.limit for cap in policy.caps] == [2, 1]
    price = next(verdict for verdict in asked(policy, 1, 0.65).verdicts if verdict.rule == "price")
    assert price.sentence == "The contact is expected to take away 0.520 of risk; its slot costs 0.300."


def test_point_6_more_is_retained_per_message_than_by_greedy_sending_at_the_same_caps():
    """The whole of it, with an equally sparing threshold for a reference, is `make bench-slot-price`."""
    risks = draw_risks(n_users=80, n_days=42, seed=3)
    greedy, priced = play(risks, policy_with()), play(risks, policy_with(slot_price=0.2))
    assert priced.per_message > 1.03 * greedy.per_message
    assert priced.retained > 0.99 * greedy.retained


def test_no_policy_of_the_simulation_sends_more_than_the_caps_allow():
    risks = np.full((3, 28), 0.9)
    assert play(risks, policy_with()).messages == 3 * 2 * 4
