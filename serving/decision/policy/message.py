"""What is sent, and on which channel."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import cached_property

from features.core.condition import Condition
from serving.decision.content import Blocks, Content
from serving.decision.policy.conditions import SegmentCondition

_MICROSECOND = timedelta(microseconds=1)


class MessageClass(StrEnum):
    """The two classes of message, each with its own caps."""

    ASSIST = "assist"  # in-session help within seconds of friction
    OUTREACH = "outreach"  # brings somebody back: e-mail, push, SMS

    __hash__ = str.__hash__  # as equality is that of texts; an enumeration's own takes ten times as long


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message type. ``{user_id}`` and ``{attribute|text when unset}`` of the profile may stand in title, body and content."""

    id: str
    message_class: MessageClass
    channel: str
    title: str
    body: str
    content: Content = field(default_factory=dict, hash=False)  # further texts, by name
    blocks: Blocks = field(default_factory=dict, hash=False)  # what its sender fetches when it sends; nothing is filled in there
    causes: tuple[str, ...] = ()  # the cause groups it remedies; empty: the fallback of its class
    conditions: tuple[Condition | SegmentCondition, ...] = ()  # only users for whom all hold get it, and they before any message without
    cooldown: timedelta = timedelta(days=1)  # before the same message may come again
    campaign: str | None = None  # whose rate limits it counts towards
    priority: int = 0  # of messages that fit the same cause the highest is chosen
    effect: float = 1.0  # in [0, 1]: share of the risk it is expected to take away; what a slot's price is held against
    suppresses: timedelta | None = None  # for so long after it the user is told nothing else of its class

    @cached_property
    def rest_us(self) -> int:
        """The cooldown in microseconds."""
        return self.cooldown // _MICROSECOND

    @cached_property
    def suppresses_us(self) -> int:
        """How long it suppresses others, in microseconds; 0: it does not."""
        return 0 if self.suppresses is None else self.suppresses // _MICROSECOND


@dataclass(frozen=True, kw_only=True)
class Channel:
    """A way to reach people, and the profile attribute that must be true to use it."""

    name: str
    message_class: MessageClass
    opt_in: str | None = None  # boolean profile attribute; None: consent alone is enough
    deliver_within: timedelta | None = None  # of the moment; then an unconfirmed reservation is let go. None: it is kept for good
    available: str | None = None  # boolean profile attribute without which it reaches nobody ("app_installed"); None: always available
    urgent: bool = False  # goes before other channels of its class for severities critical and high, and after them for lesser ones
    slot_price: float = 0.0  # share of risk that a contact must be expected to take away for the last slot of the channel's caps

    @cached_property
    def deliver_within_us(self) -> int | None:
        """The same in microseconds."""
        return None if self.deliver_within is None else self.deliver_within // _MICROSECOND

    @cached_property
    def arm(self) -> str:
        """Name of the arm "a message by this channel".

        Examples
        --------
        >>> Channel(name="email", message_class=MessageClass.OUTREACH).arm
        'outreach/email'
        """
        return f"{self.message_class.value}/{self.name}"
