"""The decision. Read this file first, then `serving.decision.options`, then the rules in the order in which it calls them."""

from __future__ import annotations

from dataclasses import replace

from serving.decision.eligibility import known_risk
from serving.decision.messages import fill
from serving.decision.moment import moment_sentence
from serving.decision.options import Option, all_options, closeness, open_but_for_the_message
from serving.decision.policy import Policy
from serving.decision.sentences import sent
from serving.decision.triggers import threshold, trigger_sentence
from serving.decision.values import Action, Arm, Decision, Inputs


def decide(inputs: Inputs, policy: Policy) -> Decision:
    """What to do for one user at one instant, why, and why not.

    Every arm (a channel) is judged by every rule. The first open arm is chosen: assist before outreach, because a person in trouble now is
    helped now; within a class in the policy's order. When none is open, the reason given is that of the arm that came closest, of
    equals the last one: outreach, whose reason may be the risk itself.
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
    return Decision(
        decision_id=inputs.decision_id,
        user_id=inputs.user_id,
        as_of_us=inputs.as_of_us,
        action=Action.NONE,
        code=first.code if first else "",
        sentence=first.sentence if first else "",
        risk=known_risk(inputs),
        threshold=threshold(inputs, policy),
        segment=inputs.segment,
        segments=inputs.segments,
        trigger=closest.trigger.name if closest.trigger else None,
        severity=closest.trigger.severity if closest.trigger else None,
        verdicts=(*closest.shared, *(verdict for option in options for verdict in option.own)),
        arms=_arms(options, chosen=None if first else closest),
        degraded=inputs.degraded,
        policy_hash=policy.hash,
        contributions=inputs.contributions or {},
    )


def _with_message(decision: Decision, option: Option, inputs: Inputs, policy: Policy) -> Decision:
    assert option.trigger is not None  # the rule "trigger" passed
    assert option.choice is not None  # the rule "message" passed
    message, cause, moment = option.choice.message, option.choice.cause, moment_sentence(option.moment)
    cause_sentence = policy.cause_sentences.get(cause) if cause else None
    return replace(
        decision,
        action=Action.SEND,
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


def _arms(options: list[Option], *, chosen: Option | None) -> tuple[Arm, ...]:
    """Every arm with the chance it had; without exploration the chosen one has all of it."""
    arms = [
        Arm(
            name=option.channel.arm,
            open=not option.refusals,
            blocked_by=next((verdict.code for verdict in option.refusals), None),
            propensity=float(option is chosen),
        )
        for option in options
    ]
    return (*arms, Arm(name="none", open=True, blocked_by=None, propensity=float(chosen is None)))
