"""Who may be considered at all: consent, opt-in, and enough known to decide."""

from __future__ import annotations

from typing import Any

from features.core.catalogue import window_text
from serving.decision.policy import Channel, MessageClass, Policy
from serving.decision.values import Degradation, Inputs, Verdict
from serving.decision.verdicts import EVERY_ARM, passed, refused


def known_risk(inputs: Inputs) -> float | None:
    """The risk when it is a probability; None when it is missing, NaN or outside [0, 1]."""
    risk = inputs.risk
    return risk if risk is not None and 0.0 <= risk <= 1.0 else None


def shared_verdicts(inputs: Inputs, policy: Policy) -> tuple[Verdict, ...]:
    """Rules that close every arm at once: ledger, features, consent."""
    return _ledger(inputs), _features(inputs, policy), _consent(inputs, policy)


def own_verdicts(channel: Channel, inputs: Inputs, policy: Policy) -> tuple[Verdict, ...]:
    """Opt-in of the channel; for outreach also a risk score and enough evidence.

    Help within seconds of friction waits for neither: a newcomer's third failed login is evidence enough.
    """
    opt_in = _opt_in(channel, inputs)
    if channel.message_class is MessageClass.ASSIST:
        return (opt_in,)
    return opt_in, _model(channel, inputs), _evidence(channel, inputs, policy)


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


def _opt_in(channel: Channel, inputs: Inputs) -> Verdict:
    arm = channel.arm
    if channel.opt_in is not None and inputs.profile.get(channel.opt_in) is not True:
        return refused(arm, "opt_in", "no_opt_in", channel=channel.name, attribute=channel.opt_in)
    return passed(arm, "opt_in", channel=channel.name)


def _model(channel: Channel, inputs: Inputs) -> Verdict:
    arm, risk = channel.arm, known_risk(inputs)
    return refused(arm, "model", "model_missing") if risk is None else passed(arm, "model", risk=risk)


def _evidence(channel: Channel, inputs: Inputs, policy: Policy) -> Verdict:
    arm = channel.arm
    facts: dict[str, Any] = {"n_events": inputs.n_events, "min_events": policy.min_events}
    if inputs.n_events < policy.min_events:
        return refused(arm, "evidence", "too_little_evidence", **facts)
    return passed(arm, "evidence", **facts)
