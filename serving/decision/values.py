"""What goes into a decision and what comes out: frozen values, nothing else.

Those of which several are made for each decision are named tuples: a frozen dataclass takes five times as long to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from serving.decision.content import NO_BLOCKS, NO_CONTENT, Blocks, Content
from serving.decision.policy import MessageClass


class Action(StrEnum):
    """What is done."""

    SEND = "send"
    STAGE = "stage"  # it would be sent, but the policy is in staging: nothing is reserved, counted or handed over
    DEFER = "defer"  # nothing but caps and rate limits holds outreach back: ask again at ``ask_again_at_us``
    NONE = "none"


class Degradation(StrEnum):
    """What was missing when the decision was made; flagged in the answer and counted."""

    MODEL_MISSING = "model_missing"
    FEATURES_UNAVAILABLE = "features_unavailable"
    TIMELINE_NEWER = "timeline_newer"  # why features are unavailable: a newer version wrote the timeline
    FEATURES_STALE = "features_stale"  # nothing new became known for longer than the policy allows
    PROFILE_UNAVAILABLE = "profile_unavailable"
    LEDGER_UNAVAILABLE = "ledger_unavailable"
    USER_ERASED = "user_erased"  # nothing is missing: nothing may be known


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One reserved or delivered message, as the ledger remembers it."""

    decision_id: str
    channel: str
    message_class: MessageClass
    message_id: str
    at_us: int  # the moment it is (to be) sent: the instant that caps count
    expires_us: int | None = None  # an unconfirmed reservation counts only before this instant; None: it counts for good

    def counts_at(self, as_of_us: int) -> bool:
        """Whether it takes a place under the caps: confirmed, or reserved and not yet expired."""
        return self.expires_us is None or as_of_us < self.expires_us


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingSlot:
    """One candidate slot, and what the timing model expects of acting in it."""

    delay_us: int  # after as_of
    still_away: float  # P(not back by then)
    receptive: float  # how usual the hour is for this user; 1 is average
    expected: float | None = None  # reduction of P(dropout) by acting then; None where no delay was ever randomised
    low: float | None = None  # 90 % interval
    high: float | None = None
    gain: float | None = None  # beyond acting now
    gain_se: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotWord:
    """A slot, and whether a contact in it would be allowed."""

    slot: TimingSlot
    at_us: int
    code: str  # "ok" or why not


class DelaySlot(NamedTuple):
    """One moment that chance, or the policy, could choose for a message."""

    delay_us: int  # after as_of
    at_us: int
    code: str  # "ok" or why no contact is allowed then
    is_own: bool  # the policy's own moment, whether or not its delay is one of those that chance draws
    propensity: float  # in [0, 1]: P(this moment | arm, message); sums to 1 over slots


class Delays(NamedTuple):
    """What chance had to choose from for the moment of a message, and what it did."""

    slots: tuple[DelaySlot, ...]  # in order of time
    chance_of_each: float  # P(an allowed delay of the list | chance chooses)
    is_drawn: bool  # chance chose the moment, be it the policy's own
    taken: int | None  # place of the slot in which something is sent; None where chance chose to send nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything one decision depends on."""

    decision_id: str
    user_id: str
    as_of_us: int
    n_events: int  # events in the timeline known at as_of
    features: Mapping[str, float]  # by name; NaN where undefined; empty when unavailable
    risk: float | None  # P(dropout within the horizon), calibrated, in [0, 1]; None without model or features
    contributions: Mapping[str, float] | None  # by cause, in log-odds, TreeSHAP; None until an arm is open
    profile: Mapping[str, Any]
    segment: str | None  # of the primary segmentation
    contacts: tuple[Contact, ...] | None  # oldest first; None when the ledger cannot be read
    degraded: tuple[Degradation, ...] = ()
    segments: Mapping[str, str] = field(default_factory=dict)  # by segmentation: the product's named ones, and what the model learned
    ages: Mapping[str, float] = field(default_factory=dict)  # seconds since the profile's instants, at as_of
    min_cause_lead: float = 0.0  # log-odds by which the top cause must lead to pick the message; the model's own, 0: it has none
    refused_by: str | None = None  # the window by which the ledger refused each attempt; None in the ordinary case
    timing: tuple[TimingSlot, ...] = ()  # in order of time; empty until an arm is open, and where the model knows nothing of timing
    timing_shown: bool = False  # whether randomised delays have shown any effect of timing
    timing_of: str | None = None  # id of the message that effects in `timing` are those of; None: of any, as receipts before rules 4 had it
    exhausted: Mapping[str, int] = field(
        default_factory=dict
    )  # windows of rate limits without room: their ends (us), see `caps.with_exhausted`
    exhausted_before_draw: bool = False  # whether all of them were known before chance drew; else the ledger met one when it refused


class Verdict(NamedTuple):
    """One rule's word on one arm; the functions of `serving.decision.verdicts` make them."""

    arm: str  # "assist/in_app"; "*" for every arm
    rule: str  # consent, evidence, trigger, quiet_hours, cooldown, cap:<name>, ...
    passed: bool
    code: str  # reason code: "ok" or why not
    sentence: str  # for people
    allowed_from_us: int | None  # earliest moment of contact that this rule permits, where it is known
    json: bytes  # canonical, as answers and receipts state it


class Arm(NamedTuple):
    """One thing that could be done, and the chance with which the policy would do it."""

    name: str  # "assist/in_app", "outreach/email", "none"
    open: bool
    blocked_by: str | None  # the first blocking reason code; of an open arm why another one, or chance, was preferred
    propensity: float  # in [0, 1]; sums to 1 over arms
    allowed_from_us: int | None = None  # of an arm that only time closes: from when it would be open, all else being equal


class Decision(NamedTuple):
    """What is done, and why; also why not."""

    decision_id: str
    user_id: str
    as_of_us: int
    action: Action
    code: str  # reason code of the whole: "sent_by_<trigger>" or the first blocking reason
    sentence: str
    risk: float | None
    threshold: float
    segment: str | None
    trigger: str | None = None
    severity: str | None = None
    cause: str | None = None
    cause_sentence: str | None = None
    contribution: float | None = None  # of the cause, log-odds
    message_class: MessageClass | None = None
    message_id: str | None = None
    message_propensity: float | None = None  # the chance of the message given its arm
    matched: bool | None = None  # whether the message remedies the cause that would have picked it; None where no cause did
    title: str | None = None
    body: str | None = None
    content: Content = NO_CONTENT  # filled, as title and body are
    blocks: Blocks = NO_BLOCKS  # as the message has them
    channel: str | None = None
    send_at_us: int | None = None
    moment_sentence: str | None = None
    curve: tuple[SlotWord, ...] = ()  # every candidate slot
    advice: str | None = None  # what the curve says
    delays: Delays | None = None  # None where chance had no moment to choose
    expires_at_us: int | None = None  # not to be delivered from then on: its reservation is let go
    ask_again_at_us: int | None = None  # the earliest instant from which some arm that only time closes would be open
    verdicts: tuple[Verdict, ...] = ()
    arms: tuple[Arm, ...] = ()
    degraded: tuple[Degradation, ...] = ()
    policy_hash: str = ""
    assignments: Mapping[str, str] = MappingProxyType({})  # group of the user in each experiment
    segments: Mapping[str, str] = MappingProxyType({})
    contributions: Mapping[str, float] = MappingProxyType({})  # all causes, log-odds; empty when not explained


class CapWindow(NamedTuple):
    """One cap (or cooldown) made concrete for one proposed contact: the contacts that match must stay fewer than ``limit``.

    A contact matches when ``since_us <= at_us < until_us`` and its channel, class and message are those named (None: any). With a span,
    those together in any interval of that length that holds the proposed contact must stay fewer: ``(x - span_us, x]`` for each x from
    the proposed moment, ``until_us - span_us``, on.
    """

    name: str  # "cap:email_per_day", "cooldown:come_back"
    channel: str | None
    since_us: int
    until_us: int
    limit: int
    message_id: str | None = None
    message_class: MessageClass | None = None
    span_us: int = 0  # 0: the interval is fixed, as a calendar day is


class Permit(NamedTuple):
    """One place in one window of a rate limit, which all users share."""

    name: str  # "rate:spring_offer"
    since_us: int  # start of the window that the moment of contact lies in
    until_us: int
    limit: int
