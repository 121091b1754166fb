"""The decision. Read this file first, then `serving.decision.options`, then the rules in the order in which it calls them."""

from __future__ import annotations

from dataclasses import replace

from serving.decision.eligibility import known_risk
from serving.decision.local_time import day_window_us, local
from serving.decision.messages import fill
from serving.decision.moment import Moment, moment_sentence
from serving.decision.options import Option, all_options, closeness, is_deferred, open_but_for_the_message, opens_from_us
from serving.decision.policy import Policy
from serving.decision.sentences import sent
from serving.decision.triggers import threshold, trigger_sentence
from serving.decision.values import Action, Arm, Decision, Inputs


def decide(inputs: Inputs, policy: Policy) -> Decision:
    """What to do for one user at one instant, why, and why not.

    Every arm (a channel) is judged by every rule. The first open arm is chosen: assist before outreach, because a person in trouble now is
    helped now; within a class in the policy's order. When none is open, the reason given is that of the arm that came closest, of
    equals the last one: outreach, whose reason may be the risk itself.
    A closed arm that time alone opens says from when; where the closest one is closed by limits alone, the action is to defer.
    This proposes; the ledger has the last word (see `serving.decision.caps.cap_windows`).
    """
    return draft(inputs, policy)[0]


def needs_explanation(inputs: Inputs, policy: Policy) -> bool:
    """Whether the costly attribution of risk to causes is worth its time: some arm is open if the right message is picked."""
    return draft(inputs, policy)[1]


def draft(inputs: Inputs, policy: Policy) -> tuple[Decision, bool]:
    """Both at once: `decide` and `needs_explanation` from one judgement of the arms."""
    options = all_options(inputs, policy)
    chosen = next((option for option in options if not option.refusals), None)
    closest = chosen or max(reversed(options), key=closeness)
    decision = _without_action(closest, options, inputs, policy)
    if chosen is not None:
        decision = _with_message(decision, chosen, inputs, policy)
    return decision, any(open_but_for_the_message(option, inputs, policy) for option in options)


def _without_action(closest: Option, options: list[Option], inputs: Inputs, policy: Policy) -> Decision:
    first = next(iter(closest.refusals), None)
    arms = _arms(options, inputs, policy, chosen=None if first else closest)
    openings = [arm.allowed_from_us for arm in arms if arm.allowed_from_us is not None]
    return Decision(
        decision_id=inputs.decision_id,
        user_id=inputs.user_id,
        as_of_us=inputs.as_of_us,
        action=Action.DEFER if openings and is_deferred(closest) else Action.NONE,
        code=first.code if first else "",
        sentence=first.sentence if first else "",
        risk=known_risk(inputs),
        threshold=threshold(inputs, policy),
        segment=inputs.segment,
        segments=inputs.segments,
        trigger=closest.trigger.name if closest.trigger else None,
        severity=closest.trigger.severity if closest.trigger else None,
        verdicts=(*closest.shared, *(verdict for option in options for verdict in option.own)),
        arms=arms,
        ask_again_at_us=min(openings) if first and openings else None,
        degraded=inputs.degraded,
        policy_hash=policy.hash,
        contributions=inputs.contributions or {},
    )


def _with_message(decision: Decision, option: Option, inputs: Inputs, policy: Policy) -> Decision:
    assert option.trigger is not None  # the rule "trigger" passed
    assert option.choice is not None  # the rule "message" passed
    message, cause, moment = option.choice.message, option.choice.cause, moment_sentence(option.moment)
    within_us = option.channel.deliver_within_us
    cause_sentence = policy.cause_sentences.get(cause) if cause else None
    return replace(
        decision,
        action=Action.SEND,
        expires_at_us=None if within_us is None else _expiry_us(option.moment, within_us),
        code=f"sent_by_{option.trigger.name}",
        sentence=sent(trigger=trigger_sentence(option.trigger), cause=cause_sentence, channel=option.channel.name, moment=moment),
        cause=cause,
        cause_sentence=cause_sentence,
        contribution=option.choice.contribution,
        message_class=message.message_class,
        message_id=message.id,
        title=fill(message.title, inputs),
        body=fill(message.body, inputs),
        channel=option.channel.name,
        send_at_us=option.moment.at_us,
        moment_sentence=moment,
    )


def _expiry_us(moment: Moment, within_us: int) -> int:
    """Not past the local day of the moment, under whose caps the contact counts."""
    return min(moment.at_us + within_us, day_window_us(local(moment.at_us, moment.zone).date(), moment.zone)[1])


def _arms(options: list[Option], inputs: Inputs, policy: Policy, *, chosen: Option | None) -> tuple[Arm, ...]:
    """Every arm with the chance it had; without exploration the chosen one has all of it."""
    arms = [
        Arm(
            name=option.channel.arm,
            open=not option.refusals,
            blocked_by=next((verdict.code for verdict in option.refusals), None),
            propensity=float(option is chosen),
            allowed_from_us=opens_from_us(option, inputs, policy) if option.refusals else None,
        )
        for option in options
    ]
    return (*arms, Arm(name="none", open=True, blocked_by=None, propensity=float(chosen is None)))
