"""What `stillhere policy check` finds: rules that never speak, and rules that work against each other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from features.core.condition import Comparison, Condition
from serving.decision.policy import Cap, Exploration, Guardrail, Holdout, Message, MessageClass, Mode, SwitchedOff, Trigger
from serving.policy_review import Finding, contradiction, implies, review_policy
from tests.serving_world import golden_policy


def at_least(value, feature="f"):
    return Condition(feature=feature, comparison=Comparison.AT_LEAST, value=value)


def at_most(value, feature="f"):
    return Condition(feature=feature, comparison=Comparison.AT_MOST, value=value)


CLEAN = replace(golden_policy(), holdout=Holdout(share=0.05, salt="s"), exploration=Exploration(arm_share=0.1), segment_thresholds={})
EMAIL = Message(id="m", message_class=MessageClass.OUTREACH, channel="email", title="t", body="b", cooldown=timedelta(days=7))


def trigger(*conditions, name="t", risk=False):
    return Trigger(name=name, message_class=MessageClass.OUTREACH, severity="low", conditions=conditions, risk_above_threshold=risk)


def found(**changes):
    """Kind and path of what a change of a clean policy brings up."""
    before = review_policy(CLEAN)
    return [(remark.kind, remark.path) for remark in review_policy(replace(CLEAN, **changes)) if remark not in before]


def test_a_clean_policy_has_nothing_dead_and_no_conflict():
    assert [remark for remark in review_policy(CLEAN) if remark.kind is not Finding.NOTE] == []


def test_the_caps_that_every_policy_must_have_are_not_called_dead():
    """With one channel, its cap and that of all channels say the same."""
    caps = (Cap(name="own", limit=1, channel="email"), Cap(name="all", limit=1))
    (email,) = [channel for channel in CLEAN.channels if channel.name == "email"]
    alone = replace(CLEAN, channels=(email,), caps=caps, messages=(EMAIL,), triggers=(trigger(at_least(3)),))
    assert [remark.path for remark in review_policy(alone) if remark.path.startswith("caps")] == []


@pytest.mark.parametrize(
    ("changes", "kind", "path"),
    [
        ({"mode": Mode.STAGING}, Finding.NOTE, "mode"),
        ({"switched_off": SwitchedOff(everything=True)}, Finding.NOTE, "switched_off.everything"),
        ({"holdout": None}, Finding.NOTE, "holdout"),
        ({"exploration": Exploration()}, Finding.NOTE, "exploration.arm_share"),
        ({"risk_threshold": 0.0}, Finding.CONFLICT, "risk_threshold"),
        ({"segment_thresholds": {"free": CLEAN.risk_threshold}}, Finding.DEAD, "segment_thresholds.free"),
        ({"triggers": (trigger(at_least(3), at_most(2)),)}, Finding.DEAD, "triggers.t"),
        ({"triggers": (trigger(at_least(2), name="wide"), trigger(at_least(3)))}, Finding.DEAD, "triggers.t"),
        ({"triggers": (trigger(risk=True, name="risky"), trigger(at_least(3), risk=True))}, Finding.DEAD, "triggers.t"),
        ({"caps": (*CLEAN.caps, Cap(name="more", limit=99, channel="email"))}, Finding.DEAD, "caps.more"),
        ({"caps": (*CLEAN.caps, Cap(name="none", limit=0, message_id=CLEAN.messages[0].id))}, Finding.NOTE, "caps.none"),
        ({"messages": (*CLEAN.messages, replace(EMAIL, causes=("unheard_of",)))}, Finding.DEAD, "messages.m"),
        ({"messages": (*CLEAN.messages, replace(EMAIL, causes=("silence",)))}, Finding.DEAD, "messages.m"),
    ],
)
def test_what_never_speaks_or_should_be_known_is_named(changes, kind, path):
    assert (kind, path) in found(**changes)


def test_a_trigger_that_a_guardrail_always_holds_back_is_a_conflict_and_says_who_wins():
    guardrail = Guardrail(name="g", conditions=(at_least(1),), sentence="s", classes=(MessageClass.OUTREACH,))
    remarks = review_policy(replace(CLEAN, triggers=(trigger(at_least(3)),), guardrails=(guardrail,)))
    (conflict,) = [remark for remark in remarks if remark.kind is Finding.CONFLICT]
    assert (conflict.path, "the guardrail wins" in conflict.sentence) == ("triggers.t", True)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"triggers": (trigger(at_least(3)), trigger(at_least(2), name="wide"))}, "triggers.wide"),  # the narrow one first
        ({"triggers": (trigger(at_least(2), at_least(1, "g"), name="narrow"), trigger(at_least(3)))}, "triggers.t"),
        ({"triggers": (trigger(at_least(2), risk=True, name="risky"), trigger(at_least(3)))}, "triggers.t"),
        ({"caps": (*CLEAN.caps, Cap(name="week", limit=2, channel="email", window=timedelta(days=7)))}, "caps.week"),
        ({"caps": (*CLEAN.caps, Cap(name="hours", limit=1, channel="email", window=timedelta(hours=30)))}, "caps.hours"),
    ],
)
def test_what_can_speak_is_not_called_dead(changes, path):
    assert (Finding.DEAD, path) not in found(**changes)


def test_a_condition_implies_what_is_wider_and_nothing_of_another_feature_or_side():
    assert implies(at_least(3), at_least(3))
    assert implies(Condition(feature="f", comparison=Comparison.ABOVE, value=3.0), at_least(3))
    assert not implies(at_least(3), Condition(feature="f", comparison=Comparison.ABOVE, value=3.0))
    assert implies(at_most(1), at_most(2))
    assert not implies(at_least(3), at_most(9))
    assert not implies(at_least(3), at_least(2, "g"))


def test_bounds_that_touch_contradict_only_where_one_is_strict():
    assert contradiction([at_least(2), at_most(2)]) == ""
    assert contradiction([at_least(2), Condition(feature="f", comparison=Comparison.BELOW, value=2.0)]) == "f < 2 and f >= 2"
