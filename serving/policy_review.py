"""What a valid policy says that its author may not have meant: rules that never speak, and rules that get in each other's way.

`serving.policy_file` refuses what is wrong; what is found here is allowed, and worth a second look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from features.core.catalogue import window_text
from features.core.condition import Comparison, Condition
from serving.decision.policy import Cap, Message, MessageClass, Mode, Policy, SegmentCondition, Trigger

_DAY = timedelta(days=1)


class Finding(StrEnum):
    """What kind of thing was found."""

    DEAD = "dead"  # it can never have any effect
    CONFLICT = "conflict"  # two rules that work against each other; which one wins is said
    NOTE = "note"  # it works, and should be known


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One thing that was found."""

    kind: Finding
    path: str  # in policy.yaml
    sentence: str


def review_policy(policy: Policy) -> list[Remark]:
    """Everything that was found, in the order of the file's sections; an empty list is good news."""
    parts: tuple[Callable[[Policy], Iterator[Remark]], ...] = (_modes, _thresholds, _triggers, _guardrails, _messages, _caps, _exploration)
    return [remark for part in parts for remark in part(policy)]


def _modes(policy: Policy) -> Iterator[Remark]:
    if policy.mode is Mode.STAGING:
        yield Remark(kind=Finding.NOTE, path="mode", sentence="The policy is in staging: it decides and logs, and sends nothing.")
    if policy.switched_off.everything:
        yield Remark(kind=Finding.NOTE, path="switched_off.everything", sentence="Everything is switched off: nothing is sent.")
    if policy.holdout is None:
        sentence = "There is no holdout, so that nobody can say later what contacting people was worth."
        yield Remark(kind=Finding.NOTE, path="holdout", sentence=sentence)


def _thresholds(policy: Policy) -> Iterator[Remark]:
    for segment, threshold in policy.segment_thresholds.items():
        if threshold == policy.risk_threshold:
            sentence = f"The threshold of {segment} is that of everybody, {threshold:g}: it changes nothing."
            yield Remark(kind=Finding.DEAD, path=f"segment_thresholds.{segment}", sentence=sentence)
    if policy.risk_threshold == 0.0:
        yield Remark(
            kind=Finding.CONFLICT, path="risk_threshold", sentence="At a threshold of 0 everybody is at risk: the model decides nothing."
        )


def _triggers(policy: Policy) -> Iterator[Remark]:
    for trigger in policy.triggers:
        path = f"triggers.{trigger.name}"
        if clash := contradiction(trigger.conditions):
            yield Remark(kind=Finding.DEAD, path=path, sentence=f"It never fires: {clash} cannot both hold.")
        if trigger.name in policy.switched_off.triggers:
            yield Remark(kind=Finding.NOTE, path=path, sentence="It is switched off.")
    for message_class in MessageClass:
        live = [t for t in policy.triggers_by_class[message_class] if t.name not in policy.switched_off.triggers]
        for place, trigger in enumerate(live):
            earlier = next((one for one in live[:place] if _fires_whenever(one, trigger)), None)
            if earlier is not None:
                sentence = f"It never gets to speak: whenever it fires, {earlier.name}, which stands before it, fires too."
                yield Remark(kind=Finding.DEAD, path=f"triggers.{trigger.name}", sentence=sentence)


def _fires_whenever(one: Trigger, other: Trigger) -> bool:
    """Whether ``one`` fires whenever ``other`` does: all that it asks for is asked for by the other."""
    if one.risk_above_threshold and not other.risk_above_threshold:
        return False
    return all(any(implies(theirs, mine) for theirs in other.conditions) for mine in one.conditions)


def _guardrails(policy: Policy) -> Iterator[Remark]:
    for guardrail in policy.guardrails:
        path = f"guardrails.{guardrail.name}"
        if clash := contradiction(guardrail.conditions):
            yield Remark(kind=Finding.DEAD, path=path, sentence=f"It never holds anything back: {clash} cannot both hold.")
        for trigger in policy.triggers:
            caught = trigger.message_class in guardrail.classes and trigger.conditions
            if caught and all(any(implies(theirs, mine) for theirs in trigger.conditions) for mine in guardrail.conditions):
                sentence = f"Whenever {trigger.name} fires, {guardrail.name} holds it back: the guardrail wins, the trigger sends nothing."
                yield Remark(kind=Finding.CONFLICT, path=f"triggers.{trigger.name}", sentence=sentence)


def _messages(policy: Policy) -> Iterator[Remark]:
    for message in policy.messages:
        path = f"messages.{message.id}"
        if message.causes and not set(message.causes) & set(policy.actionable_causes) and not _is_named(message, policy):
            yield Remark(kind=Finding.DEAD, path=path, sentence="It is never chosen: none of its causes is actionable or a trigger's.")
        if clash := contradiction(message.conditions):
            yield Remark(kind=Finding.DEAD, path=path, sentence=f"It is never chosen: {clash} cannot both hold.")
        if message.id in policy.switched_off.messages:
            yield Remark(kind=Finding.NOTE, path=path, sentence="It is switched off.")
    for channel in policy.channels:
        yield from _shadowed(policy.messages_by_channel[channel.name])


def _shadowed(messages: tuple[Message, ...]) -> Iterator[Remark]:
    """Messages before which another stands that is chosen whenever they would be."""
    for place, message in enumerate(messages):
        if not message.causes:
            continue
        before = [one for one in messages[:place] if set(one.conditions) <= set(message.conditions)]
        if set(message.causes) <= {cause for one in before for cause in one.causes}:
            names = ", ".join(one.id for one in before if set(one.causes) & set(message.causes))
            sentence = f"It is never chosen: {names} comes first for each of its causes."
            yield Remark(kind=Finding.DEAD, path=f"messages.{message.id}", sentence=sentence)


def _is_named(message: Message, policy: Policy) -> bool:
    return any(trigger.cause in message.causes for trigger in policy.triggers_by_class[message.message_class])


def _caps(policy: Policy) -> Iterator[Remark]:
    for cap in policy.caps:
        path = f"caps.{cap.name}"
        if cap.limit == 0:
            yield Remark(kind=Finding.NOTE, path=path, sentence="Its limit is 0: what it names is never sent.")
        stricter = next((one for one in policy.caps if one is not cap and _is_stricter(one, cap)), None)
        if stricter is not None and not _is_required(cap, policy):
            sentence = f"It never decides anything: {stricter.name} is at least as strict on all that it names."
            yield Remark(kind=Finding.DEAD, path=path, sentence=sentence)
        message = policy.message_by_id.get(cap.message_id or "")
        if message is not None and cap.limit and message.cooldown * cap.limit >= (cap.window or _DAY):
            rest = window_text(message.cooldown)
            sentence = f"It never decides anything: the cooldown of {message.id}, {rest}, allows no more than that anyway."
            yield Remark(kind=Finding.DEAD, path=path, sentence=sentence)


def _is_required(cap: Cap, policy: Policy) -> bool:
    """Whether a policy without it would be refused: each channel has a cap of its own, and all have one together."""
    plain = [one for one in policy.caps if one.message_id is None and one.message_class is None]
    return [one for one in plain if one.channel == cap.channel] == [cap]


def _is_stricter(one: Cap, other: Cap) -> bool:
    """Whether ``one`` has no room whenever ``other`` has none, and counts at least what it counts; of two alike the first one counts."""
    mine, theirs = ((cap.channel, cap.message_class, cap.message_id) for cap in (one, other))
    covers = all(its in (None, named) for its, named in zip(mine, theirs, strict=True))
    # A calendar day lies in any interval of more than two days; a shorter interval and a day say nothing of each other.
    spans = one.window == other.window or (one.window is not None and (one.window >= (other.window or 2 * _DAY)))
    is_same = mine == theirs and one.limit == other.limit and one.window == other.window
    return covers and spans and one.limit <= other.limit and not is_same


def _exploration(policy: Policy) -> Iterator[Remark]:
    if policy.exploration.message_share:
        for channel in policy.channels:
            if len(policy.messages_by_channel[channel.name]) == 1:
                sentence = f"{channel.name} has one message: there is nothing for chance to choose."
                yield Remark(kind=Finding.NOTE, path="exploration.message_share", sentence=sentence)
    if not policy.exploration.arm_share:
        sentence = "Chance chooses no arm: a later policy cannot be valued from this one's decisions (see `stillhere policy backtest`)."
        yield Remark(kind=Finding.NOTE, path="exploration.arm_share", sentence=sentence)


def implies(given: Condition | SegmentCondition, asked: Condition | SegmentCondition) -> bool:
    """Whether ``asked`` holds wherever ``given`` does.

    Examples
    --------
    >>> three, two = (Condition(feature="f", comparison=Comparison.AT_LEAST, value=value) for value in (3.0, 2.0))
    >>> implies(three, two), implies(two, three)
    (True, False)
    """
    if given == asked:
        return True
    if not isinstance(given, Condition) or not isinstance(asked, Condition) or given.feature != asked.feature:
        return False
    if _is_lower(given) is not _is_lower(asked):
        return False
    further = given.value > asked.value if _is_lower(asked) else given.value < asked.value
    return further or (given.value == asked.value and (_is_strict(given) or not _is_strict(asked)))


def contradiction(conditions: Iterable[Condition | SegmentCondition]) -> str:
    """Two conditions that cannot both hold, in words; "" where there are none.

    Examples
    --------
    >>> low = Condition(feature="f", comparison=Comparison.AT_MOST, value=2.0)
    >>> high = Condition(feature="f", comparison=Comparison.AT_LEAST, value=3.0)
    >>> contradiction([low, high])
    'f <= 2 and f >= 3'
    """
    by_feature = sorted((c for c in conditions if isinstance(c, Condition)), key=lambda c: (c.feature, _is_lower(c), c.value))
    for one, other in ((a, b) for a in by_feature for b in by_feature if a.feature == b.feature and not _is_lower(a) and _is_lower(b)):
        if one.value < other.value or (one.value == other.value and (_is_strict(one) or _is_strict(other))):
            return f"{_text(one)} and {_text(other)}"
    return ""


def _is_lower(condition: Condition) -> bool:
    return condition.comparison in (Comparison.AT_LEAST, Comparison.ABOVE)


def _is_strict(condition: Condition) -> bool:
    return condition.comparison in (Comparison.ABOVE, Comparison.BELOW)


def _text(condition: Condition) -> str:
    return f"{condition.feature} {condition.comparison.value} {condition.value:g}"
