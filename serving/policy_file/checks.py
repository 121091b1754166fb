"""What one key of ``policy.yaml`` demands of another, and of the product."""

from __future__ import annotations

from collections.abc import Iterator

from features.core.product import AttributeType, Product
from features.declarations.faults import Fault, one_of, place, quote
from serving.decision.messages import PLACEHOLDER
from serving.decision.policy import MessageClass
from serving.policy_file.names import condition_faults, unless_known
from serving.policy_file.safety_checks import safety_faults
from serving.policy_file.schema import MessageSchema, PolicySchema, QuietHoursSchema, TriggerSchema

_MINUTES_PER_DAY = 1440


def policy_faults(schema: PolicySchema, product: Product) -> Iterator[Fault]:
    """Every fault that crosses keys or files, in the order of the file's sections."""
    yield from _attribute_faults(schema, product)
    segments = [segment.name for segment in product.segments]
    for name in schema.segment_thresholds:
        yield from unless_known(name, segments, place("segment_thresholds", name), "segments of product.yaml")
    for name, trigger in schema.triggers.items():
        yield from _trigger_faults(name, trigger, schema, product)
    for name, message in schema.messages.items():
        yield from _message_faults(name, message, schema, product)
    yield from _fallback_faults(schema)
    yield from _cap_faults(schema)
    yield from _rate_faults(schema)
    yield from safety_faults(schema, product)
    yield from _quiet_faults(schema)
    yield from _exploration_faults(schema)


def _attribute_faults(schema: PolicySchema, product: Product) -> Iterator[Fault]:
    boolean, text = (AttributeType.BOOLEAN,), (AttributeType.TEXT, AttributeType.CATEGORY)
    yield from _attribute(schema.consent_attribute, boolean, "consent_attribute", product)
    yield from _attribute(schema.timezone_attribute, text, "timezone_attribute", product)
    if schema.suppression_attribute is not None:
        yield from _attribute(schema.suppression_attribute, boolean, "suppression_attribute", product)
    if schema.preference_attribute is not None:
        yield from _attribute(schema.preference_attribute, text, "preference_attribute", product)
    for name, channel in schema.channels.items():
        if channel.opt_in is not None:
            yield from _attribute(channel.opt_in, boolean, place("channels", name, "opt_in"), product)
        if channel.available is not None:
            yield from _attribute(channel.available, boolean, place("channels", name, "available"), product)


def _attribute(name: str, types: tuple[AttributeType, ...], path: str, product: Product) -> Iterator[Fault]:
    """The attribute is declared and of a type that the rule can read."""
    fitting = [attribute.name for attribute in product.profile if attribute.type in types]
    if name not in fitting:
        kind = " or ".join(type_.value for type_ in types)
        advice = f"declare it as {kind} under profile of product.yaml or correct the name"
        yield Fault(path=path, found=quote(name), expected=one_of(fitting), advice=advice)


def _trigger_faults(name: str, trigger: TriggerSchema, schema: PolicySchema, product: Product) -> Iterator[Fault]:
    for index, condition in enumerate(trigger.conditions):
        path = place("triggers", name, "conditions", index)
        yield from condition_faults(condition, path, product)
    if not trigger.conditions and not trigger.risk_above_threshold:
        expected, advice = "conditions, or risk_above_threshold: true", "add one, or every user is a candidate always"
        yield Fault(path=place("triggers", name), found="neither", expected=expected, advice=advice)
    if trigger.cause is not None:
        yield from unless_known(trigger.cause, _causes(product), place("triggers", name, "cause"), "causes of product.yaml")
    classes = sorted({channel.message_class.value for channel in schema.channels.values()})
    if trigger.message_class not in classes:
        path, advice = place("triggers", name, "message_class"), "declare a channel of this class; without one it can never send"
        yield Fault(path=path, found=quote(trigger.message_class.value), expected=one_of(classes), advice=advice)


def _message_faults(name: str, message: MessageSchema, schema: PolicySchema, product: Product) -> Iterator[Fault]:
    yield from unless_known(message.channel, schema.channels, place("messages", name, "channel"), "channels")
    channel = schema.channels.get(message.channel)
    if channel is not None and channel.message_class is not message.message_class:
        path, advice = place("messages", name, "message_class"), f"the class of the channel {message.channel}; use another channel or class"
        yield Fault(path=path, found=quote(message.message_class.value), expected=channel.message_class.value, advice=advice)
    for index, cause in enumerate(message.causes):
        yield from unless_known(cause, _causes(product), place("messages", name, "causes", index), "causes of product.yaml")
    for index, condition in enumerate(message.conditions):
        yield from condition_faults(condition, place("messages", name, "conditions", index), product)
    yield from _text_faults(message.title, place("messages", name, "title"), product)
    yield from _text_faults(message.body, place("messages", name, "body"), product)
    for key, text in message.content.items():
        yield from _text_faults(text, place("messages", name, "content", key), product)


def _text_faults(text: str, path: str, product: Product) -> Iterator[Fault]:
    names = ["user_id", *(attribute.name for attribute in product.profile)]
    truths = {attribute.name for attribute in product.profile if attribute.type is AttributeType.BOOLEAN}
    for match in PLACEHOLDER.finditer(text):
        yield from unless_known(match["name"], names, path, "profile of product.yaml")
        if match["name"] in truths:
            found, expected = f"{match[0]}, which is true or false", "an attribute that has words of its own"
            yield Fault(path=path, found=found, expected=expected, advice="make a segment of it, and a message for whom is in it")
        elif match["unset"] is None and match["name"] != "user_id":
            expected, advice = "words for users who have not set it", f"write {{{match['name']}|...}}, for example {{first_name|there}}"
            yield Fault(path=path, found=match[0], expected=expected, advice=advice)
    if "{" in (rest := PLACEHOLDER.sub("", text)) or "}" in rest:
        yield Fault(path=path, found="a brace outside a placeholder", expected="{name|words when unset}", advice="correct or remove it")


def _fallback_faults(schema: PolicySchema) -> Iterator[Fault]:
    """Each channel can always say something: one message without causes and conditions, and only one: a later one would never be chosen."""
    for name in schema.channels:
        fallbacks = [
            id_ for id_, message in schema.messages.items() if message.channel == name and not message.causes and not message.conditions
        ]
        if len(fallbacks) != 1:
            found = f"{len(fallbacks)} messages without causes on {name}" + (f" ({', '.join(fallbacks)})" if fallbacks else "")
            advice = "it is what is said when no cause stands out; give the others causes" if fallbacks else "add one without causes"
            yield Fault(path="messages", found=found, expected="one, the channel's fallback", advice=advice)


def _cap_faults(schema: PolicySchema) -> Iterator[Fault]:
    """Every channel has a cap, and all of them together: what was forgotten must not mean without end."""
    for name, cap in schema.caps.items():
        if cap.channel is not None:
            yield from unless_known(cap.channel, schema.channels, place("caps", name, "channel"), "channels")
        if cap.message is not None:
            yield from unless_known(cap.message, schema.messages, place("caps", name, "message"), "messages")
    capped = {cap.channel for cap in schema.caps.values() if cap.message is None and cap.message_class is None}
    for channel in schema.channels:
        if channel not in capped:
            advice = f"add one, for example {channel}_per_day: {{channel: {channel}, limit: 1}}"
            yield Fault(path="caps", found=f"no cap for the channel {channel}", expected="a cap for every channel", advice=advice)
    if None not in capped:
        found, advice = "no cap for all channels together", "add one, for example all_per_day: {limit: 2}"
        yield Fault(path="caps", found=found, expected="a cap without channel", advice=advice)


def _rate_faults(schema: PolicySchema) -> Iterator[Fault]:
    campaigns = sorted({message.campaign for message in schema.messages.values() if message.campaign is not None})
    for name, rate in schema.rate_limits.items():
        if rate.channel is not None:
            yield from unless_known(rate.channel, schema.channels, place("rate_limits", name, "channel"), "channels")
        if rate.campaign is not None:
            yield from unless_known(rate.campaign, campaigns, place("rate_limits", name, "campaign"), "a message's campaign")


def _quiet_faults(schema: PolicySchema) -> Iterator[Fault]:
    for index, quiet in enumerate(schema.quiet_hours):
        if quiet.start == quiet.end:
            path, advice = place("quiet_hours", index), "give them a length; to stop a class altogether set a cap of 0"
            yield Fault(path=path, found="start and end at the same time", expected="two times of day", advice=advice)
    for message_class in MessageClass:
        if len(_quiet_minutes(schema.quiet_hours, message_class)) == _MINUTES_PER_DAY:
            found, advice = f"every minute of the day for {message_class.value}", "leave a gap; to stop a class altogether set a cap of 0"
            yield Fault(path="quiet_hours", found=found, expected="some time when a contact is allowed", advice=advice)


def _exploration_faults(schema: PolicySchema) -> Iterator[Fault]:
    """A share of the moments is drawn from something, and delays are drawn by a share: one without the other was forgotten."""
    share, delays = schema.exploration.delay_share, schema.exploration.delays
    if share and delays is None:
        path, advice = place("exploration", "delays"), "name them, for example [0s, 1h, 6h, 24h], or leave delay_share out"
        yield Fault(path=path, found="nothing", expected="the delays that are drawn", advice=advice)
    if delays is not None and not share:
        path, advice = place("exploration", "delay_share"), "say how often, for example 0.05, or leave delays out"
        yield Fault(path=path, found="0", expected="a share above 0 of the moments that are drawn", advice=advice)


def _quiet_minutes(ranges: list[QuietHoursSchema], message_class: MessageClass) -> set[int]:
    minutes: set[int] = set()
    for quiet in ranges:
        if message_class in quiet.classes:
            length = (quiet.end - quiet.start) % _MINUTES_PER_DAY
            minutes |= {(quiet.start + offset) % _MINUTES_PER_DAY for offset in range(length)}
    return minutes


def _causes(product: Product) -> list[str]:
    return [cause.name for cause in product.causes]
