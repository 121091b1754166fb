"""What is switched off by hand, and ages past which nothing is sent, held against what waits for them."""

from __future__ import annotations

import math
from collections.abc import Iterator

from features.core.catalogue import Aggregation, window_text
from features.core.condition import Comparison, Condition
from features.core.product import Product
from serving.decision.policy import Channel, MessageClass, Policy, Trigger
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
    helped_all_the_same = policy.degraded.assist_on_stale_features
    for trigger in policy.triggers:
        if trigger.message_class is MessageClass.ASSIST and helped_all_the_same:
            continue
        for condition in trigger.conditions:
            waits_s = lower_bound(condition)
            if isinstance(condition, Condition) and condition.feature in silences and waits_s >= policy.max_feature_age.total_seconds():
                sentence = (
                    f"{trigger.name} waits for {text(condition)}, but nothing is sent to users of whom nothing became known for"
                    f" {window_text(policy.max_feature_age)}: who is silent altogether never hears of it."
                )
                yield Remark(kind=Finding.CONFLICT, path="max_feature_age", sentence=sentence)


def degraded(policy: Policy, product: Product | None) -> Iterator[Remark]:
    """Words on help that change nothing: there is no help, nothing is ever stale, or no trigger of help fires on what is."""
    chosen, lets_stale = policy.degraded, policy.degraded.assist_on_stale_features
    if MessageClass.ASSIST not in policy.channels_by_class:
        names = (["assist_without_model"] if not chosen.assist_without_model else []) + (["assist_on_stale_features"] if lets_stale else [])
        for name in names:
            yield Remark(kind=Finding.DEAD, path=f"degraded.{name}", sentence="It is about help, and no channel is of the class assist.")
    elif lets_stale and policy.max_feature_age is None:
        sentence = "Without max_feature_age nothing is ever stale: it changes nothing."
        yield Remark(kind=Finding.DEAD, path="degraded.assist_on_stale_features", sentence=sentence)
    elif lets_stale and product is not None:
        yield from _help_of_news_alone(policy, product)


def _help_of_news_alone(policy: Policy, product: Product) -> Iterator[Remark]:
    assert policy.max_feature_age is not None  # the caller looked
    age_s, live = policy.max_feature_age.total_seconds(), policy.live_triggers[MessageClass.ASSIST]
    if live and all(_asks_for_news(trigger, age_s, product) for trigger in live):
        age = window_text(policy.max_feature_age)
        sentence = f"Every trigger of assist asks for something that happened within {age}; on stale features none fires."
        yield Remark(kind=Finding.DEAD, path="degraded.assist_on_stale_features", sentence=sentence)


def _asks_for_news(trigger: Trigger, age_s: float, product: Product) -> bool:
    """Whether one of the conditions holds only of what happened within the age: what happened is known later still."""
    features = {feature.name: feature for feature in product.catalogue.features}
    for condition in trigger.conditions:
        if not isinstance(condition, Condition) or condition.feature not in features:
            continue
        feature = features[condition.feature]
        is_counted = lower_bound(condition) > 0.0 or (lower_bound(condition) == 0.0 and condition.comparison is Comparison.ABOVE)
        if is_counted and feature.window is not None and feature.window.total_seconds() <= age_s:
            return True
        if feature.aggregation is Aggregation.SECONDS_SINCE_LAST and condition.value <= age_s and math.isinf(lower_bound(condition)):
            return True
    return False
