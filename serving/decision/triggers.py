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
    """Those of a class that are not switched off, prepared for asking; each list in the policy's order."""

    live: tuple[Asking[Trigger], ...]
    riskless: tuple[Asking[Trigger], ...]  # those that do not ask for risk above the threshold
    by_risk: tuple[Asking[Trigger], ...]  # those that do


def triggers_of(message_class: MessageClass, policy: Policy) -> Triggers:
    """What may call for a class of message."""
    live = asking(policy.live_triggers[message_class])
    return Triggers(
        live=live,
        riskless=tuple(one for one in live if not one.rule.risk_above_threshold),
        by_risk=tuple(one for one in live if one.rule.risk_above_threshold),
    )


def fired(triggers: Triggers, inputs: Inputs, *, is_high: bool) -> Trigger | None:
    """The first trigger, in the policy's order, that fires; ``is_high``: the risk is at or above the threshold."""
    return next(that_hold(triggers.live if is_high else triggers.riskless, inputs), None)


def lacks_risk(triggers: Triggers, inputs: Inputs) -> bool:
    """Whether a trigger asks for nothing more than a higher risk."""
    return next(that_hold(triggers.by_risk, inputs), None) is not None


def trigger(channel: Channel, policy: Policy) -> Rule:
    """Something must call for a message; where nothing does, the rule says whether the risk alone was lacking."""
    arm = channel.arm
    called = {one.name: (passed(arm, "trigger", sentence=trigger_sentence(one)),) for one in policy.live_triggers[channel.message_class]}
    nothing = (refused(arm, "trigger", "no_trigger", message_class=channel.message_class),)

    @remembered
    def below(risk: str, bound: str) -> Said:
        return (refused(arm, "trigger", "risk_below_threshold", risk=risk, threshold=bound),)

    def say(case: Case, offer: Offer) -> Said:
        if offer.called.trigger is not None:
            return called[offer.called.trigger.name]
        return below(case.risk_text, case.threshold_text) if offer.called.lacks_risk else nothing

    return say


def trigger_sentence(trigger: Trigger) -> str:
    """What the trigger is about, in the policy's words where it has some."""
    return trigger.sentence or f"The trigger {trigger.name} fired."
