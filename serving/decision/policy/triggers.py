"""What makes a user a candidate, and what holds messages back."""

from __future__ import annotations

from dataclasses import dataclass

from features.core.condition import Condition
from serving.decision.policy.conditions import SegmentCondition
from serving.decision.policy.message import MessageClass


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """What makes a user a candidate: a rule over features and segments, or risk above the segment's threshold."""

    name: str
    message_class: MessageClass
    severity: str  # alert class: critical, high, medium or low; names how grave it is, the order is the policy's
    conditions: tuple[Condition | SegmentCondition, ...] = ()  # all must hold
    risk_above_threshold: bool = False
    cause: str | None = None  # what the rule itself is about; `serving.decision.messages` says when it picks the message
    sentence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """What keeps a class of message back while all its conditions hold, whatever else speaks for it."""

    name: str
    conditions: tuple[Condition | SegmentCondition, ...]
    sentence: str
    classes: tuple[MessageClass, ...]
