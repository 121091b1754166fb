"""Holdout and exploration over many ids: the shares are those stated, within what chance allows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from scipy.stats import binomtest, chisquare

from serving.decision.decide import decide
from serving.decision.eligibility import is_held_out
from serving.decision.policy import Cap, Exploration, Holdout
from serving.decision.record import inputs_from_json
from serving.policy_file import load_policy
from tests.certain import certain_policy
from tests.serving_world import ROOT, FixedScorer, World, golden_inputs, golden_policy

N_USERS = 10_000
N_DECISIONS = 3_000
UNLIKELY = 1e-4


@pytest.fixture(scope="module")
def inputs():
    """Somebody whom push and e-mail are both open for."""
    return golden_inputs("the_channel_that_the_user_prefers_goes_first")


def held_out(users, inputs, salt="2026", share=0.05):
    policy = replace(golden_policy("full"), holdout=Holdout(share=share, salt=salt))
    return {user for user in users if is_held_out(replace(inputs, user_id=user), policy)}


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_the_share_of_users_held_out_is_that_of_the_policy(inputs, share):
    users = [f"user-{number}" for number in range(N_USERS)]
    held = held_out(users, inputs, share=share)
    assert binomtest(len(held), N_USERS, share).pvalue > UNLIKELY


def test_another_salt_draws_other_users_and_a_greater_share_keeps_the_former(inputs):
    users = [f"user-{number}" for number in range(N_USERS)]
    before, again, grown = held_out(users, inputs), held_out(users, inputs, salt="2027"), held_out(users, inputs, share=0.1)
    assert binomtest(len(before & again), len(before), 0.05).pvalue > UNLIKELY
    assert before < grown


def test_who_is_held_out_is_held_out_in_every_decision_and_named_so(inputs):
    policy = replace(golden_policy("full"), holdout=Holdout(share=0.05, salt="2026"))
    users = [f"user-{number}" for number in range(400)]
    held = held_out(users, inputs)
    assert held
    for user in users:
        for day in (0, 30):
            output = decide(replace(inputs, user_id=user, decision_id=f"{user}-{day}"), policy)
            assert output.assignments == {"holdout": "held_out" if user in held else "treated"}
            assert (output.code == "holdout") is (user in held)


def explored(inputs, exploration):
    """Decisions of one situation under as many ids."""
    policy = replace(golden_policy("full"), holdout=None, exploration=exploration)
    return [decide(replace(inputs, decision_id=f"decision-{number}"), policy) for number in range(N_DECISIONS)]


def test_arms_are_chosen_as_often_as_their_propensities_say(inputs):
    decisions = explored(inputs, Exploration(arm_share=0.6))
    stated = {arm.name: arm.propensity for arm in decisions[0].arms}
    assert all({arm.name: arm.propensity for arm in decision.arms} == stated for decision in decisions)
    assert sum(stated.values()) == pytest.approx(1.0)
    n_open = sum(propensity > 0.0 for propensity in stated.values())
    assert max(stated.values()) == pytest.approx(0.4 + 0.6 / n_open)
    chosen = Counter("none" if decision.channel is None else f"{decision.message_class.value}/{decision.channel}" for decision in decisions)
    assert all(stated[name] > 0.0 for name in chosen)
    names = [name for name, propensity in stated.items() if propensity > 0.0]
    assert chisquare([chosen[name] for name in names], [stated[name] * N_DECISIONS for name in names]).pvalue > UNLIKELY
    assert {decision.code for decision in decisions if decision.channel is None} == {"explored_none"}


def test_messages_are_chosen_as_often_as_their_propensities_say(inputs):
    decisions = explored(inputs, Exploration(message_share=0.5))
    stated: dict[str, float] = {}
    for decision in decisions:
        assert stated.setdefault(decision.message_id, decision.message_propensity) == decision.message_propensity
    assert sum(stated.values()) == pytest.approx(1.0)
    assert len(stated) >= 2
    chosen = Counter(decision.message_id for decision in decisions)
    assert chisquare([chosen[name] for name in stated], [stated[name] * N_DECISIONS for name in stated]).pvalue > UNLIKELY


def test_holdout_arm_and_message_are_drawn_independently(inputs):
    decisions = explored(inputs, Exploration(arm_share=0.6, message_share=0.5))
    sent = [decision for decision in decisions if decision.channel is not None]
    by_arm = Counter(decision.channel for decision in sent)
    for channel, n in by_arm.items():
        stated = {d.message_id: d.message_propensity for d in sent if d.channel == channel}
        chosen = Counter(d.message_id for d in sent if d.channel == channel)
        assert chisquare([chosen[m] for m in stated], [p * n for p in stated.values()]).pvalue > UNLIKELY


def test_chance_never_goes_over_a_cap(inputs):
    policy = replace(golden_policy("full"), holdout=None, exploration=Exploration(arm_share=1.0, message_share=1.0))
    none_left = replace(policy, caps=(*policy.caps, Cap(name="nothing", limit=0)))
    for number in range(300):
        decision = decide(replace(inputs, decision_id=f"decision-{number}"), none_left)
        assert decision.channel is None
        assert decision.arms[-1].propensity == 1.0


def test_without_exploration_every_propensity_is_nought_or_one(inputs):
    decision = decide(inputs, replace(golden_policy("full"), holdout=None, exploration=Exploration()))
    assert {arm.propensity for arm in decision.arms} == {0.0, 1.0}
    assert decision.message_propensity == 1.0


def test_replayed_chance_is_the_same_chance(inputs):
    policy = replace(golden_policy("full"), holdout=None, exploration=Exploration(arm_share=0.9, message_share=0.9))
    asked = [replace(inputs, decision_id=f"decision-{number}") for number in range(50)]
    assert [decide(one, policy) for one in asked] == [decide(one, policy) for one in asked]
    later = [replace(one, as_of_us=one.as_of_us + timedelta(hours=1) // timedelta(microseconds=1)) for one in asked]
    assert [decide(one, policy).channel for one in later] == [decide(one, policy).channel for one in asked]  # of the id alone


@pytest.fixture(scope="module")
def in_trouble(onboarding):
    """What is known of somebody whose sign-in keeps failing."""
    world = World(onboarding, certain_policy(onboarding), scorer=FixedScorer(said_risk=0.2, said_contributions={"login_friction": 1.0}))
    world.person("ada")
    world.happens("ada", "login_failed", times=3)
    return inputs_from_json(orjson.loads(world.answer("ada").receipt)["inputs"])


def test_the_onboarding_policy_measures_what_help_is_worth_and_what_matching_is(onboarding, in_trouble):
    """A random share gets nothing, another a message that is not matched to the cause: both are known, and so are their chances."""
    policy = load_policy(ROOT / "products" / "onboarding" / "policy.yaml", onboarding)
    people = [replace(in_trouble, user_id=f"user-{number}", decision_id=f"decision-{number}") for number in range(N_USERS)]
    decisions = [decide(one, policy) for one in people]
    held = [one for one in decisions if one.assignments == {"holdout": "held_out"}]
    assert all((one.code, one.message_id) == ("holdout", None) for one in held)
    assert binomtest(len(held), N_USERS, 0.05).pvalue > UNLIKELY
    treated = [one for one in decisions if one.assignments == {"holdout": "treated"}]
    nothing = [one for one in treated if one.message_id is None]
    assert {one.code for one in nothing} == {"explored_none"}
    assert binomtest(len(nothing), len(treated), 0.05 / 2).pvalue > UNLIKELY  # of two: the open arm, and none
    assert {arm.name: arm.propensity for arm in treated[0].arms}["assist/in_app"] == pytest.approx(0.975)
    helped = [one for one in treated if one.message_id is not None]
    unmatched = [one for one in helped if not one.matched]
    n_fitting = len({one.message_id for one in helped})
    assert binomtest(len(unmatched), len(helped), 0.05 * (n_fitting - 1) / n_fitting).pvalue > UNLIKELY
    assert {one.message_propensity for one in unmatched} == {0.05 / n_fitting}
    assert {one.message_id for one in helped if one.matched} == {"secure_reset"}
