"""A policy as a value: what may be sent, to whom, when and how often."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import cached_property

from features.core.condition import Condition

_MICROSECOND, _DAY = timedelta(microseconds=1), timedelta(days=1)


class MessageClass(StrEnum):
    """The two classes of message, each with its own caps."""

    ASSIST = "assist"  # in-session help within seconds of friction
    OUTREACH = "outreach"  # brings somebody back: e-mail, push, SMS


class Membership(StrEnum):
    """How a segment condition compares; a user without a segment in that segmentation satisfies neither."""

    IS = "=="
    IS_NOT = "!="


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentCondition:
    """In which segment of one segmentation the user must be, or must not be."""

    segmentation: str | None  # None: the primary one
    membership: Membership
    segment: str


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


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message type. ``{user_id}`` and ``{attribute|text when unset}`` of the profile may stand in title and body."""

    id: str
    message_class: MessageClass
    channel: str
    title: str
    body: str
    causes: tuple[str, ...] = ()  # the cause groups it remedies; empty: the fallback of its class
    conditions: tuple[Condition | SegmentCondition, ...] = ()  # only users for whom all hold get it, and they before any message without
    cooldown: timedelta = timedelta(days=1)  # before the same message may come again

    @cached_property
    def rest_us(self) -> int:
        """The cooldown in microseconds."""
        return self.cooldown // _MICROSECOND


@dataclass(frozen=True, kw_only=True)
class Channel:
    """A way to reach people, and the profile attribute that must be true to use it."""

    name: str
    message_class: MessageClass
    opt_in: str | None = None  # boolean profile attribute; None: consent alone is enough

    @cached_property
    def arm(self) -> str:
        """Name of the arm "a message by this channel".

        Examples
        --------
        >>> Channel(name="email", message_class=MessageClass.OUTREACH).arm
        'outreach/email'
        """
        return f"{self.message_class.value}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """At most ``limit`` contacts per calendar day of the user's zone, on one channel or on all."""

    name: str
    limit: int
    channel: str | None = None  # None: every channel together


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """No contact of these classes from ``start`` (included) to ``end`` (excluded), local minutes of the day; may wrap midnight."""

    start_minute: int
    end_minute: int
    classes: tuple[MessageClass, ...]


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Everything declared in ``policy.yaml``, validated against its product; and, once asked for, what follows from it alone."""

    name: str
    hash: str  # 16 hex digits over the whole content
    consent_attribute: str  # boolean profile attribute; not true means no contact at all
    timezone_attribute: str  # text profile attribute, an IANA name
    default_timezone: str  # when the attribute is missing or unknown
    min_events: int  # evidence below which outreach is not considered
    risk_threshold: float  # outreach when risk is at or above; segments may differ
    segment_thresholds: Mapping[str, float] = field(default_factory=dict)
    min_contribution: float = 0.0  # log-odds a cause must add before it picks the message
    triggers: tuple[Trigger, ...] = ()
    channels: tuple[Channel, ...] = ()
    messages: tuple[Message, ...] = ()
    caps: tuple[Cap, ...] = ()
    quiet_hours: tuple[QuietHours, ...] = ()
    actionable_causes: tuple[str, ...] = ()  # from the product; carried so that a decision needs the policy alone
    cause_sentences: Mapping[str, str] = field(default_factory=dict)
    max_feature_age: timedelta | None = None  # since something new became known of a user; past it nothing is sent; None: any age

    @cached_property
    def channels_in_order(self) -> tuple[Channel, ...]:
        """Assist before outreach, within a class in the declared order."""
        return tuple(sorted(self.channels, key=lambda channel: channel.message_class is not MessageClass.ASSIST))

    @cached_property
    def triggers_by_class(self) -> Mapping[MessageClass, tuple[Trigger, ...]]:
        """Triggers of each class, in the declared order."""
        return {class_: tuple(trigger for trigger in self.triggers if trigger.message_class is class_) for class_ in MessageClass}

    @cached_property
    def messages_by_channel(self) -> Mapping[str, tuple[Message, ...]]:
        """Messages of each channel: those with conditions before those without; else in the declared order."""
        in_order = sorted(self.messages, key=lambda message: not message.conditions)
        return {channel.name: tuple(m for m in in_order if m.channel == channel.name) for channel in self.channels}

    @cached_property
    def caps_by_channel(self) -> Mapping[str, tuple[Cap, ...]]:
        """The caps that a contact on each channel counts towards."""
        return {channel.name: tuple(cap for cap in self.caps if cap.channel in (None, channel.name)) for channel in self.channels}

    @cached_property
    def quiet_by_class(self) -> Mapping[MessageClass, tuple[QuietHours, ...]]:
        """Quiet hours of each class."""
        return {class_: tuple(quiet for quiet in self.quiet_hours if class_ in quiet.classes) for class_ in MessageClass}

    @cached_property
    def max_feature_age_us(self) -> float:
        """The same in microseconds; infinite where any age will do."""
        return math.inf if self.max_feature_age is None else self.max_feature_age // _MICROSECOND

    @cached_property
    def lookback_us(self) -> int:
        """How far before as_of a contact may lie and still matter."""
        longest = max((message.cooldown for message in self.messages), default=timedelta(0))
        return max(longest, 2 * _DAY) // _MICROSECOND  # two days hold every local calendar day that has as_of in it
