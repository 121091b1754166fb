"""Prices of slots that no contact can ever be worth."""

from __future__ import annotations

from collections.abc import Iterator

from serving.decision.policy import Cap, Channel, Message, Policy
from serving.policy_review.findings import Finding, Remark


def slot_prices(policy: Policy) -> Iterator[Remark]:
    """Of each channel with a price: that it decides nothing, or that it asks for more than the highest risk gives.

    A contact is worth ``risk * effect``, at most its message's effect. The price of the last place is ``slot_price``, that of the first a
    share of it (`serving.decision.guardrails.price`).
    """
    for channel in policy.channels:
        if channel.slot_price:
            yield from _of_channel(channel, policy)


def _of_channel(channel: Channel, policy: Policy) -> Iterator[Remark]:
    scarce = {message: _scarce(message, policy) for message in policy.live_messages[channel.name]}
    priced = [message for message, caps in scarce.items() if caps]
    path = f"channels.{channel.name}.slot_price"
    if not priced:
        sentence = "It decides nothing: no cap of more than one contact counts its messages."
        yield Remark(kind=Finding.DEAD, path=path, sentence=sentence)
    elif max(message.effect for message in priced) < channel.slot_price:
        effect = max(message.effect for message in priced)
        sentence = (
            f"The last place is never given: its price is {channel.slot_price:g}, and no message has an effect above {effect:g},"
            " which is its worth at a risk of 1."
        )
        yield Remark(kind=Finding.CONFLICT, path=path, sentence=sentence)
    for message in priced:
        yield from _of_message(message, scarce[message], channel.slot_price)


def _of_message(message: Message, caps: list[Cap], slot_price: float) -> Iterator[Remark]:
    path, least = f"messages.{message.id}.effect", slot_price * max(1 / cap.limit for cap in caps)
    if message.effect < least:
        sentence = f"It is never sent: the first place costs {least:.3g} already, and at a risk of 1 it is worth {message.effect:g}."
        yield Remark(kind=Finding.DEAD, path=path, sentence=sentence)
    elif message.effect < slot_price:
        sentence = f"It never gets the last place, which costs {slot_price:g}: at a risk of 1 it is worth {message.effect:g}."
        yield Remark(kind=Finding.NOTE, path=path, sentence=sentence)


def _scarce(message: Message, policy: Policy) -> list[Cap]:
    return [cap for cap in policy.caps_by_message[message.id] if cap.limit > 1]
