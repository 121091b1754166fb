"""Which message: by cause, and its text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from serving.decision.case import Case, Choice
from serving.decision.conditions import Asking, asking, that_hold
from serving.decision.content import NO_CONTENT, Content
from serving.decision.policy import Channel, Message, MessageClass, Policy, Trigger
from serving.decision.values import Inputs

PLACEHOLDER = re.compile(r"\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:\|(?P<unset>[^{}|]*))?\}")
"""``{user_id}``, or ``{attribute|text when unset}``."""


class Shelf(NamedTuple):
    """Messages of one channel, prepared for choosing; each list in the order in which they are tried."""

    is_for_assist: bool
    messages: tuple[Asking[Message], ...]
    by_cause: Mapping[str, tuple[Asking[Message], ...]]  # those that remedy each cause
    fallbacks: tuple[Asking[Message], ...]  # those that remedy none
    standing: Choice | None  # the first of these, if it is for everybody


def shelf(channel: Channel, policy: Policy) -> Shelf:
    """What a channel has to tell: its messages that are not switched off."""
    return _shelf(channel, policy.live_messages[channel.name])


def whole_shelf(channel: Channel, policy: Policy) -> Shelf | None:
    """What a channel would have to tell were nothing switched off; None where none of its messages is."""
    messages = policy.messages_by_channel[channel.name]
    return None if len(messages) == len(policy.live_messages[channel.name]) else _shelf(channel, messages)


def _shelf(channel: Channel, of_channel: Sequence[Message]) -> Shelf:
    messages = asking(of_channel)
    causes = dict.fromkeys(cause for one in messages for cause in one.rule.causes)
    fallbacks = tuple(one for one in messages if not one.rule.causes)
    is_for_everybody = bool(fallbacks) and not fallbacks[0].rule.conditions
    return Shelf(
        is_for_assist=channel.message_class is MessageClass.ASSIST,
        messages=messages,
        by_cause={cause: tuple(one for one in messages if cause in one.rule.causes) for cause in causes},
        fallbacks=fallbacks,
        standing=Choice(message=fallbacks[0].rule, cause=None, contribution=None) if is_for_everybody else None,
    )


def choose(shelf: Shelf, trigger: Trigger | None, case: Case) -> Choice | None:
    """The message for an arm; None when the policy has none for its channel.

    Outreach by risk: the actionable cause that raises the risk most, by at least ``min_contribution`` and with a message on this channel;
    else the trigger's own cause; else the fallback. Where the top cause leads by less than the model says it must, a model of other users
    might have named another: none is taken from the model. Assist, and outreach by a rule that asks for no risk: the trigger's own cause
    goes first, because it is about what happened: three failed logins call for a password reset and a cart that was left for a word about
    the cart, whatever else weighs on the risk.
    """
    own = () if trigger is None or trigger.cause is None else (trigger.cause,)
    is_by_rule = trigger is not None and not trigger.risk_above_threshold
    contributions = case.inputs.contributions or {}
    for cause in (*own, *case.causes) if shelf.is_for_assist or is_by_rule else (*case.causes, *own):
        message = next(that_hold(shelf.by_cause.get(cause, ()), case.inputs), None)
        if message is not None:
            return Choice(message=message, cause=cause, contribution=contributions.get(cause))
    if shelf.standing is not None:
        return shelf.standing
    fallback = next(that_hold(shelf.fallbacks, case.inputs), None)
    return None if fallback is None else Choice(message=fallback, cause=None, contribution=None)


def attributed(inputs: Inputs, policy: Policy) -> tuple[str, ...]:
    """Actionable causes that raise the risk enough, the strongest first; equals by name; none where the strongest does not lead enough."""
    if not inputs.contributions:
        return ()
    contributions = {cause: value for cause, value in inputs.contributions.items() if cause in policy.actionable_causes}
    if _lead(contributions.values()) < inputs.min_cause_lead:
        return ()
    raising = [
        (-contribution, cause)
        for cause, contribution in contributions.items()
        if contribution > 0.0 and contribution >= policy.min_contribution
    ]
    return tuple([cause for _, cause in sorted(raising)])


def messages_for(shelf: Shelf, inputs: Inputs) -> list[Message]:
    """What this user may be told by a channel: messages with conditions, which all hold, before those without; then by priority."""
    return list(that_hold(shelf.messages, inputs))


def fill(text: str, inputs: Inputs) -> str:
    """The text for this user; an attribute that is unset is replaced by the words after its bar."""

    def value(match: re.Match[str]) -> str:
        known = inputs.user_id if match["name"] == "user_id" else inputs.profile.get(match["name"])
        return (match["unset"] or "") if _is_unset(known) else _plain(known)

    return PLACEHOLDER.sub(value, text)


def fill_content(content: Content, inputs: Inputs) -> Content:
    """Every text of it, filled as title and body are; one of spaces alone is empty, as one that there is not for this user."""
    if not content:
        return NO_CONTENT
    return {name: "" if (filled := fill(text, inputs)).isspace() else filled for name, text in content.items()}


def _lead(contributions: Iterable[float]) -> float:
    """Log-odds by which the strongest exceeds the next, or 0 where no other raises the risk."""
    first, second, *_ = *sorted((max(value, 0.0) for value in contributions), reverse=True), 0.0, 0.0
    return first - second


def _is_unset(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _plain(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
