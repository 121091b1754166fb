"""What makes a user a candidate: a rule of the policy, or risk at or above the segment's threshold."""

from __future__ import annotations

from typing import NamedTuple

from serving.decision.case import Case, Offer, Rule, Said
from serving.decision.conditions import Asking, asking, that_hold
from serving.decision.policy import Channel, MessageClass, Policy, Trigger
from serving.decision.values import Inputs
from serving.decision.verdicts import passed, refused, remembered


def threshold(inputs: Inputs, policy: Policy) -> float:
    """The risk from which a user of this segment is a candidate."""
    return policy.segment_thresholds.get(inputs.segment or "", policy.risk_threshold)


class Triggers(NamedTuple):
    """Those of a class, prepared for asking; each list in the policy's order."""

    live: tuple[Asking[Trigger], ...]  # those that are not switched off
    riskless: tuple[Asking[Trigger], ...]  # those that do not ask for risk above the threshold
    by_risk: tuple[Asking[Trigger], ...]  # those that do
    off: tuple[Asking[Trigger], ...]  # those that are switched off


def triggers_of(message_class: MessageClass, policy: Policy) -> Triggers:
    """What may call for a class of message."""
    live = asking(policy.live_triggers[message_class])
    return Triggers(
        live=live,
        riskless=tuple(one for one in live if not one.rule.risk_above_threshold),
        by_risk=tuple(one for one in live if one.rule.risk_above_threshold),
        off=asking(_off(message_class, policy)),
    )


def fired(triggers: Triggers, inputs: Inputs, *, is_high: bool) -> Trigger | None:
    """The first trigger, in the policy's order, that fires; ``is_high``: the risk is at or above the threshold."""
    return next(that_hold(triggers.live if is_high else triggers.riskless, inputs), None)


def stopped(triggers: Triggers, inputs: Inputs, *, is_high: bool) -> Trigger | None:
    """The first trigger that would fire were it not switched off."""
    return next((one for one in that_hold(triggers.off, inputs) if is_high or not one.risk_above_threshold), None)


def lacks_risk(triggers: Triggers, inputs: Inputs) -> bool:
    """Whether a trigger asks for nothing more than a higher risk."""
    return next(that_hold(triggers.by_risk, inputs), None) is not None


def trigger(channel: Channel, policy: Policy) -> Rule:
    """Something must call for a message; where nothing does, the rule says whether a switch or the risk alone kept it back."""
    arm = channel.arm
    called = {one.name: (passed(arm, "trigger", sentence=trigger_sentence(one)),) for one in policy.live_triggers[channel.message_class]}
    off = {
        one.name: (refused(arm, "trigger", "switched_off", what=f"The trigger {one.name}"),) for one in _off(channel.message_class, policy)
    }
    nothing = (refused(arm, "trigger", "no_trigger", message_class=channel.message_class),)

    @remembered
    def below(risk: str, bound: str) -> Said:
        return (refused(arm, "trigger", "risk_below_threshold", risk=risk, threshold=bound),)

    def say(case: Case, offer: Offer) -> Said:
        if offer.called.trigger is not None:
            return called[offer.called.trigger.name]
        if offer.called.switched_off is not None:
            return off[offer.called.switched_off.name]
        return below(case.risk_text, case.threshold_text) if offer.called.lacks_risk else nothing

    return say


def trigger_sentence(trigger: Trigger) -> str:
    """What the trigger is about, in the policy's words where it has some."""
    return trigger.sentence or f"The trigger {trigger.name} fired."


def _off(message_class: MessageClass, policy: Policy) -> tuple[Trigger, ...]:
    return tuple(one for one in policy.triggers_by_class[message_class] if one.name in policy.switched_off.triggers)
