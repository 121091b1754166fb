"""What makes a user a candidate: a rule of the policy, or risk at or above the segment's threshold."""

from __future__ import annotations

from serving.decision.conditions import all_hold
from serving.decision.eligibility import known_risk
from serving.decision.policy import Channel, MessageClass, Policy, Trigger
from serving.decision.values import Inputs, Verdict
from serving.decision.verdicts import newly_refused, passed, refused


def threshold(inputs: Inputs, policy: Policy) -> float:
    """The risk from which a user of this segment is a candidate."""
    return policy.segment_thresholds.get(inputs.segment or "", policy.risk_threshold)


def fired(message_class: MessageClass, inputs: Inputs, policy: Policy) -> Trigger | None:
    """The first trigger of the class, in the policy's order, that fires."""
    for trigger in policy.live_triggers[message_class]:
        if all_hold(trigger.conditions, inputs) and (not trigger.risk_above_threshold or _is_high(inputs, policy)):
            return trigger
    return None


def trigger_verdict(channel: Channel, trigger: Trigger | None, inputs: Inputs, policy: Policy) -> Verdict:
    """Whether anything calls for a message, and if not whether the risk alone was lacking."""
    if trigger is not None:
        return passed(channel.arm, "trigger", sentence=trigger_sentence(trigger))
    arm, risk, bound = channel.arm, known_risk(inputs), threshold(inputs, policy)
    live = (t for t in policy.risk_triggers[channel.message_class] if t.name not in policy.switched_off.triggers)
    if risk is not None and risk < bound and any(all_hold(t.conditions, inputs) for t in live):
        return newly_refused(arm, "trigger", "risk_below_threshold", risk=risk, threshold=bound)
    return refused(arm, "trigger", "no_trigger", message_class=channel.message_class)


def trigger_sentence(trigger: Trigger) -> str:
    """What the trigger is about, in the policy's words where it has some."""
    return trigger.sentence or f"The trigger {trigger.name} fired."


def _is_high(inputs: Inputs, policy: Policy) -> bool:
    risk = known_risk(inputs)
    return risk is not None and risk >= threshold(inputs, policy)
