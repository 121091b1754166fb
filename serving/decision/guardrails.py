"""What keeps a message back: the policy's own guardrails, and rules about the chosen message itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from features.core.catalogue import window_text
from serving.decision.caps import cap_window, cooldown_window, counted, first_refusal, suppression_windows
from serving.decision.conditions import all_hold
from serving.decision.eligibility import known_risk
from serving.decision.local_time import local
from serving.decision.messages import Choice
from serving.decision.moment import Moment, moment_for
from serving.decision.policy import Channel, Guardrail, Message, Policy
from serving.decision.sentences import day_and_clock
from serving.decision.values import Contact, Inputs, Verdict
from serving.decision.verdicts import held, newly_passed, newly_refused, passed, refused


def guardrail_verdicts(channel: Channel, inputs: Inputs, policy: Policy) -> list[Verdict]:
    """One verdict for each guardrail that the policy declares for the arm's class; it holds the arm while all its conditions hold."""
    return [_guardrail(channel.arm, guardrail, inputs) for guardrail in policy.guardrails_by_class[channel.message_class]]


def _guardrail(arm: str, guardrail: Guardrail, inputs: Inputs) -> Verdict:
    rule = f"guardrail:{guardrail.name}"
    if all_hold(guardrail.conditions, inputs):
        return held(arm, rule, f"held_by_{guardrail.name}", guardrail.sentence)
    return passed(arm, rule, "guardrail", name=guardrail.name)


def suppression_verdict(channel: Channel, message: Message, contacts: Sequence[Contact], moment: Moment, policy: Policy) -> Verdict | None:
    """Whether a message that suppresses others is too close; None where the policy has none."""
    if not policy.suppressing:
        return None
    refusal = first_refusal(contacts, suppression_windows(message, moment.at_us, policy))
    if refusal is None:
        return passed(channel.arm, "suppression")
    suppressed_by = refusal.name.partition(":")[2]
    return refused(
        channel.arm,
        "suppression",
        "suppressed_after",
        allowed_from_us=_unsuppressed_us(channel, message, contacts, moment=moment, policy=policy),
        message=suppressed_by,
    )


def price_verdict(channel: Channel, message: Message, inputs: Inputs, moment: Moment, policy: Policy) -> Verdict | None:
    """Whether the contact is worth one of the few that are left; None where slots of the channel have no price, or the risk is unknown.

    The price of a slot grows with the share of the tightest cap that it uses up: ``slot_price * (count + 1) / limit``. The contact's worth
    is the share of risk that its message is expected to take away: ``risk * effect``. A rule of this form is a bid price: see Talluri, van
    Ryzin (1998), doi:10.1287/mnsc.44.11.1577.
    """
    risk = known_risk(inputs)
    if not channel.slot_price or risk is None:
        return None
    contacts = inputs.contacts or ()
    caps = [cap for cap in policy.caps_by_message[message.id] if cap.limit]
    used = max(((counted(contacts, cap_window(cap, moment.at_us, moment.zone)) + 1) / cap.limit for cap in caps), default=0.0)
    facts: dict[str, Any] = {"worth": risk * message.effect, "price": channel.slot_price * min(used, 1.0)}
    if facts["worth"] < facts["price"]:
        return newly_refused(channel.arm, "price", "slot_price", **facts)
    return newly_passed(channel.arm, "price", **facts)


def _unsuppressed_us(channel: Channel, message: Message, contacts: Sequence[Contact], *, moment: Moment, policy: Policy) -> int | None:
    """The first instant from which, moved past quiet hours if need be, nothing suppresses the message."""
    lengths_us = [0, *(one.suppresses_us for one in policy.suppressing)]
    ends = sorted({contact.at_us + length_us + (length_us == 0) for contact in contacts for length_us in lengths_us})
    for asked_us in (end_us for end_us in ends if end_us > moment.asked_us):
        at_us = moment_for(channel, asked_us, moment.zone, policy).at_us
        if first_refusal(contacts, suppression_windows(message, at_us, policy)) is None:
            return asked_us
    return None  # not reached: after the last contact nothing does


def message_verdicts(
    channel: Channel, choice: Choice | None, *, contacts: Sequence[Contact] | None, moment: Moment, policy: Policy
) -> tuple[Verdict, ...]:
    """That the policy has a message for the arm, and whether the same message was sent or is planned too close to the moment."""
    arm = channel.arm
    if choice is None:
        return (refused(arm, "message", "no_message", channel=channel.name),)
    found = passed(arm, "message", message=choice.message.id)
    if contacts is None:
        return found, refused(arm, "cooldown", "ledger_unavailable")
    if has_rested(choice.message, contacts, moment.at_us):
        return found, passed(arm, "cooldown", message=choice.message.id)
    return found, _resting(channel, choice.message, contacts=contacts, moment=moment, policy=policy)


def has_rested(message: Message, contacts: Sequence[Contact], at_us: int) -> bool:
    """Whether no contact with this message is closer to the moment than its cooldown."""
    return not contacts or counted(contacts, cooldown_window(message, at_us)) == 0


def _resting(channel: Channel, message: Message, *, contacts: Sequence[Contact], moment: Moment, policy: Policy) -> Verdict:
    """Refused until the first moment that, moved past quiet hours if need be, is a cooldown away from every contact with the message."""
    rest_us = message.rest_us
    free_us = last_us = moment.asked_us
    for contact_us in sorted(contact.at_us for contact in contacts if contact.message_id == message.id):
        if abs(contact_us - moment_for(channel, free_us, moment.zone, policy).at_us) < rest_us:
            free_us, last_us = contact_us + rest_us, contact_us
    facts = {"message": message.id, "last": day_and_clock(local(last_us, moment.zone)), "cooldown": window_text(message.cooldown)}
    return refused(channel.arm, "cooldown", "cooldown", allowed_from_us=free_us, **facts)
