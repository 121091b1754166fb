"""From ``policy.yaml`` and its product to a `Policy`."""

from __future__ import annotations

from pathlib import Path

from features.core.product import Product
from features.declarations.yaml_file import DeclarationError, load_validated
from serving.decision.policy import (
    Cap,
    Channel,
    Degraded,
    Exploration,
    Guardrail,
    Holdout,
    Message,
    Policy,
    QuietHours,
    RateLimit,
    SwitchedOff,
    TimingRule,
    Trigger,
)
from serving.policy_file.checks import policy_faults
from serving.policy_file.document import with_hash
from serving.policy_file.schema import PolicySchema


def load_policy(file: Path, product: Product) -> Policy:
    """The policy that the file declares, checked against the product.

    Its hash covers what it says, product sentences included; comments, spacing and key order do not change it.

    Raises
    ------
    DeclarationError
        If the file is missing or wrong; each fault names file, path inside it, what was found, what is expected, what to do.

    Examples
    --------
    >>> from features.declarations.product_file import load_product
    >>> policy = load_policy(Path("products/onboarding/policy.yaml"), load_product(Path("products/onboarding")))
    >>> [channel.name for channel in policy.channels], len(policy.hash)
    (['in_app', 'push', 'email'], 16)
    """
    schema = load_validated(file, PolicySchema)
    if faults := list(policy_faults(schema, product)):
        raise DeclarationError(file, faults)
    return with_hash(_policy(schema, product))


def _policy(schema: PolicySchema, product: Product) -> Policy:
    return Policy(
        name=schema.name,
        hash="",
        consent_attribute=schema.consent_attribute,
        timezone_attribute=schema.timezone_attribute,
        default_timezone=schema.default_timezone,
        min_events=schema.min_events,
        risk_threshold=schema.risk_threshold,
        segment_thresholds=dict(schema.segment_thresholds),
        min_contribution=schema.min_contribution,
        triggers=_triggers(schema),
        mode=schema.mode,
        suppression_attribute=schema.suppression_attribute,
        preference_attribute=schema.preference_attribute,
        fatigue_window=schema.fatigue_window,
        guardrails=tuple(
            Guardrail(name=name, conditions=tuple(g.conditions), sentence=g.sentence, classes=tuple(g.classes))
            for name, g in schema.guardrails.items()
        ),
        timing=None if schema.timing is None else TimingRule(delays=tuple(schema.timing.delays), clear=schema.timing.clear),
        holdout=None if schema.holdout is None else Holdout(**schema.holdout.model_dump()),
        exploration=Exploration(**{**schema.exploration.model_dump(), "delays": tuple(schema.exploration.delays or ())}),
        switched_off=_switched_off(schema),
        channels=tuple(Channel(name=name, **channel.model_dump()) for name, channel in schema.channels.items()),
        messages=_messages(schema),
        caps=_caps(schema),
        rate_limits=tuple(
            RateLimit(name=name, limit=rate.limit, per=rate.per, campaign=rate.campaign, channel=rate.channel)
            for name, rate in schema.rate_limits.items()
        ),
        quiet_hours=tuple(QuietHours(start_minute=q.start, end_minute=q.end, classes=tuple(q.classes)) for q in schema.quiet_hours),
        actionable_causes=tuple(cause.name for cause in product.causes if cause.actionable),
        max_feature_age=schema.max_feature_age,
        degraded=Degraded(**schema.degraded.model_dump()),
        cause_sentences={cause.name: cause.sentence for cause in product.causes if cause.sentence},
    )


def _switched_off(schema: PolicySchema) -> SwitchedOff:
    off = schema.switched_off
    return SwitchedOff(everything=off.everything, channels=tuple(off.channels), triggers=tuple(off.triggers), messages=tuple(off.messages))


def _caps(schema: PolicySchema) -> tuple[Cap, ...]:
    return tuple(
        Cap(name=name, limit=cap.limit, channel=cap.channel, message_class=cap.message_class, message_id=cap.message, window=cap.window)
        for name, cap in schema.caps.items()
    )


def _triggers(schema: PolicySchema) -> tuple[Trigger, ...]:
    return tuple(
        Trigger(
            name=name,
            message_class=trigger.message_class,
            severity=trigger.severity,
            conditions=tuple(trigger.conditions),
            risk_above_threshold=trigger.risk_above_threshold,
            cause=trigger.cause,
            sentence=trigger.sentence,
        )
        for name, trigger in schema.triggers.items()
    )


def _messages(schema: PolicySchema) -> tuple[Message, ...]:
    return tuple(
        Message(
            id=id_,
            message_class=message.message_class,
            channel=message.channel,
            title=message.title,
            body=message.body,
            content=message.content,
            blocks=message.blocks,
            causes=tuple(message.causes),
            conditions=tuple(message.conditions),
            cooldown=message.cooldown,
            campaign=message.campaign,
            priority=message.priority,
            effect=message.effect,
            suppresses=message.suppresses,
        )
        for id_, message in schema.messages.items()
    )
