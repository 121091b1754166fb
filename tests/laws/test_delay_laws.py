"""What holds of every moment that chance chooses, whatever the inputs and the policy."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from serving.decision.caps import cap_windows, first_refusal, permits
from serving.decision.decide import decide
from serving.decision.local_time import quiet_range_at, zone_of
from serving.decision.output import output_json
from serving.decision.policy import Exploration, MessageClass
from serving.decision.values import Action
from tests.laws.decision_cases import BASE, DELAYS, POLICY, inputs_of_all_kinds, likely_inputs, policies

laws = settings(max_examples=200, deadline=None)
MICROSECONDS = 1e6
UNLIKELY = 1e-6
shares = st.sampled_from([0.05, 0.5, 1.0])
drawing = st.builds(
    lambda policy, share: replace(policy, exploration=replace(policy.exploration, delay_share=share, delays=DELAYS)), policies, shares
)

at_risk = st.one_of(likely_inputs.map(lambda likely: replace(likely, features=BASE.features, segment=None)), inputs_of_all_kinds)


@laws
@given(inputs=at_risk, policy=drawing)
def test_the_chances_of_the_moments_sum_to_one_and_are_those_of_what_was_done(inputs, policy):
    decision = decide(inputs, policy)
    if (delays := decision.delays) is None:
        return
    allowed = [slot for slot in delays.slots if slot.code == "ok"]
    assert sum(slot.propensity for slot in allowed) == pytest.approx(1.0, abs=1e-12)
    assert all(slot.propensity == 0.0 for slot in delays.slots if slot.code != "ok")
    assert [slot.at_us for slot in delays.slots] == sorted({slot.at_us for slot in delays.slots})
    assert sum(slot.is_own for slot in delays.slots) == 1
    listed = [slot for slot in allowed if slot.delay_us / MICROSECONDS in {delay.total_seconds() for delay in DELAYS}]
    assert delays.chance_of_each == 1 / len(listed)
    assert len(listed) >= 2
    if delays.taken is None:
        assert (decision.code, delays.is_drawn) == ("explored_none", False)
        return
    taken = delays.slots[delays.taken]
    assert (taken.at_us, taken.code) == (decision.send_at_us, "ok")
    assert taken.propensity > 0.0
    assert delays.is_drawn or taken.is_own
    assert decision.message_class is MessageClass.OUTREACH


@laws
@given(inputs=at_risk, policy=drawing)
def test_a_moment_is_open_to_chance_exactly_where_a_contact_would_be_allowed(inputs, policy):
    """Recounted from what the ledger is asked and the quiet hours, for the message that goes out."""
    decision, zone = decide(inputs, policy), zone_of(inputs.profile, policy)
    if decision.delays is None or decision.delays.taken is None:
        return
    ranges = policy.quiet_by_class[MessageClass.OUTREACH]
    for slot in decision.delays.slots:
        there = decision._replace(send_at_us=slot.at_us, action=Action.SEND)
        has_room = first_refusal(inputs.contacts, cap_windows(there, inputs, policy)) is None
        full = [one for one in permits(there, policy) if inputs.exhausted.get(one.name) == one.until_us]
        assert (slot.code == "ok") is (quiet_range_at(slot.at_us, ranges, zone) is None and has_room and not full)


@laws
@given(inputs=at_risk, policy=drawing)
def test_chance_over_moments_changes_nothing_of_whom_how_and_with_what(inputs, policy):
    """And without it the bytes are those of a policy that never heard of it."""
    without = replace(policy, exploration=replace(policy.exploration, delay_share=0.0, delays=()))
    drawn, plain = decide(inputs, policy), decide(inputs, without)
    same = ("action", "code", "channel", "message_id", "message_propensity", "arms", "cause", "matched", "curve", "advice")
    assert [getattr(drawn, name) for name in same] == [getattr(plain, name) for name in same]
    assert "delays" not in orjson.loads(output_json(plain, {}))
    if drawn.delays is None:
        assert output_json(drawn, {}) == output_json(plain, {})


@settings(max_examples=8, deadline=None)
@given(share=shares, salt=st.integers(0, 10**6))
def test_moments_are_drawn_as_often_as_their_propensities_say(share, salt):
    policy = replace(POLICY, exploration=Exploration(delay_share=share, delays=DELAYS))
    decisions = [decide(replace(BASE, decision_id=f"{salt}-{number}"), policy) for number in range(1_000)]
    slots = decisions[0].delays.slots
    assert all(decision.delays.slots == slots for decision in decisions)
    open_slots = [slot for slot in slots if slot.propensity > 0.0]
    assert len(open_slots) >= 3
    sent = Counter(decision.send_at_us for decision in decisions)
    assert chisquare([sent[slot.at_us] for slot in open_slots], [slot.propensity * 1_000 for slot in open_slots]).pvalue > UNLIKELY
