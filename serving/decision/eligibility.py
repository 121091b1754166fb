"""Who may be considered at all: consent, opt-in, and enough known to decide."""

from __future__ import annotations

from typing import Any

from features.core.catalogue import window_text
from serving.decision.chance import draw
from serving.decision.policy import Channel, MessageClass, Policy
from serving.decision.values import Degradation, Inputs, Verdict
from serving.decision.verdicts import EVERY_ARM, newly_passed, passed, refused


def known_risk(inputs: Inputs) -> float | None:
    """The risk when it is a probability; None when it is missing, NaN or outside [0, 1]."""
    risk = inputs.risk
    return risk if risk is not None and 0.0 <= risk <= 1.0 else None


def shared_verdicts(inputs: Inputs, policy: Policy) -> tuple[Verdict, ...]:
    """Rules that close every arm at once: ledger, features, consent; where the policy has them suppression, holdout, the main switch."""
    optional = (_suppression(inputs, policy), _holdout(inputs, policy), _switch(policy))
    return (_ledger(inputs), _features(inputs, policy), _consent(inputs, policy), *[verdict for verdict in optional if verdict is not None])


def is_held_out(inputs: Inputs, policy: Policy) -> bool | None:
    """Whether the user is one who is never contacted; None where the policy has no holdout."""
    holdout = policy.holdout
    return None if holdout is None else draw(f"holdout:{holdout.salt}", inputs.user_id) < holdout.share


def own_verdicts(channel: Channel, inputs: Inputs, policy: Policy) -> tuple[Verdict, ...]:
    """Opt-in of the channel; for outreach also a risk score and enough evidence.

    Help within seconds of friction waits for neither: a newcomer's third failed login is evidence enough.
    """
    reached = [_opt_in(channel, inputs)]
    if channel.available is not None:
        reached.append(_available(channel, channel.available, inputs))
    if policy.switched_off.channels:
        reached.append(_channel_switch(channel, policy))
    if channel.message_class is MessageClass.ASSIST:
        return tuple(reached)
    return (*reached, _model(channel, inputs), _evidence(channel, inputs, policy))


def _ledger(inputs: Inputs) -> Verdict:
    if Degradation.USER_ERASED in inputs.degraded:
        return refused(EVERY_ARM, "ledger", "user_erased")
    if inputs.contacts is None:
        return refused(EVERY_ARM, "ledger", "ledger_unavailable")
    if inputs.refused_by is not None:
        return refused(EVERY_ARM, "ledger", "cap_contended", window=inputs.refused_by)
    return passed(EVERY_ARM, "ledger")


def _features(inputs: Inputs, policy: Policy) -> Verdict:
    if Degradation.TIMELINE_NEWER in inputs.degraded:
        return refused(EVERY_ARM, "features", "timeline_newer", user_id=inputs.user_id)
    if not inputs.features or Degradation.FEATURES_UNAVAILABLE in inputs.degraded:
        return refused(EVERY_ARM, "features", "features_unavailable")
    if Degradation.FEATURES_STALE in inputs.degraded:
        limit = "" if policy.max_feature_age is None else f" ({window_text(policy.max_feature_age)})"
        return refused(EVERY_ARM, "features", "features_stale", limit=limit)
    return passed(EVERY_ARM, "features")


def _consent(inputs: Inputs, policy: Policy) -> Verdict:
    if Degradation.PROFILE_UNAVAILABLE in inputs.degraded:
        return refused(EVERY_ARM, "consent", "profile_unavailable")
    if inputs.profile.get(policy.consent_attribute) is not True:
        return refused(EVERY_ARM, "consent", "no_consent", attribute=policy.consent_attribute)
    return passed(EVERY_ARM, "consent")


def _suppression(inputs: Inputs, policy: Policy) -> Verdict | None:
    attribute = policy.suppression_attribute
    if attribute is None:
        return None
    if inputs.profile.get(attribute) is True:
        return refused(EVERY_ARM, "suppression_list", "suppressed", attribute=attribute)
    return passed(EVERY_ARM, "suppression_list")


def _holdout(inputs: Inputs, policy: Policy) -> Verdict | None:
    held_out = is_held_out(inputs, policy)
    if held_out is None or policy.holdout is None:
        return None
    return refused(EVERY_ARM, "holdout", "holdout", share=policy.holdout.share) if held_out else passed(EVERY_ARM, "holdout")


def _switch(policy: Policy) -> Verdict | None:
    return refused(EVERY_ARM, "switched_off", "switched_off", what="Everything") if policy.switched_off.everything else None


def _channel_switch(channel: Channel, policy: Policy) -> Verdict:
    is_off = channel.name in policy.switched_off.channels
    return refused(channel.arm, "switched_off", "switched_off", what=channel.name) if is_off else passed(channel.arm, "switched_off")


def _available(channel: Channel, attribute: str, inputs: Inputs) -> Verdict:
    if inputs.profile.get(attribute) is not True:
        return refused(channel.arm, "available", "not_available", channel=channel.name, attribute=attribute)
    return passed(channel.arm, "available", channel=channel.name)


def _opt_in(channel: Channel, inputs: Inputs) -> Verdict:
    arm = channel.arm
    if channel.opt_in is not None and inputs.profile.get(channel.opt_in) is not True:
        return refused(arm, "opt_in", "no_opt_in", channel=channel.name, attribute=channel.opt_in)
    return passed(arm, "opt_in", channel=channel.name)


def _model(channel: Channel, inputs: Inputs) -> Verdict:
    arm, risk = channel.arm, known_risk(inputs)
    return refused(arm, "model", "model_missing") if risk is None else newly_passed(arm, "model", risk=risk)


def _evidence(channel: Channel, inputs: Inputs, policy: Policy) -> Verdict:
    arm = channel.arm
    facts: dict[str, Any] = {"n_events": inputs.n_events, "min_events": policy.min_events}
    if inputs.n_events < policy.min_events:
        return refused(arm, "evidence", "too_little_evidence", **facts)
    return passed(arm, "evidence", **facts)
