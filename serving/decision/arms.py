"""A policy, prepared: for each arm its rules, in the order in which they speak. Made once for a policy; no case has a part in it."""

from __future__ import annotations

from typing import NamedTuple

from serving.decision import eligibility, guardrails
from serving.decision.caps import caps, rates
from serving.decision.case import Rule, SharedRule
from serving.decision.conditions import Asking, asking
from serving.decision.messages import Shelf, shelf
from serving.decision.moment import quiet_hours
from serving.decision.policy import Channel, Guardrail, MessageClass, Policy
from serving.decision.triggers import Triggers, trigger, triggers_of

SHARED_RULES = (
    eligibility.ledger,
    eligibility.features,
    eligibility.consent,
    eligibility.suppression_list,
    eligibility.holdout,
    eligibility.main_switch,
)
"""About every arm at once, in the order in which they speak."""

RULES = (
    eligibility.freshness,
    eligibility.opt_in,
    eligibility.available,
    eligibility.channel_switch,
    eligibility.model,
    eligibility.evidence,
    trigger,
    guardrails.guardrail,
    quiet_hours,
    guardrails.message,
    guardrails.cooldown,
    guardrails.suppression,
    guardrails.price,
    caps,
    rates,
)
"""About one arm, in the order in which they speak."""

NAMES = (
    *("ledger", "features", "consent", "suppression_list", "holdout", "switched_off", "freshness", "opt_in", "available", "model"),
    *("evidence", "trigger", "guardrail", "quiet_hours", "message", "cooldown", "suppression", "price", "cap", "rate"),
)
"""Of the rules, in the same order: "freshness" and "evidence" on outreach alone, as is "model" unless help needs one too; each cap for
itself as "cap:<name>", each guardrail that holds as "guardrail:<name>", all that do not together as "guardrail".

The first three, "opt_in", "trigger", "quiet_hours", "message" and caps speak in every policy, the others where it has something of theirs.
"""


class Judge(NamedTuple):
    """What there is to say of one arm."""

    channel: Channel
    rules: tuple[Rule, ...]
    shelf: Shelf


class Call(NamedTuple):
    """What may call for a class of message, and what may keep it back."""

    message_class: MessageClass
    channel: Channel  # any one of the class
    triggers: Triggers
    guardrails: tuple[Asking[Guardrail], ...]


class Prepared(NamedTuple):
    """What follows from a policy alone."""

    shared: tuple[SharedRule, ...]
    judges: tuple[Judge, ...]  # assist before outreach, within a class in the declared order
    calls: tuple[Call, ...]  # one for each class that has a channel


def prepare(policy: Policy) -> Prepared:
    """The policy's rules, each holding the verdicts that it can give; kept with the policy, as `Policy.prepared`."""
    return Prepared(
        shared=tuple(rule for make in SHARED_RULES if (rule := make(policy)) is not None),
        judges=tuple(_judge(channel, policy) for channel in policy.channels_in_order),
        calls=tuple(_call(message_class, channels[0], policy) for message_class, channels in policy.channels_by_class.items()),
    )


def _call(message_class: MessageClass, channel: Channel, policy: Policy) -> Call:
    guardrails = asking(policy.guardrails_by_class[message_class])
    return Call(message_class=message_class, channel=channel, triggers=triggers_of(message_class, policy), guardrails=guardrails)


def _judge(channel: Channel, policy: Policy) -> Judge:
    made = (make(channel, policy) for make in RULES)
    return Judge(channel=channel, rules=tuple(rule for rule in made if rule is not None), shelf=shelf(channel, policy))
