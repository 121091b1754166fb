"""A policy as a value: what may be sent, to whom, when and how often."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from serving.decision.policy.limits import Cap, QuietHours, RateLimit
from serving.decision.policy.message import Channel, Message, MessageClass
from serving.decision.policy.triggers import Guardrail, Trigger

if TYPE_CHECKING:
    from serving.decision.arms import Prepared

_MICROSECOND, _DAY = timedelta(microseconds=1), timedelta(days=1)


class Mode(StrEnum):
    """Whether decisions are acted on."""

    LIVE = "live"
    STAGING = "staging"  # decided and logged, never sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """A share of the users who are never contacted, so that the worth of contacting can be measured; the salt draws it anew."""

    share: float  # in [0, 1)
    salt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploration:
    """How often chance decides instead of the policy, so that other policies can be valued from its decisions."""

    arm_share: float = 0.0  # in [0, 1]: an open arm, or none, is drawn with equal chances
    message_share: float = 0.0  # in [0, 1]: a message of the chosen arm is drawn with equal chances, whatever the cause
    delay_share: float = 0.0  # in [0, 1]: the moment of outreach is drawn from `delays` with equal chances
    delays: tuple[timedelta, ...] = ()  # after as_of, ascending; the first is 0: now

    @property
    def draws_delays(self) -> bool:
        """Whether chance ever chooses a moment."""
        return self.delay_share > 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingRule:
    """When outreach may wait for a better moment."""

    delays: tuple[timedelta, ...]  # candidate slots after as_of, ascending; the first is 0: now
    clear: float = 0.5  # standard errors by which a later slot must be better


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchedOff:
    """What is stopped by hand, until it is taken out of the policy again."""

    everything: bool = False
    channels: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Degraded:
    """What still goes out while something is missing: help by rule at most. Outreach needs model and news, and all need the ledger."""

    assist_without_model: bool = True
    assist_on_stale_features: bool = False


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Everything declared in ``policy.yaml``, validated against its product; and, once asked for, what follows from it alone."""

    name: str
    hash: str  # 16 hex digits over the whole content
    consent_attribute: str  # boolean profile attribute; not true means no contact at all
    timezone_attribute: str  # text profile attribute, an IANA name
    mode: Mode = Mode.LIVE
    suppression_attribute: str | None = None  # boolean profile attribute; true means no contact at all
    preference_attribute: str | None = None  # text profile attribute that may name a channel, which then goes first in its class
    default_timezone: str  # when the attribute is missing or unknown
    min_events: int  # evidence below which outreach is not considered
    risk_threshold: float  # outreach when risk is at or above; segments may differ
    segment_thresholds: Mapping[str, float] = field(default_factory=dict)
    min_contribution: float = 0.0  # log-odds a cause must add before it picks the message
    triggers: tuple[Trigger, ...] = ()
    channels: tuple[Channel, ...] = ()
    messages: tuple[Message, ...] = ()
    caps: tuple[Cap, ...] = ()
    rate_limits: tuple[RateLimit, ...] = ()
    quiet_hours: tuple[QuietHours, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()
    timing: TimingRule | None = None  # None: as early as is allowed
    holdout: Holdout | None = None
    exploration: Exploration = Exploration()
    switched_off: SwitchedOff = SwitchedOff()
    fatigue_window: timedelta | None = None  # of channels that are alike otherwise, the one less used within it goes first
    actionable_causes: tuple[str, ...] = ()  # from the product; carried so that a decision needs the policy alone
    cause_sentences: Mapping[str, str] = field(default_factory=dict)
    max_feature_age: timedelta | None = None  # since something new became known of a user; past it features are stale; None: any age
    degraded: Degraded = Degraded()

    def __hash__(self) -> int:
        """Of the content, which the field names already."""
        return hash(self.hash)

    @cached_property
    def prepared(self) -> Prepared:
        """The rules of every arm, each holding the verdicts that it can give: made when the policy decides for the first time."""
        from serving.decision.arms import prepare

        return prepare(self)

    @cached_property
    def channels_in_order(self) -> tuple[Channel, ...]:
        """Assist before outreach, within a class in the declared order."""
        return tuple(sorted(self.channels, key=lambda channel: channel.message_class is not MessageClass.ASSIST))

    @cached_property
    def channels_by_class(self) -> Mapping[MessageClass, tuple[Channel, ...]]:
        """Channels of each class that has any, in the declared order."""
        classes = dict.fromkeys(channel.message_class for channel in self.channels_in_order)
        return {class_: tuple(channel for channel in self.channels if channel.message_class is class_) for class_ in classes}

    @cached_property
    def orders_channels(self) -> bool:
        """Whether the order of channels depends on the user, and not on the file alone."""
        return self.preference_attribute is not None or self.fatigue_window is not None or any(channel.urgent for channel in self.channels)

    @cached_property
    def triggers_by_class(self) -> Mapping[MessageClass, tuple[Trigger, ...]]:
        """Triggers of each class, in the declared order."""
        return {class_: tuple(trigger for trigger in self.triggers if trigger.message_class is class_) for class_ in MessageClass}

    @cached_property
    def live_triggers(self) -> Mapping[MessageClass, tuple[Trigger, ...]]:
        """The same without those that are switched off."""
        off = self.switched_off.triggers
        return {
            class_: tuple(trigger for trigger in triggers if trigger.name not in off) for class_, triggers in self.triggers_by_class.items()
        }

    @cached_property
    def messages_by_channel(self) -> Mapping[str, tuple[Message, ...]]:
        """Messages of each channel: those with conditions before those without; then by priority; else in the declared order."""
        in_order = sorted(self.messages, key=lambda message: (not message.conditions, -message.priority))
        return {channel.name: tuple(m for m in in_order if m.channel == channel.name) for channel in self.channels}

    @cached_property
    def live_messages(self) -> Mapping[str, tuple[Message, ...]]:
        """The same without those that are switched off."""
        off = self.switched_off.messages
        return {
            channel: tuple(message for message in messages if message.id not in off)
            for channel, messages in self.messages_by_channel.items()
        }

    @cached_property
    def message_by_id(self) -> Mapping[str, Message]:
        """Every message by its id."""
        return {message.id: message for message in self.messages}

    @cached_property
    def channel_by_name(self) -> Mapping[str, Channel]:
        """Every channel by its name."""
        return {channel.name: channel for channel in self.channels}

    @cached_property
    def caps_by_channel(self) -> Mapping[str, tuple[Cap, ...]]:
        """The caps that a contact on each channel counts towards, whatever its message."""
        return {
            channel.name: tuple(
                cap
                for cap in self.caps
                if cap.message_id is None and cap.channel in (None, channel.name) and cap.message_class in (None, channel.message_class)
            )
            for channel in self.channels
        }

    @cached_property
    def caps_by_message(self) -> Mapping[str, tuple[Cap, ...]]:
        """All caps that a contact with each message counts towards: those of its channel, then its own."""
        return {
            message.id: (
                *self.caps_by_channel[message.channel],
                *(cap for cap in self.caps if cap.message_id is not None and cap.covers(message)),
            )
            for message in self.messages
        }

    @cached_property
    def rates_by_message(self) -> Mapping[str, tuple[RateLimit, ...]]:
        """The rate limits that a contact with each message counts towards."""
        return {message.id: tuple(rate for rate in self.rate_limits if rate.covers(message)) for message in self.messages}

    @cached_property
    def guardrails_by_class(self) -> Mapping[MessageClass, tuple[Guardrail, ...]]:
        """Guardrails of each class, in the declared order."""
        return {class_: tuple(guardrail for guardrail in self.guardrails if class_ in guardrail.classes) for class_ in MessageClass}

    @cached_property
    def suppressing(self) -> Mapping[MessageClass, tuple[Message, ...]]:
        """Messages of each class after which others of it are held back."""
        return {class_: tuple(m for m in self.messages if m.suppresses_us and m.message_class is class_) for class_ in MessageClass}

    @cached_property
    def fatigue_us(self) -> int:
        """Length of the fatigue window in microseconds; 0: there is none."""
        return 0 if self.fatigue_window is None else self.fatigue_window // _MICROSECOND

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
        rests = (*(message.cooldown for message in self.messages), *(message.suppresses for message in self.messages))
        spans = (*rests, *(cap.window for cap in self.caps), self.fatigue_window)
        return (
            max(2 * _DAY, *(span for span in spans if span is not None)) // _MICROSECOND
        )  # two days hold every local calendar day that has as_of in it
