"""A policy of which `stillhere policy check` has nothing to say, and what it says once that is changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from features.core.condition import Comparison, Condition
from serving.decision.policy import (
    Exploration,
    Holdout,
    Message,
    MessageClass,
    Trigger,
)
from serving.policy_review import review_policy
from tests.serving_world import golden_policy

CLEAN = replace(golden_policy(), holdout=Holdout(share=0.05, salt="s"), exploration=Exploration(arm_share=0.1), segment_thresholds={})
EMAIL = Message(id="m", message_class=MessageClass.OUTREACH, channel="email", title="t", body="b", cooldown=timedelta(days=7))


def at_least(value, feature="f"):
    return Condition(feature=feature, comparison=Comparison.AT_LEAST, value=value)


def at_most(value, feature="f"):
    return Condition(feature=feature, comparison=Comparison.AT_MOST, value=value)


def trigger(*conditions, name="t", risk=False):
    return Trigger(name=name, message_class=MessageClass.OUTREACH, severity="low", conditions=conditions, risk_above_threshold=risk)


def found(**changes):
    """Kind and path of what a change of a clean policy brings up."""
    before = review_policy(CLEAN)
    return [(remark.kind, remark.path) for remark in review_policy(replace(CLEAN, **changes)) if remark not in before]
