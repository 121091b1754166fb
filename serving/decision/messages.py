"""Which message: by cause, and its text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from serving.decision.conditions import all_hold
from serving.decision.policy import Channel, Message, MessageClass, Policy, Trigger
from serving.decision.values import Inputs

PLACEHOLDER = re.compile(r"\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:\|(?P<unset>[^{}|]*))?\}")
"""``{user_id}``, or ``{attribute|text when unset}``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A message and the cause that picked it; no cause when it is the fallback."""

    message: Message
    cause: str | None
    contribution: float | None  # of that cause, log-odds; None when it was not attributed
    propensity: float = 1.0  # the chance that it had, given its arm


def choose(channel: Channel, trigger: Trigger | None, inputs: Inputs, policy: Policy) -> Choice | None:
    """The message for an arm; None when the policy has none for its channel.

    Outreach: the actionable cause that raises the risk most, by at least ``min_contribution`` and with a message on this channel; else the
    trigger's own cause; else the fallback. Where the top cause leads by less than the model says it must, a model of other users might
    have named another: none is taken from the model. Assist: the trigger's own cause goes first, because help in the session answers
    what just happened: three failed logins call for a password reset, whatever else weighs on the risk.
    """
    own = [trigger.cause] if trigger is not None and trigger.cause is not None else []
    attributed = _attributed(inputs, policy) if inputs.contributions else []
    messages = messages_for(channel, inputs, policy)
    for cause in [*own, *attributed] if channel.message_class is MessageClass.ASSIST else [*attributed, *own]:
        for message in messages:
            if cause in message.causes:
                return Choice(message=message, cause=cause, contribution=(inputs.contributions or {}).get(cause))
    fallback = next((message for message in messages if not message.causes), None)
    return None if fallback is None else Choice(message=fallback, cause=None, contribution=None)


def messages_for(channel: Channel, inputs: Inputs, policy: Policy) -> list[Message]:
    """What this user may be told by a channel: messages with conditions, which all hold, before those without; then by priority."""
    return [message for message in policy.live_messages[channel.name] if not message.conditions or all_hold(message.conditions, inputs)]


def fill(text: str, inputs: Inputs) -> str:
    """The text for this user; an attribute that is unset is replaced by the words after its bar."""

    def value(match: re.Match[str]) -> str:
        known = inputs.user_id if match["name"] == "user_id" else inputs.profile.get(match["name"])
        return (match["unset"] or "") if _is_unset(known) else _plain(known)

    return PLACEHOLDER.sub(value, text)


def _attributed(inputs: Inputs, policy: Policy) -> list[str]:
    """Actionable causes that raise the risk enough, the strongest first; equals by name; none where the strongest does not lead enough."""
    contributions = {cause: value for cause, value in (inputs.contributions or {}).items() if cause in policy.actionable_causes}
    if _lead(contributions.values()) < inputs.min_cause_lead:
        return []
    raising = [
        (-contribution, cause)
        for cause, contribution in contributions.items()
        if contribution > 0.0 and contribution >= policy.min_contribution
    ]
    return [cause for _, cause in sorted(raising)]


def _lead(contributions: Iterable[float]) -> float:
    """Log-odds by which the strongest exceeds the next, or 0 where no other raises the risk."""
    first, second, *_ = *sorted((max(value, 0.0) for value in contributions), reverse=True), 0.0, 0.0
    return first - second


def _is_unset(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _plain(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
