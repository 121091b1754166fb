"""What keeps a message back: the policy's own guardrails, and rules about the chosen message itself."""

from __future__ import annotations

from collections.abc import Sequence

from features.core.catalogue import window_text
from serving.decision.caps import cap_window, cooldown_window, counted, first_refusal, openings_us, suppression_windows
from serving.decision.case import Case, Moment, Offer, Rule, Said
from serving.decision.conditions import Asking, that_hold
from serving.decision.local_time import local
from serving.decision.messages import choose, whole_shelf
from serving.decision.moment import moment_for
from serving.decision.policy import Cap, Channel, Guardrail, Message, Policy
from serving.decision.sentences import day_and_clock
from serving.decision.values import Contact, Inputs, Verdict
from serving.decision.verdicts import held, passed, refused, remembered


def holding(guardrails: Sequence[Asking[Guardrail]], inputs: Inputs) -> tuple[Guardrail, ...]:
    """The guardrails whose conditions all hold."""
    return tuple(that_hold(guardrails, inputs))


def guardrail(channel: Channel, policy: Policy) -> Rule | None:
    """One verdict for each guardrail that holds the arm; where none does, one for all of them, if the policy has any for its class."""
    arm, mine = channel.arm, policy.guardrails_by_class[channel.message_class]
    if not mine:
        return None
    free = (passed(arm, "guardrail"),)
    words = {one.name: held(arm, f"guardrail:{one.name}", f"held_by_{one.name}", one.sentence) for one in mine}

    def say(_case: Case, offer: Offer) -> Said:
        held_by = offer.called.holding
        return tuple([words[one.name] for one in held_by]) if held_by else free

    return say


def message(channel: Channel, policy: Policy) -> Rule:
    """The policy must have a message for the arm; where it would but for a switch, the rule names what is switched off."""
    nothing = (refused(channel.arm, "message", "no_message", channel=channel.name),)
    found = {one.id: (passed(channel.arm, "message", message=one.id),) for one in policy.live_messages[channel.name]}
    whole = whole_shelf(channel, policy)
    off = {one.id: (refused(channel.arm, "message", "switched_off", what=f"The message {one.id}"),) for one in _off(channel, policy)}

    def say(case: Case, offer: Offer) -> Said:
        if offer.message is not None:
            return found[offer.message.id]
        stopped = None if whole is None else choose(whole, offer.called.trigger, case)
        return nothing if stopped is None else off[stopped.message.id]

    return say


def cooldown(channel: Channel, policy: Policy) -> Rule:
    """The same message must not have been sent, or be planned, too close to the moment."""
    unknown = (refused(channel.arm, "cooldown", "ledger_unavailable"),)
    rested = {one.id: (passed(channel.arm, "cooldown", message=one.id),) for one in policy.live_messages[channel.name]}

    def say(case: Case, offer: Offer) -> Said:
        message, contacts = offer.message, case.contacts
        if message is None:
            return ()
        if contacts is None:
            return unknown
        if not contacts or counted(contacts, cooldown_window(message, offer.moment.at_us)) == 0:
            return rested[message.id]
        return (_resting(channel, message, contacts=contacts, moment=offer.moment, policy=policy),)

    return say


def suppression(channel: Channel, policy: Policy) -> Rule | None:
    """No message that suppresses others must be too close; where the policy has none of the class, the rule says nothing."""
    if not policy.suppressing[channel.message_class]:
        return None
    free = (passed(channel.arm, "suppression"),)

    def say(case: Case, offer: Offer) -> Said:
        message, contacts = offer.message, case.contacts
        if message is None or contacts is None:
            return ()
        if not contacts:
            return free
        refusal = first_refusal(contacts, suppression_windows(message, offer.moment.at_us, policy))
        if refusal is None:
            return free
        free_us = _unsuppressed_us(channel, message, contacts, moment=offer.moment, policy=policy)
        suppressed_by = refusal.name.partition(":")[2]
        return (refused(channel.arm, "suppression", "suppressed_after", allowed_from_us=free_us, message=suppressed_by),)

    return say


def price(channel: Channel, policy: Policy) -> Rule | None:
    """The contact must be worth one of the few that are left; where slots of the channel have no price, the rule says nothing.

    The price of a slot grows with the share of the tightest cap that it uses up: ``slot_price * (count + 1) / limit``. Caps of one contact
    do not set it: they leave no slot that could be kept, only a day that passes. The contact's worth is the share of risk that its message
    is expected to take away: ``risk * effect``. A rule of this form is a bid price: see Talluri, van Ryzin (1998),
    doi:10.1287/mnsc.44.11.1577. As contacts leave the caps the price falls, so that time alone may open what it closed.
    """
    arm, slot_price = channel.arm, channel.slot_price
    if not slot_price:
        return None
    least = {
        one.id: slot_price * max((1 / cap.limit for cap in _scarce(one, policy)), default=0.0) for one in policy.live_messages[channel.name]
    }

    @remembered
    def weighed(worth: str, price: str, *, is_worth_it: bool, allowed_from_us: int | None) -> Verdict:
        if is_worth_it:
            return passed(arm, "price", worth=worth, price=price)
        return refused(arm, "price", "slot_price", allowed_from_us=allowed_from_us, worth=worth, price=price)

    def say(case: Case, offer: Offer) -> Said:
        message, contacts = offer.message, case.contacts
        if message is None or contacts is None or case.risk is None:
            return ()
        worth, price, from_us = case.risk * message.effect, least[message.id], None
        if contacts:  # without any the price is at its lowest, and time does not lower it
            price = slot_price_of(channel, message, contacts, offer.moment, policy)
            if worth < price:
                from_us = _worth_it_from_us(channel, message, contacts, worth=worth, moment=offer.moment, policy=policy)
        return (weighed(f"{worth:.3f}", f"{price:.3f}", is_worth_it=worth >= price, allowed_from_us=from_us),)

    return say


def slot_price_of(channel: Channel, message: Message, contacts: Sequence[Contact], moment: Moment, policy: Policy) -> float:
    """What a contact at the moment must be worth, see `price`."""
    return channel.slot_price * min(_share_used_up(_scarce(message, policy), contacts, moment), 1.0)


def _worth_it_from_us(
    channel: Channel, message: Message, contacts: Sequence[Contact], *, worth: float, moment: Moment, policy: Policy
) -> int | None:
    """The first instant from which, moved past quiet hours if need be, the contact is worth its price; None where it never is."""
    for asked_us in sorted({at_us for cap in _scarce(message, policy) for at_us in openings_us(cap, contacts, moment)}):
        later = moment._replace(at_us=moment_for(channel, asked_us, moment.zone, policy).at_us)
        if worth >= slot_price_of(channel, message, contacts, later, policy):
            return asked_us
    return None


def _scarce(message: Message, policy: Policy) -> list[Cap]:
    """The caps that set the price."""
    return [cap for cap in policy.caps_by_message[message.id] if cap.limit > 1]


def _share_used_up(caps: Sequence[Cap], contacts: Sequence[Contact], moment: Moment) -> float:
    """Of the tightest of the caps, with the contact at the moment."""
    used = 0.0
    for cap in caps:
        count = counted(contacts, cap_window(cap, moment.at_us, moment.zone))
        used = max(used, (count + 1) / cap.limit)
    return used


def _unsuppressed_us(channel: Channel, message: Message, contacts: Sequence[Contact], *, moment: Moment, policy: Policy) -> int | None:
    """The first instant from which, moved past quiet hours if need be, nothing suppresses the message."""
    lengths_us = [0, *(one.suppresses_us for one in policy.suppressing[message.message_class])]
    ends = sorted({contact.at_us + length_us + (length_us == 0) for contact in contacts for length_us in lengths_us})
    for asked_us in (end_us for end_us in ends if end_us > moment.asked_us):
        at_us = moment_for(channel, asked_us, moment.zone, policy).at_us
        if first_refusal(contacts, suppression_windows(message, at_us, policy)) is None:
            return asked_us
    return None  # not reached: after the last contact nothing does


def _resting(channel: Channel, message: Message, *, contacts: Sequence[Contact], moment: Moment, policy: Policy) -> Verdict:
    """Refused until the first moment that, moved past quiet hours if need be, is a cooldown away from every contact with the message."""
    rest_us = message.rest_us
    free_us = last_us = moment.asked_us
    for contact_us in sorted(contact.at_us for contact in contacts if contact.message_id == message.id):
        if abs(contact_us - moment_for(channel, free_us, moment.zone, policy).at_us) < rest_us:
            free_us, last_us = contact_us + rest_us, contact_us
    facts = {"message": message.id, "last": day_and_clock(local(last_us, moment.zone)), "cooldown": window_text(message.cooldown)}
    return refused(channel.arm, "cooldown", "cooldown", allowed_from_us=free_us, **facts)


def _off(channel: Channel, policy: Policy) -> list[Message]:
    return [one for one in policy.messages_by_channel[channel.name] if one.id in policy.switched_off.messages]
