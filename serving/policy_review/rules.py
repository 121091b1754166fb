"""Rules of a policy one by one: what never fires, is never chosen, or is never heard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from features.core.product import Product
from serving.decision.policy import Guardrail, Message, MessageClass, Mode, Policy, Trigger
from serving.policy_review.conditions import Either, always_holds, contradiction, implies
from serving.policy_review.findings import Finding, Remark


def modes(policy: Policy) -> Iterator[Remark]:
    """Whether anything is sent at all, and whether anybody is held out."""
    if policy.mode is Mode.STAGING:
        yield Remark(kind=Finding.NOTE, path="mode", sentence="The policy is in staging: it decides and logs, and sends nothing.")
    if policy.switched_off.everything:
        yield Remark(kind=Finding.NOTE, path="switched_off.everything", sentence="Everything is switched off: nothing is sent.")
    if policy.holdout is None or not policy.holdout.share:
        sentence = "There is no holdout, so that nobody can say later what contacting people was worth."
        yield Remark(kind=Finding.NOTE, path="holdout", sentence=sentence)


def thresholds(policy: Policy) -> Iterator[Remark]:
    """Thresholds that change nothing, or at which everybody or nobody is at risk."""
    for segment, threshold in policy.segment_thresholds.items():
        if threshold in (0.0, 1.0) and threshold != policy.risk_threshold:
            sentence = f"At a threshold of {threshold:g} {'nobody' if threshold else 'everybody'} of {segment} is at risk."
            yield Remark(kind=Finding.NOTE, path=f"segment_thresholds.{segment}", sentence=sentence)
        if threshold == policy.risk_threshold:
            sentence = f"The threshold of {segment} is that of everybody, {threshold:g}: it changes nothing."
            yield Remark(kind=Finding.DEAD, path=f"segment_thresholds.{segment}", sentence=sentence)
    others = any(threshold != policy.risk_threshold for threshold in policy.segment_thresholds.values())
    but = ", except in segments with a threshold of their own" if others else ""
    if policy.risk_threshold == 0.0:
        sentence = f"At a threshold of 0 everybody is at risk{but}: the model decides nothing."
        yield Remark(kind=Finding.CONFLICT, path="risk_threshold", sentence=sentence)
    if policy.risk_threshold == 1.0:
        sentence = f"At a threshold of 1 nobody is at risk{but}: what asks for the risk never fires."
        yield Remark(kind=Finding.CONFLICT, path="risk_threshold", sentence=sentence)


def evidence(policy: Policy, product: Product | None) -> Iterator[Remark]:
    """More events asked for than a timeline ever keeps."""
    if product is None or MessageClass.OUTREACH not in policy.channels_by_class:
        return
    most = sum(kind.keep + kind.keep_first for kind in product.catalogue.kinds)
    if policy.min_events > most:
        sentence = (
            f"Outreach asks for {policy.min_events} known events, and a timeline keeps at most {most} (keep and keep_first of all kinds in"
            " product.yaml): nobody is ever written to."
        )
        yield Remark(kind=Finding.CONFLICT, path="min_events", sentence=sentence)


def triggers(policy: Policy, product: Product | None) -> Iterator[Remark]:
    """Triggers that never fire, never get to speak, or are switched off."""
    for trigger in policy.triggers:
        path = f"triggers.{trigger.name}"
        if clash := contradiction(trigger.conditions, product):
            yield Remark(kind=Finding.DEAD, path=path, sentence=f"It never fires: {clash}.")
        if trigger.name in policy.switched_off.triggers:
            yield Remark(kind=Finding.NOTE, path=path, sentence="It is switched off.")
    for message_class in MessageClass:
        live = [t for t in policy.triggers_by_class[message_class] if t.name not in policy.switched_off.triggers]
        for place, trigger in enumerate(live):
            earlier = next((one for one in live[:place] if _fires_whenever(one, trigger, product)), None)
            if earlier is not None:
                sentence = f"It never gets to speak: whenever it fires, {earlier.name}, which stands before it, fires too."
                yield Remark(kind=Finding.DEAD, path=f"triggers.{trigger.name}", sentence=sentence)


def _fires_whenever(one: Trigger, other: Trigger, product: Product | None) -> bool:
    """Whether ``one`` fires whenever ``other`` does: all that it asks for is asked for by the other, or the case with everybody."""
    if one.risk_above_threshold and not other.risk_above_threshold:
        return False
    return _follows(one.conditions, other.conditions, product)


def _follows(asked: Sequence[Either], given: Sequence[Either], product: Product | None) -> bool:
    """Whether all that is asked holds wherever all that is given does."""
    return all(always_holds([mine], product) or any(implies(theirs, mine, product) for theirs in given) for mine in asked)


def guardrails(policy: Policy, product: Product | None) -> Iterator[Remark]:
    """Guardrails that never hold, always hold or change nothing beside another, and triggers that they always hold back."""
    for place, guardrail in enumerate(policy.guardrails):
        path = f"guardrails.{guardrail.name}"
        if clash := contradiction(guardrail.conditions, product):
            yield Remark(kind=Finding.DEAD, path=path, sentence=f"It never holds anything back: {clash}.")
        if always_holds(guardrail.conditions, product):
            classes = " and ".join(guardrail.classes)
            yield Remark(kind=Finding.CONFLICT, path=path, sentence=f"It holds of everybody, always: no message of {classes} is ever sent.")
            continue
        wider = next(
            (one for index, one in enumerate(policy.guardrails) if _is_wider(one, guardrail, product, is_before=index < place)), None
        )
        if wider is not None:
            sentence = f"It changes nothing: whenever it holds, {wider.name} holds too, and keeps back as much."
            yield Remark(kind=Finding.DEAD, path=path, sentence=sentence)
        yield from _held_back(guardrail, policy, product)


def _is_wider(one: Guardrail, other: Guardrail, product: Product | None, *, is_before: bool) -> bool:
    """Whether ``one`` holds whenever ``other`` does, for all its classes; of two that say the same the first one counts."""
    if one is other or not set(other.classes) <= set(one.classes) or not _follows(one.conditions, other.conditions, product):
        return False
    return is_before or set(one.classes) != set(other.classes) or not _follows(other.conditions, one.conditions, product)


def _held_back(guardrail: Guardrail, policy: Policy, product: Product | None) -> Iterator[Remark]:
    for trigger in policy.triggers:
        caught = trigger.message_class in guardrail.classes and trigger.conditions
        if caught and _follows(guardrail.conditions, trigger.conditions, product):
            sentence = f"Whenever {trigger.name} fires, {guardrail.name} holds it back: the guardrail wins, the trigger sends nothing."
            yield Remark(kind=Finding.CONFLICT, path=f"triggers.{trigger.name}", sentence=sentence)


def messages(policy: Policy, product: Product | None) -> Iterator[Remark]:
    """Messages that are never chosen."""
    for message in policy.messages:
        path = f"messages.{message.id}"
        if message.causes and not set(message.causes) & set(policy.actionable_causes) and not _is_named(message, policy):
            yield Remark(kind=Finding.DEAD, path=path, sentence="It is never chosen: none of its causes is actionable or a trigger's.")
        if clash := contradiction(message.conditions, product):
            yield Remark(kind=Finding.DEAD, path=path, sentence=f"It is never chosen: {clash}.")
        if message.id in policy.switched_off.messages:
            yield Remark(kind=Finding.NOTE, path=path, sentence="It is switched off.")
    for channel in policy.channels:
        yield from _shadowed(policy.messages_by_channel[channel.name], product)


def _shadowed(messages: tuple[Message, ...], product: Product | None) -> Iterator[Remark]:
    """Messages before which another stands that is chosen whenever they would be."""
    for place, message in enumerate(messages):
        if not message.causes:
            continue
        before = [one for one in messages[:place] if _follows(one.conditions, message.conditions, product)]
        if set(message.causes) <= {cause for one in before for cause in one.causes}:
            names = ", ".join(one.id for one in before if set(one.causes) & set(message.causes))
            sentence = f"It is never chosen: {names} comes first for each of its causes."
            yield Remark(kind=Finding.DEAD, path=f"messages.{message.id}", sentence=sentence)


def _is_named(message: Message, policy: Policy) -> bool:
    return any(trigger.cause in message.causes for trigger in policy.triggers_by_class[message.message_class])


def exploration(policy: Policy) -> Iterator[Remark]:
    """What chance has to choose, and what is lost where it chooses nothing."""
    if policy.exploration.message_share:
        for channel in policy.channels:
            if len(policy.messages_by_channel[channel.name]) == 1:
                sentence = f"{channel.name} has one message: there is nothing for chance to choose."
                yield Remark(kind=Finding.NOTE, path="exploration.message_share", sentence=sentence)
    if not policy.exploration.arm_share:
        sentence = "Chance chooses no arm: a later policy cannot be valued from this one's decisions (see `stillhere policy backtest`)."
        yield Remark(kind=Finding.NOTE, path="exploration.arm_share", sentence=sentence)
