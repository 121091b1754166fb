"""Rules about the chosen message itself: that there is one, and that it has rested."""

from __future__ import annotations

from collections.abc import Sequence

from features.core.catalogue import window_text
from serving.decision.caps import cooldown_window, counted
from serving.decision.local_time import local
from serving.decision.messages import Choice
from serving.decision.moment import Moment, moment_for
from serving.decision.policy import Channel, Message, Policy
from serving.decision.sentences import day_and_clock
from serving.decision.values import Contact, Verdict
from serving.decision.verdicts import passed, refused


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
