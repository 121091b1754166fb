"""A policy as a value, and its parts: triggers, messages, limits. No file is read here; `serving.policy_file` makes it."""

from serving.decision.policy.conditions import Membership, SegmentCondition
from serving.decision.policy.limits import Cap, QuietHours, RateLimit
from serving.decision.policy.message import Channel, Message, MessageClass
from serving.decision.policy.policy import Degraded, Exploration, Holdout, Mode, Policy, SwitchedOff, TimingRule
from serving.decision.policy.triggers import Guardrail, Trigger

__all__ = [
    "Cap",
    "Channel",
    "Degraded",
    "Exploration",
    "Guardrail",
    "Holdout",
    "Membership",
    "Message",
    "MessageClass",
    "Mode",
    "Policy",
    "QuietHours",
    "RateLimit",
    "SegmentCondition",
    "SwitchedOff",
    "TimingRule",
    "Trigger",
]
