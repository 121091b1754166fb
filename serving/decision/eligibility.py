"""Who may be considered at all: consent, opt-in, and enough known to decide."""

from __future__ import annotations

from features.core.catalogue import window_text
from serving.decision.case import Case, Rule, Said, SharedRule
from serving.decision.chance import draw
from serving.decision.policy import Channel, MessageClass, Policy
from serving.decision.values import Degradation, Inputs
from serving.decision.verdicts import EVERY_ARM, passed, refused, remembered


def known_risk(inputs: Inputs) -> float | None:
    """The risk when it is a probability; None when it is missing, NaN or outside [0, 1]."""
    risk = inputs.risk
    return risk if risk is not None and 0.0 <= risk <= 1.0 else None


def is_held_out(inputs: Inputs, policy: Policy) -> bool | None:
    """Whether the user is one who is never contacted; None where the policy has no holdout."""
    holdout = policy.holdout
    return None if holdout is None else draw(f"holdout:{holdout.salt}", inputs.user_id) < holdout.share


def ledger(_policy: Policy) -> SharedRule:
    """Past contacts must be known."""
    known = (passed(EVERY_ARM, "ledger"),)

    def say(case: Case) -> Said:
        if Degradation.USER_ERASED in case.inputs.degraded:
            return (refused(EVERY_ARM, "ledger", "user_erased"),)
        if case.contacts is None:
            return (refused(EVERY_ARM, "ledger", "ledger_unavailable"),)
        if case.inputs.refused_by is not None:
            return (refused(EVERY_ARM, "ledger", "cap_contended", window=case.inputs.refused_by),)
        return known

    return say


def features(policy: Policy) -> SharedRule:
    """What the user did must be known, and be news."""
    known = (passed(EVERY_ARM, "features"),)
    limit = _age_text(policy)
    if policy.degraded.assist_on_stale_features:  # `freshness` closes the other arms
        old = (passed(EVERY_ARM, "features", saying="stale", limit=limit),)
    else:
        old = (refused(EVERY_ARM, "features", "features_stale", limit=limit),)

    def say(case: Case) -> Said:
        degraded = case.inputs.degraded
        if Degradation.TIMELINE_NEWER in degraded:
            return (refused(EVERY_ARM, "features", "timeline_newer", user_id=case.inputs.user_id),)
        if not case.inputs.features or Degradation.FEATURES_UNAVAILABLE in degraded:
            return (refused(EVERY_ARM, "features", "features_unavailable"),)
        if Degradation.FEATURES_STALE in degraded:
            return old
        return known

    return say


def consent(policy: Policy) -> SharedRule:
    """The user must have consented to being contacted."""
    given, attribute = (passed(EVERY_ARM, "consent"),), policy.consent_attribute
    missing = (refused(EVERY_ARM, "consent", "no_consent", attribute=attribute),)

    def say(case: Case) -> Said:
        if Degradation.PROFILE_UNAVAILABLE in case.inputs.degraded:
            return (refused(EVERY_ARM, "consent", "profile_unavailable"),)
        return given if case.profile.get(attribute) is True else missing

    return say


def suppression_list(policy: Policy) -> SharedRule | None:
    """Where the policy has a suppression list, the user must not be on it."""
    attribute = policy.suppression_attribute
    if attribute is None:
        return None
    free, listed = (passed(EVERY_ARM, "suppression_list"),), (refused(EVERY_ARM, "suppression_list", "suppressed", attribute=attribute),)
    return lambda case: listed if case.profile.get(attribute) is True else free


def holdout(policy: Policy) -> SharedRule | None:
    """Where the policy has a holdout, the user must not be in it."""
    if policy.holdout is None:
        return None
    treated, held_out = (passed(EVERY_ARM, "holdout"),), (refused(EVERY_ARM, "holdout", "holdout", share=policy.holdout.share),)
    return lambda case: held_out if case.is_held_out else treated


def main_switch(policy: Policy) -> SharedRule | None:
    """Everything may be switched off at once."""
    off = (refused(EVERY_ARM, "switched_off", "switched_off", what="Everything"),)
    return (lambda _: off) if policy.switched_off.everything else None


def opt_in(channel: Channel, _policy: Policy) -> Rule:
    """The user must have opted in to the channel, if it has an opt-in of its own."""
    arm, attribute = channel.arm, channel.opt_in
    given = (passed(arm, "opt_in", channel=channel.name),)
    if attribute is None:
        return lambda _case, _offer: given
    missing = (refused(arm, "opt_in", "no_opt_in", channel=channel.name, attribute=attribute),)
    return lambda case, _: given if case.profile.get(attribute) is True else missing


def available(channel: Channel, _policy: Policy) -> Rule | None:
    """The channel must reach the user, where the policy says what shows that."""
    attribute = channel.available
    if attribute is None:
        return None
    there = (passed(channel.arm, "available", channel=channel.name),)
    away = (refused(channel.arm, "available", "not_available", channel=channel.name, attribute=attribute),)
    return lambda case, _: there if case.profile.get(attribute) is True else away


def channel_switch(channel: Channel, policy: Policy) -> Rule | None:
    """The channel may be switched off; where none is, the rule says nothing."""
    if not policy.switched_off.channels:
        return None
    is_off = channel.name in policy.switched_off.channels
    said = refused(channel.arm, "switched_off", "switched_off", what=channel.name) if is_off else passed(channel.arm, "switched_off")
    return lambda _case, _offer: (said,)


def freshness(channel: Channel, policy: Policy) -> Rule | None:
    """Outreach needs news of the user; the rule speaks where the policy lets help be given without, and only of what is stale."""
    if channel.message_class is MessageClass.ASSIST or not policy.degraded.assist_on_stale_features:
        return None
    old = (refused(channel.arm, "freshness", "features_stale", limit=_age_text(policy)),)
    return lambda case, _: old if Degradation.FEATURES_STALE in case.inputs.degraded else ()


def _age_text(policy: Policy) -> str:
    return "" if policy.max_feature_age is None else f" ({window_text(policy.max_feature_age)})"


def model(channel: Channel, policy: Policy) -> Rule | None:
    """Outreach needs a risk score; help within seconds of friction does not wait for one, unless the policy says so."""
    is_help = channel.message_class is MessageClass.ASSIST
    if is_help and policy.degraded.assist_without_model:
        return None
    reason = "the policy has help wait for one" if is_help else "this class of message needs one"
    missing = (refused(channel.arm, "model", "model_missing", reason=reason),)

    @remembered
    def scored(risk: str) -> Said:
        return (passed(channel.arm, "model", risk=risk),)

    return lambda case, _: missing if case.risk is None else scored(case.risk_text)


def evidence(channel: Channel, policy: Policy) -> Rule | None:
    """Outreach needs enough events; a newcomer's third failed login is evidence enough for help."""
    if channel.message_class is MessageClass.ASSIST:
        return None
    arm, enough = channel.arm, policy.min_events

    @remembered
    def counted(n_events: int) -> Said:
        if n_events < enough:
            return (refused(arm, "evidence", "too_little_evidence", n_events=n_events, min_events=enough),)
        return (passed(arm, "evidence", n_events=n_events, min_events=enough),)

    return lambda case, _: counted(case.inputs.n_events)
