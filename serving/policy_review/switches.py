"""What is switched off by hand, and ages past which nothing is sent, held against what waits for them."""

from __future__ import annotations

from collections.abc import Iterator

from features.core.catalogue import Aggregation, window_text
from features.core.condition import Condition
from features.core.product import Product
from serving.decision.policy import Channel, MessageClass, Policy
from serving.policy_review.conditions import lower_bound, text
from serving.policy_review.findings import Finding, Remark

_SILENCES = {Aggregation.SECONDS_SINCE_LAST, Aggregation.SECONDS_WAITING}


def silent_classes(policy: Policy) -> Iterator[Remark]:
    """Channels that are switched off; classes of which every channel is, so that their triggers send nothing."""
    for name in policy.switched_off.channels:
        yield Remark(kind=Finding.NOTE, path=f"channels.{name}", sentence="It is switched off.")
    for message_class in MessageClass:
        channels, triggers = policy.channels_by_class.get(message_class, ()), policy.live_triggers[message_class]
        if channels and triggers and all(_is_silent(channel, policy) for channel in channels):
            names = ", ".join(trigger.name for trigger in triggers)
            sentence = f"Every channel of {message_class.value} is switched off, or all its messages are: nothing comes of {names}."
            yield Remark(kind=Finding.DEAD, path="switched_off", sentence=sentence)


def _is_silent(channel: Channel, policy: Policy) -> bool:
    return channel.name in policy.switched_off.channels or not policy.live_messages[channel.name]


def feature_age(policy: Policy, product: Product | None) -> Iterator[Remark]:
    """Triggers that wait for a silence at whose end what is known is too old to send anything."""
    if policy.max_feature_age is None or product is None:
        return
    silences = {feature.name for feature in product.catalogue.features if feature.aggregation in _SILENCES}
    for trigger in policy.triggers:
        for condition in trigger.conditions:
            waits_s = lower_bound(condition)
            if isinstance(condition, Condition) and condition.feature in silences and waits_s >= policy.max_feature_age.total_seconds():
                sentence = (
                    f"{trigger.name} waits for {text(condition)}, but nothing is sent to users of whom nothing became known for"
                    f" {window_text(policy.max_feature_age)}: who is silent altogether never hears of it."
                )
                yield Remark(kind=Finding.CONFLICT, path="max_feature_age", sentence=sentence)
