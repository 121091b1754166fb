"""How often, and at which hours, contacts may be made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from features.core.catalogue import window_text
from serving.decision.policy.message import Message, MessageClass

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class Cap:
    """At most ``limit`` contacts a calendar day of the user's zone, or in any interval as long as ``window``; of those that it names."""

    name: str
    limit: int
    channel: str | None = None  # None: every channel together
    message_class: MessageClass | None = None  # None: both
    message_id: str | None = None  # None: every message
    window: timedelta | None = None  # rolling; None: the local calendar day

    @cached_property
    def span_us(self) -> int:
        """Length of the rolling interval in microseconds; 0 for a calendar day."""
        return 0 if self.window is None else self.window // _MICROSECOND

    @cached_property
    def within(self) -> str:
        """The rolling interval in words; empty for a calendar day."""
        return "" if self.window is None else f"within {window_text(self.window)}"

    def covers(self, message: Message) -> bool:
        """Whether a contact with this message counts towards the cap."""
        mine = (self.channel, self.message_class, self.message_id)
        return all(named in (None, its) for named, its in zip(mine, (message.channel, message.message_class, message.id), strict=True))


@dataclass(frozen=True, kw_only=True)
class RateLimit:
    """At most ``limit`` contacts of one campaign, or on one channel, of all users together in each window of ``per`` since the epoch."""

    name: str
    limit: int
    per: timedelta
    campaign: str | None = None  # None: every message
    channel: str | None = None  # None: every channel

    @cached_property
    def per_us(self) -> int:
        """Length of a window in microseconds."""
        return self.per // _MICROSECOND

    def covers(self, message: Message) -> bool:
        """Whether a contact with this message counts towards the limit."""
        return self.campaign in (None, message.campaign) and self.channel in (None, message.channel)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """No contact of these classes from ``start`` (included) to ``end`` (excluded), local minutes of the day; may wrap midnight."""

    start_minute: int
    end_minute: int
    classes: tuple[MessageClass, ...]
