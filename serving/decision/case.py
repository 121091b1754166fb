"""What the rules look at: the case of one user at one instant, what calls for a class of message in it, and what an arm would send.

A *rule* is one function for each arm, prepared once for a policy: it holds the verdicts that it can give and picks one for each case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from serving.decision.policy import Guardrail, Message, MessageClass, Policy, QuietHours, Trigger
from serving.decision.values import Contact, Inputs, SlotWord, Verdict


class Moment(NamedTuple):
    """A moment of contact; caps and cooldowns are counted there."""

    asked_us: int  # as_of
    at_us: int  # asked_us, or the end of quiet hours
    zone: ZoneInfo
    within: QuietHours | None  # quiet hours at asked_us
    quiet_end_us: int | None  # when no quiet hours hold any more; None when they never end, or none hold
    is_timed: bool = False  # at_us is the best of the candidate slots (`serving.decision.timing`)
    is_drawn: bool = False  # chance chose at_us, be it the policy's own (`serving.decision.delays`)


class Timed(NamedTuple):
    """The moment, and the whole curve behind it."""

    moment: Moment
    curve: tuple[SlotWord, ...] = ()
    advice: str | None = None  # None where nothing is known of timing


class Choice(NamedTuple):
    """A message and the cause that picked it; no cause when it is the fallback."""

    message: Message
    cause: str | None
    contribution: float | None  # of that cause, log-odds; None when it was not attributed
    propensity: float = 1.0  # the chance that it had, given its arm


class Called(NamedTuple):
    """What calls for a class of message, and what keeps it back: the same on every channel of the class."""

    trigger: Trigger | None
    lacks_risk: bool  # no trigger fired, and one would have at a higher risk
    switched_off: Trigger | None  # no trigger fired, and this one would have were it not switched off
    holding: tuple[Guardrail, ...]
    earliest: Moment  # where nothing is known of timing


class Case(NamedTuple):
    """What a decision depends on, and what follows from it for every arm."""

    inputs: Inputs
    policy: Policy
    profile: Mapping[str, Any]
    contacts: tuple[Contact, ...] | None
    zone: ZoneInfo
    wall: datetime  # as_of on the user's wall clock
    risk: float | None  # None unless it is a probability
    risk_text: str  # the risk and the threshold in the digits in which sentences state them
    threshold: float
    threshold_text: str
    is_held_out: bool | None  # None where the policy has no holdout
    causes: tuple[str, ...]  # actionable ones that the model names, the strongest first
    called: Mapping[MessageClass, Called]


class Offer(NamedTuple):
    """What an arm would send, and when."""

    called: Called
    message: Message | None  # None where the policy has none for the arm
    moment: Moment


Said = tuple[Verdict, ...]
"""What a rule says: mostly one verdict; nothing where it has nothing to say of the case."""

SharedRule = Callable[[Case], Said]
"""A rule about every arm at once."""

Rule = Callable[[Case, Offer], Said]
"""A rule about one arm."""
