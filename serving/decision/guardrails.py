"""What keeps a message back: the policy's own guardrails, and rules about the chosen message itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from features.core.catalogue import window_text
from serving.decision.caps import cap_window, cooldown_window, counted, first_refusal, suppression_windows
from serving.decision.conditions import all_hold
from serving.decision.eligibility import known_risk
from serving.decision.local_time import local
from serving.decision.messages import Choice
from serving.decision.moment import Moment, moment_for
from serving.decision.policy import Channel, Guardrail, Message, MessageClass, Policy
from serving.decision.sentences import day_and_clock
from serving.decision.values import Contact, Inputs, Verdict
from serving.decision.verdicts import held, newly_passed, newly_refused, passed, refused


def holding(message_class: MessageClass, inputs: Inputs, policy: Policy) -> tuple[Guardrail, ...]:
    """The guardrails of the class whose conditions all hold."""
    return tuple(guardrail for guardrail in policy.guardrails_by_class[message_class] if all_hold(guardrail.conditions, inputs))


def guardrail_verdicts(channel: Channel, held_by: Sequence[Guardrail], policy: Policy) -> Iterator[Verdict]:
    """One verdict for each guardrail that holds the arm; where none does, one for all of them, if the policy has any for its class."""
    for guardrail in held_by:
        yield held(channel.arm, f"guardrail:{guardrail.name}", f"held_by_{guardrail.name}", guardrail.sentence)
    if not held_by and policy.guardrails_by_class[channel.message_class]:
        yield passed(channel.arm, "guardrail")


def suppression_verdict(channel: Channel, message: Message, contacts: Sequence[Contact], moment: Moment, policy: Policy) -> Verdict | None:
    """Whether a message that suppresses others is too close; None where the policy has none of its class."""
    if not policy.suppressing[message.message_class]:
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

    The price of a slot grows with the share of the tightest cap that it uses up: ``slot_price * (count + 1) / limit``. Caps of one contact
    do not set it: they leave no slot that could be kept, only a day that passes. The contact's worth is the share of risk that its message
    is expected to take away: ``risk * effect``. A rule of this form is a bid price: see Talluri, van Ryzin (1998),
    doi:10.1287/mnsc.44.11.1577.
    """
    risk = known_risk(inputs)
    if not channel.slot_price or risk is None:
        return None
    contacts = inputs.contacts or ()
    caps = [cap for cap in policy.caps_by_message[message.id] if cap.limit > 1]
    counts = [counted(contacts, cap_window(cap, moment.at_us, moment.zone)) if contacts else 0 for cap in caps]
    used = max(((count + 1) / cap.limit for count, cap in zip(counts, caps, strict=True)), default=0.0)
    facts: dict[str, Any] = {"worth": risk * message.effect, "price": channel.slot_price * min(used, 1.0)}
    if facts["worth"] < facts["price"]:
        return newly_refused(channel.arm, "price", "slot_price", **facts)
    return newly_passed(channel.arm, "price", **facts)


def _unsuppressed_us(channel: Channel, message: Message, contacts: Sequence[Contact], *, moment: Moment, policy: Policy) -> int | None:
    """The first instant from which, moved past quiet hours if need be, nothing suppresses the message."""
    lengths_us = [0, *(one.suppresses_us for one in policy.suppressing[message.message_class])]
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
