"""Each arm, judged by every rule."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from serving.decision.caps import cap_verdicts
from serving.decision.eligibility import own_verdicts, shared_verdicts
from serving.decision.guardrails import has_rested, message_verdicts
from serving.decision.local_time import zone_of
from serving.decision.messages import Choice, choose, messages_for
from serving.decision.moment import Moment, moment_for, quiet_verdict
from serving.decision.policy import Channel, Policy, Trigger
from serving.decision.triggers import fired, trigger_verdict
from serving.decision.values import Inputs, Verdict

RULES = ("ledger", "features", "consent", "opt_in", "model", "evidence", "trigger", "quiet_hours", "message", "cooldown", "cap")
"""Every rule, in the order in which they speak: "model" and "evidence" on outreach alone, each cap for itself as "cap:<name>"."""

_ABOUT_THE_MESSAGE = ("message", "cooldown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One arm and what every rule says of it, not only the first that refused."""

    channel: Channel
    trigger: Trigger | None
    moment: Moment
    choice: Choice | None
    shared: tuple[Verdict, ...]  # on every arm
    own: tuple[Verdict, ...]  # on this arm
    refusals: list[Verdict]  # those of both that close this arm, in the order of the rules


def all_options(inputs: Inputs, policy: Policy) -> list[Option]:
    """Every arm of the policy but "none": assist before outreach, within a class in the policy's order."""
    shared, zone = shared_verdicts(inputs, policy), zone_of(inputs.profile, policy)
    return [_judge(channel, inputs, policy, shared=shared, zone=zone) for channel in policy.channels_in_order]


def closeness(option: Option) -> tuple[bool, int]:
    """How close a closed arm came to being open, to be compared: whether something called for it, then how late it was refused.

    Without a model nobody knows whether the risk would have called for it, so it counts as if it had.
    """
    first = option.refusals[0].rule
    without_model = any(verdict.rule == "model" for verdict in option.refusals)
    return option.trigger is not None or without_model, RULES.index(first.partition(":")[0])


def open_but_for_the_message(option: Option, inputs: Inputs, policy: Policy) -> bool:
    """Whether the arm is open if the right message is picked."""
    if any(verdict.rule not in _ABOUT_THE_MESSAGE for verdict in option.refusals):
        return False
    messages = messages_for(option.channel, inputs, policy)
    return any(has_rested(message, inputs.contacts or (), option.moment.at_us) for message in messages)


def _judge(channel: Channel, inputs: Inputs, policy: Policy, *, shared: tuple[Verdict, ...], zone: ZoneInfo) -> Option:
    trigger = fired(channel.message_class, inputs, policy)
    moment = moment_for(channel, inputs.as_of_us, zone, policy)
    choice = choose(channel, trigger, inputs, policy)
    own = (
        *own_verdicts(channel, inputs, policy),
        trigger_verdict(channel, trigger, inputs, policy),
        quiet_verdict(channel, moment),
        *message_verdicts(channel, choice, contacts=inputs.contacts, moment=moment, policy=policy),
        *cap_verdicts(channel, inputs.contacts, moment.at_us, zone=zone, policy=policy),
    )
    refusals = [verdict for verdict in (*shared, *own) if not verdict.passed]
    return Option(channel=channel, trigger=trigger, moment=moment, choice=choice, shared=shared, own=own, refusals=refusals)
