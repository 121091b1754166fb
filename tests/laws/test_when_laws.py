"""What holds for every instant that a decision names: asked again then, it is so; asked before, it is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from serving.decision.decide import decide
from serving.decision.policy import Cap
from serving.decision.values import Action
from tests.laws.decision_cases import BASE, POLICY, contacts, inputs_of_all_kinds, likely_inputs, open_arms, policies, quiet
from tests.serving_world import DAY_US, HOUR_US

laws = settings(max_examples=200, deadline=None)


def asked_at(inputs, at_us):
    """With the contacts that count by then: not the reservations that have expired."""
    return replace(inputs, as_of_us=at_us, contacts=tuple(one for one in inputs.contacts if one.counts_at(at_us)))


@laws
@given(inputs=inputs_of_all_kinds, policy=policies)
def test_a_promise_of_when_is_kept(inputs, policy):
    """Asked again at ``allowed_from``, with nothing else changed, the rule that named it passes."""
    for verdict in decide(inputs, policy).verdicts:
        if verdict.allowed_from_us is not None:
            assert verdict.allowed_from_us > inputs.as_of_us
            again = decide(replace(inputs, as_of_us=verdict.allowed_from_us), policy)
            assert all(v.passed for v in again.verdicts if (v.arm, v.rule) == (verdict.arm, verdict.rule))


@laws
@given(inputs=inputs_of_all_kinds, policy=policies)
def test_an_arm_that_time_alone_closes_is_open_when_it_says(inputs, policy):
    """And a moment that is named for the whole decision is the first of them."""
    decision = decide(inputs, policy)
    promised = {arm.name: arm.allowed_from_us for arm in decision.arms if arm.allowed_from_us is not None}
    acts = decision.action in (Action.SEND, Action.STAGE)
    assert decision.ask_again_at_us == (None if acts else min(promised.values(), default=None))
    for name, opens_us in promised.items():
        assert opens_us > inputs.as_of_us
        assert name in open_arms(decide(replace(inputs, as_of_us=opens_us), policy))
        assert name not in open_arms(decision)


@laws
@given(inputs=likely_inputs, policy=policies)
def test_an_arm_that_only_contacts_close_says_from_when(inputs, policy):
    """Whatever the rule, the price of a slot included: contacts grow old, so time alone opens what would be open without them."""
    alone = open_arms(decide(replace(inputs, contacts=(), exhausted={}), policy))
    for arm in decide(replace(inputs, exhausted={}), policy).arms:
        if arm.name in alone and not arm.open:
            assert arm.allowed_from_us is not None


closed_for_a_while = st.builds(
    lambda inputs, contacts, expire_h: replace(
        inputs,
        features={"seconds_since_last_use": 700_000.0, "count_key_action_30d": 0.0},
        contacts=tuple(
            one if hours is None else replace(one, expires_us=max(one.at_us, inputs.as_of_us) + hours * HOUR_US)
            for one, hours in zip(contacts, expire_h, strict=False)
        ),
    ),
    likely_inputs,
    contacts.map(lambda many: tuple(one for one in many if abs(one.at_us - BASE.as_of_us) < 2 * DAY_US)[-3:]).filter(bool),
    st.lists(st.sampled_from([None, None, 1, 5, 20]), min_size=3, max_size=3),
)


@settings(max_examples=300, deadline=None)
@given(
    inputs=closed_for_a_while,
    hours=st.integers(-40, 40),
    quiet_hours=st.lists(quiet, min_size=1, max_size=2).map(tuple),
    caps=st.sampled_from([timedelta(hours=3), timedelta(days=2), None]),
    share=st.floats(0, 1, exclude_max=True),
)
def test_no_arm_is_open_before_it_says(inputs, hours, quiet_hours, caps, share):
    """Whenever before then it is asked about, with what still counts by then."""
    policy = replace(POLICY, quiet_hours=quiet_hours, caps=(Cap(name="one", limit=1, window=caps),))
    now = asked_at(replace(inputs, timing=()), BASE.as_of_us + hours * HOUR_US)
    for arm in decide(now, policy).arms:
        if arm.allowed_from_us is not None:
            at_us = now.as_of_us + int(share * (arm.allowed_from_us - now.as_of_us))
            assert arm.name not in open_arms(decide(asked_at(now, at_us), policy))
