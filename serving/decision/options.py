"""Each arm, judged by every rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple
from zoneinfo import ZoneInfo

from serving.decision.caps import cap_verdicts, is_free, rate_verdicts
from serving.decision.channels import rank
from serving.decision.eligibility import own_verdicts, shared_verdicts
from serving.decision.guardrails import guardrail_verdicts, holding, message_verdicts, price_verdict, suppression_verdict
from serving.decision.local_time import zone_of
from serving.decision.messages import Choice, choose, messages_for
from serving.decision.moment import Moment, moment_for, quiet_verdict
from serving.decision.policy import Channel, Guardrail, Message, MessageClass, Policy, Trigger
from serving.decision.timing import Timed, timed
from serving.decision.triggers import fired, trigger_verdict
from serving.decision.values import Inputs, Verdict

RULES = (
    *("ledger", "features", "consent", "suppression_list", "holdout", "switched_off", "opt_in", "available", "model", "evidence"),
    *("trigger", "guardrail", "quiet_hours", "message", "cooldown", "suppression", "price", "cap", "rate"),
)
"""Every rule, in the order in which they speak: "model" and "evidence" on outreach alone, each cap for itself as "cap:<name>", each
guardrail that holds as "guardrail:<name>", all that do not together as "guardrail".

The first three, "opt_in", "trigger", "quiet_hours", "message" and caps speak in every policy, the others where it has something of theirs.
"""

_PLACES = {rule: place for place, rule in enumerate(RULES)}
_ABOUT_THE_MESSAGE = ("message", "cooldown", "suppression", "price", "rate")
_STEPS_TO_AN_OPENING = 16


class Option(NamedTuple):  # several are made for each decision: a frozen dataclass takes five times as long
    """One arm and what every rule says of it, not only the first that refused."""

    channel: Channel
    trigger: Trigger | None
    moment: Moment
    timed: Timed
    choice: Choice | None
    shared: tuple[Verdict, ...]  # on every arm
    own: tuple[Verdict, ...]  # on this arm
    refusals: list[Verdict]  # those of both that close this arm, in the order of the rules


class Called(NamedTuple):
    """What calls for a class of message, and what keeps it back: the same on every channel of the class."""

    trigger: Trigger | None
    holding: tuple[Guardrail, ...]


def all_options(inputs: Inputs, policy: Policy) -> list[Option]:
    """Every arm of the policy but "none": assist before outreach, within a class as `serving.decision.channels.rank` says."""
    shared, zone = shared_verdicts(inputs, policy), zone_of(inputs.profile, policy)
    called = {message_class: _called(message_class, inputs, policy) for message_class in policy.channels_by_class}
    options = [
        _judge(channel, inputs, policy, shared=shared, zone=zone, called=called[channel.message_class])
        for channel in policy.channels_in_order
    ]
    if policy.orders_channels:
        options.sort(key=lambda option: rank(option.channel, option.trigger, inputs, policy))
    return options


def closeness(option: Option) -> tuple[bool, int]:
    """How close a closed arm came to being open, to be compared: whether something called for it, then how late it was refused.

    Without a model nobody knows whether the risk would have called for it, so it counts as if it had.
    """
    first = option.refusals[0].rule.partition(":")[0]
    called_for = option.trigger is not None or any(verdict.rule == "model" for verdict in option.refusals)
    return called_for, _PLACES[first]


def open_but_for_the_message(option: Option, inputs: Inputs, policy: Policy) -> bool:
    """Whether the arm is open if the right message is picked."""
    if any(not _is_about_the_message(verdict, policy) for verdict in option.refusals):
        return False
    messages = messages_for(option.channel, inputs, policy)
    return any(is_free(option.channel, message, inputs, option.moment, policy) for message in messages)


def opens_from_us(option: Option, inputs: Inputs, policy: Policy) -> int | None:
    """The earliest instant from which a closed arm would be open, all else being equal; None where time alone does not open it."""
    at_us = inputs.as_of_us
    for _ in range(_STEPS_TO_AN_OPENING):  # past one limit another may hold
        allowed = [verdict.allowed_from_us for verdict in option.refusals]
        if not allowed:
            return at_us
        known = [from_us for from_us in allowed if from_us is not None]
        if len(known) < len(allowed):
            return None
        at_us = max(known)
        contacts = None if inputs.contacts is None else tuple(one for one in inputs.contacts if one.counts_at(at_us))
        later = replace(inputs, as_of_us=at_us, contacts=contacts, timing=())  # what a later as_of would expect is not known
        called = _called(option.channel.message_class, later, policy)
        option = _judge(option.channel, later, policy, shared=shared_verdicts(later, policy), zone=option.moment.zone, called=called)
    return None


def is_deferred(option: Option) -> bool:
    """Whether nothing but limits keeps the arm closed, which time lifts: what would be sent waits and is not dropped.

    Help in the session is not deferred: later it no longer helps.
    """
    limits = all(verdict.rule.partition(":")[0] in ("cap", "rate") for verdict in option.refusals)
    return limits and bool(option.refusals) and option.channel.message_class is MessageClass.OUTREACH


def _is_about_the_message(verdict: Verdict, policy: Policy) -> bool:
    rule, _, name = verdict.rule.partition(":")
    return rule in _ABOUT_THE_MESSAGE or (rule == "cap" and any(cap.name == name and cap.message_id is not None for cap in policy.caps))


def _called(message_class: MessageClass, inputs: Inputs, policy: Policy) -> Called:
    return Called(trigger=fired(message_class, inputs, policy), holding=holding(message_class, inputs, policy))


def _judge(channel: Channel, inputs: Inputs, policy: Policy, *, shared: tuple[Verdict, ...], zone: ZoneInfo, called: Called) -> Option:
    trigger = called.trigger
    moment = moment_for(channel, inputs.as_of_us, zone, policy)
    choice = choose(channel, trigger, inputs, policy)
    message = None if choice is None else choice.message
    when = timed(channel, message, moment, inputs, policy)
    moment = when.moment
    own = (
        *own_verdicts(channel, inputs, policy),
        trigger_verdict(channel, trigger, inputs, policy),
        *guardrail_verdicts(channel, called.holding, policy),
        quiet_verdict(channel, moment),
        *message_verdicts(channel, choice, contacts=inputs.contacts, moment=moment, policy=policy),
        *_optional_verdicts(channel, message, inputs, moment, policy),
        *cap_verdicts(channel, message, inputs.contacts, moment=moment, policy=policy),
        *rate_verdicts(channel, message, inputs, moment, policy),
    )
    refusals = [verdict for verdict in (*shared, *own) if not verdict.passed]
    return Option(channel=channel, trigger=trigger, moment=moment, timed=when, choice=choice, shared=shared, own=own, refusals=refusals)


def _optional_verdicts(channel: Channel, message: Message | None, inputs: Inputs, moment: Moment, policy: Policy) -> Sequence[Verdict]:
    """What speaks only where the policy has something of it."""
    if message is None or inputs.contacts is None or not (policy.suppressing or channel.slot_price):
        return ()
    suppression = suppression_verdict(channel, message, inputs.contacts, moment, policy)
    price = price_verdict(channel, message, inputs, moment, policy)
    return [verdict for verdict in (suppression, price) if verdict is not None]
