"""The shape of ``policy.yaml``: keys, types and defaults. What crosses keys or files is checked in `checks`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from features.core.condition import Condition
from features.declarations.conditions import read_condition
from features.declarations.fields import Duration, Name, PositiveDuration, Text, TimeZone, refuse
from features.declarations.yaml_file import Declared
from serving.decision.policy import Membership, MessageClass, Mode, SegmentCondition
from serving.policy_file.content_fields import ContentTexts, FetchedBlocks

LONGEST_COOLDOWN = timedelta(days=90)
"""For as long the ledger keeps contacts (`keep_contacts` of serving.adapters.redis_ledger); a longer cooldown would be cut short."""

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_SEGMENT_CONDITION = re.compile(r"segment(?:\.([a-z][a-z0-9_]*))? *(==|!=) *([a-z][a-z0-9_]*)", re.ASCII)


def _minute_of_day(value: Any) -> int:
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise refuse('a time of day such as "08:00"', "write hours and minutes, 00:00 to 23:59")
    return int(match[1]) * 60 + int(match[2])


def _condition(value: Any) -> Condition | SegmentCondition:
    condition = read_condition(value)
    if condition is not None:
        return condition
    match = _SEGMENT_CONDITION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        advice = 'write one feature, one of >= > <= <, one number; or "segment.engagement == at_risk"'
        raise refuse('a condition such as "count_login_failed_2m >= 3"', advice)
    return SegmentCondition(segmentation=match[1], membership=Membership(match[2]), segment=match[3])


LONGEST_DELAY = timedelta(days=30)
"""A contact that is planned must be kept until its day is over, and the longest window of caps after it."""


def _cooldown(duration: timedelta) -> timedelta:
    if not timedelta(0) < duration <= LONGEST_COOLDOWN:
        raise refuse(f"a duration longer than nothing and at most {LONGEST_COOLDOWN.days}d", "the ledger forgets older contacts")
    return duration


Class = Annotated[MessageClass, Field(strict=False)]
Cooldown = Annotated[Duration, AfterValidator(_cooldown)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Clock = Annotated[int, BeforeValidator(_minute_of_day)]
ConditionText = Annotated[Condition | SegmentCondition, BeforeValidator(_condition)]


class ChannelSchema(Declared):
    """A way to reach people."""

    message_class: Class
    opt_in: Name | None = None
    deliver_within: Cooldown | None = None
    available: Name | None = None
    urgent: bool = False
    slot_price: Probability = 0.0


class TriggerSchema(Declared):
    """A rule over features, a risk at or above the threshold, or both together."""

    message_class: Class
    severity: Literal["critical", "high", "medium", "low"]
    conditions: list[ConditionText] = Field(default_factory=list)
    risk_above_threshold: bool = False
    cause: Name | None = None
    sentence: Text


class MessageSchema(Declared):
    """One message type."""

    message_class: Class
    channel: Name
    title: Text
    body: Text
    content: ContentTexts = Field(default_factory=dict)
    blocks: FetchedBlocks = Field(default_factory=dict)
    causes: list[Name] = Field(default_factory=list)
    conditions: list[ConditionText] = Field(default_factory=list)
    cooldown: Cooldown = timedelta(days=1)
    campaign: Name | None = None
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    effect: Probability = 1.0
    suppresses: Cooldown | None = None
    element: Name | None = None


class CapSchema(Declared):
    """At most so many contacts a local calendar day, or in any interval of a length."""

    limit: Annotated[int, Field(ge=0, le=10_000)]
    channel: Name | None = None
    message_class: Class | None = None
    message: Name | None = None
    window: Cooldown | None = None


class RateLimitSchema(Declared):
    """At most so many contacts of all users together in each window."""

    limit: Annotated[int, Field(ge=0, le=10_000_000)]
    per: Cooldown
    campaign: Name | None = None
    channel: Name | None = None


class QuietHoursSchema(Declared):
    """Local wall clock, start included, end excluded."""

    start: Clock
    end: Clock
    classes: Annotated[list[Class], Field(min_length=1)]


class GuardrailSchema(Declared):
    """What keeps a class of message back while all conditions hold."""

    conditions: Annotated[list[ConditionText], Field(min_length=1)]
    classes: Annotated[list[Class], Field(min_length=1)]
    sentence: Text


class HoldoutSchema(Declared):
    """A share of the users who are never contacted."""

    share: Annotated[float, Field(ge=0.0, lt=1.0)]
    salt: Text


def _candidates(delays: list[timedelta]) -> list[timedelta]:
    if delays[0] != timedelta(0) or sorted(set(delays)) != delays:
        raise refuse("ascending delays from 0s on, each once", "begin with 0s, which is now")
    if delays[-1] > LONGEST_DELAY:
        raise refuse(f"delays of at most {LONGEST_DELAY.days}d", "the ledger would forget the contact before its day; name shorter ones")
    return delays


Delays = Annotated[list[Duration], Field(min_length=2, max_length=24), AfterValidator(_candidates)]


class ExplorationSchema(Declared):
    """How often chance decides."""

    arm_share: Probability = 0.0
    message_share: Probability = 0.0
    delay_share: Probability = 0.0
    delays: Delays | None = None


class TimingSchema(Declared):
    """When outreach may wait for a better moment."""

    delays: Delays
    clear: Annotated[float, Field(ge=0.0, le=5.0)] = 0.5


class SwitchedOffSchema(Declared):
    """What is stopped by hand."""

    everything: bool = False
    channels: list[Name] = Field(default_factory=list)
    triggers: list[Name] = Field(default_factory=list)
    messages: list[Name] = Field(default_factory=list)


class DegradedSchema(Declared):
    """What still goes out while something is missing."""

    assist_without_model: bool = True
    assist_on_stale_features: bool = False


class PolicySchema(Declared):
    """All of ``policy.yaml``."""

    version: Literal[1] = 1
    name: Name
    consent_attribute: Name
    timezone_attribute: Name
    default_timezone: TimeZone = "UTC"
    mode: Annotated[Mode, Field(strict=False)] = Mode.LIVE
    suppression_attribute: Name | None = None
    preference_attribute: Name | None = None
    fatigue_window: Cooldown | None = None
    static_elements: list[Name] = Field(default_factory=list)
    weak_signals: list[Name] = Field(default_factory=list)
    min_events: Annotated[int, Field(ge=0)]
    risk_threshold: Probability
    segment_thresholds: dict[Name, Probability] = Field(default_factory=dict)
    min_contribution: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 0.0
    channels: Annotated[dict[Name, ChannelSchema], Field(min_length=1)]
    triggers: dict[Name, TriggerSchema] = Field(default_factory=dict)
    messages: Annotated[dict[Name, MessageSchema], Field(min_length=1)]
    caps: dict[Name, CapSchema] = Field(default_factory=dict)
    rate_limits: dict[Name, RateLimitSchema] = Field(default_factory=dict)
    quiet_hours: list[QuietHoursSchema] = Field(default_factory=list)
    guardrails: dict[Name, GuardrailSchema] = Field(default_factory=dict)
    timing: TimingSchema | None = None
    holdout: HoldoutSchema | None = None
    exploration: ExplorationSchema = ExplorationSchema()
    switched_off: SwitchedOffSchema = SwitchedOffSchema()
    max_feature_age: PositiveDuration | None = None
    degraded: DegradedSchema = DegradedSchema()
