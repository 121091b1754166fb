"""The decision. Read this file first, then `serving.decision.options`, then the rules as `serving.decision.arms` has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from serving.decision.case import Case, Choice, Moment, Said, Timed
from serving.decision.delays import Drawn, draw_delay, undone
from serving.decision.exploration import Chosen, choose_arm, choose_message
from serving.decision.local_time import day_window_us, local
from serving.decision.messages import attributed, fill, fill_content
from serving.decision.moment import moment_sentence
from serving.decision.options import (
    Option,
    all_options,
    case_of,
    closeness,
    is_deferred,
    judged_again,
    moved,
    open_but_for_the_message,
    opens_from_us,
    shared_verdicts,
)
from serving.decision.policy import MessageClass, Mode, Policy
from serving.decision.room import windows_ahead
from serving.decision.sentences import REFUSED, sent
from serving.decision.timing import timed
from serving.decision.triggers import trigger_sentence
from serving.decision.values import Action, Arm, Decision, Inputs, Permit, Verdict
from serving.decision.verdicts import remembered

Treatment = tuple[str, int | None]
"""An arm, and the moment in which it sends (us); "none" at no moment."""


def decide(inputs: Inputs, policy: Policy) -> Decision:
    """What to do for one user at one instant, why, and why not.

    Every arm (a channel) is judged by every rule. The first open arm is chosen: assist before outreach, because a person in trouble now is
    helped now; within a class in the order that `serving.decision.channels` gives. A share of decisions, if the policy explores, is left to
    chance (`serving.decision.exploration`). When no arm is open, the reason given is that of the arm that came closest, of equals the last
    one: outreach, whose reason may be the risk itself.
    A closed arm that time alone opens says from when; where the closest one is closed by limits alone, the action is to defer.
    This proposes; the ledger has the last word (see `serving.decision.caps.cap_windows`).
    """
    return judged(inputs, policy).decision()


def needs_explanation(inputs: Inputs, policy: Policy) -> bool:
    """Whether the costly attribution of risk to causes is worth its time: some arm is open if the right message is picked."""
    return judged(inputs, policy).needs_explanation()


def judged(inputs: Inputs, policy: Policy) -> Judgement:
    """Every arm, judged, for whoever may explain before deciding."""
    case = case_of(inputs, policy)
    shared = shared_verdicts(case)
    return Judgement(case, shared, all_options(case, shared))


class Judgement(NamedTuple):
    """What every rule says; a decision follows from it."""

    case: Case
    shared: Said  # on every arm
    options: Sequence[Option]  # every arm but "none", in order of preference

    def needs_explanation(self) -> bool:
        """See `needs_explanation`."""
        inputs, policy = self.case.inputs, self.case.policy
        return any(open_but_for_the_message(option, inputs, policy) for option in self.options)

    def windows_ahead(self) -> tuple[Permit, ...]:
        """Windows of rate limits to ask about before chance draws, see `serving.decision.room`."""
        return windows_ahead(self.options, self.case)

    def explained(self, inputs: Inputs) -> Judgement:
        """The same with contributions in the inputs, and with what is known of timing; nothing else in them may differ."""
        case = self.case._replace(inputs=inputs, causes=attributed(inputs, self.case.policy))
        return self._replace(case=case, options=[judged_again(option, case, self._closing) for option in self.options])

    def timed(self, inputs: Inputs) -> Judgement:
        """The same with what is known of timing in the inputs; nothing else in them may differ."""
        return self._replace(case=self.case._replace(inputs=inputs))

    def outreach(self) -> Choice | None:
        """The message that is sent, or chance chose not to send, and may wait for a better slot; None where nothing or help is."""
        inputs, policy = self.case.inputs, self.case.policy
        chosen = choose_arm(self.options, inputs, policy)
        option = self._undone_arm if chosen.option is None and chosen.greedy is not None else chosen.option
        if option is None or option.channel.message_class is not MessageClass.OUTREACH:
            return None
        return choose_message(option, inputs, policy)

    def chances(self) -> dict[Treatment, float]:
        """Of each arm at each moment, those that have any; of the messages that chance may give an arm, with the one that it drew."""
        chosen = choose_arm(self.options, self.case.inputs, self.case.policy)
        found: dict[Treatment, float] = {("none", None): chosen.propensities[-1]} if chosen.propensities[-1] else {}
        for option, chance in zip(self.options, chosen.propensities, strict=False):
            if chance:
                found |= {(option.channel.arm, at_us): chance * of_moment for at_us, of_moment in self._moments(option).items()}
        return found

    def decision(self) -> Decision:
        """See `decide`."""
        inputs, policy = self.case.inputs, self.case.policy
        chosen = choose_arm(self.options, inputs, policy)
        if chosen.option is not None:
            return self._sending(chosen.option, chosen)
        decision = _without_action(self, chosen.greedy or max(reversed(self.options), key=closeness), chosen)
        undone_arm = None if chosen.greedy is None else self._undone_arm
        return decision if undone_arm is None else self._with_undone_delays(undone_arm, decision)

    def _sending(self, option: Option, chosen: Chosen) -> Decision:
        """The decision in which an arm sends; what the rules say of it is said of the moment in which it does."""
        inputs, policy = self.case.inputs, self.case.policy
        choice, delays, later = choose_message(option, inputs, policy), None, option
        when = timed(option.channel, choice.message, option.moment, inputs, policy)
        if when.moment != option.moment and choice.message is option.message:
            later = moved(option, when.moment, self.case, self._closing)
        if self._draws_delays:
            later, delays = draw_delay(later._replace(moment=when.moment), choice, self.case)
            when = when._replace(moment=later.moment)
        options = self.options if later is option else [later if one is option else one for one in self.options]
        decision = _without_action(self._replace(options=options), later, chosen._replace(option=later))
        return _with_message(decision, later, choice, when, self.case)._replace(delays=delays)

    @property
    def _draws_delays(self) -> bool:
        """Not once a draw met a rate limit: who drew a moment without room would draw another, and no chance would be as told."""
        inputs = self.case.inputs
        return self.case.policy.exploration.draws_delays and (inputs.exhausted_before_draw or not inputs.exhausted)

    @property
    def _undone_arm(self) -> Option | None:
        """The arm of outreach whose moment chance could have drawn, where it chose to send nothing: "never" beside its delays."""
        arms = self.options if self._draws_delays else ()
        return next((arm for arm in arms if not arm.refusals and arm.channel.message_class is MessageClass.OUTREACH), None)

    def _with_undone_delays(self, arm: Option, decision: Decision) -> Decision:
        return decision._replace(delays=undone(self._drawn(arm)))

    def _drawn(self, arm: Option) -> Drawn:
        """An open arm at the moment of its message, which chance may have drawn."""
        inputs, policy = self.case.inputs, self.case.policy
        choice = choose_message(arm, inputs, policy)
        later = arm._replace(moment=timed(arm.channel, choice.message, arm.moment, inputs, policy).moment)
        return draw_delay(later, choice, self.case) if self._draws_delays else Drawn(later, None)

    def _moments(self, arm: Option) -> dict[int, float]:
        """When an open arm would send (us), and with which chances."""
        option, delays = self._drawn(arm)
        return {option.moment.at_us: 1.0} if delays is None else {slot.at_us: slot.propensity for slot in delays.slots if slot.propensity}

    @property
    def _closing(self) -> list[Verdict]:
        """What closes every arm."""
        return [verdict for verdict in self.shared if not verdict.passed]


def _without_action(judgement: Judgement, shown: Option, chosen: Chosen) -> Decision:
    case, shared, options = judgement
    inputs, trigger = case.inputs, shown.trigger
    arms = _arms(options, inputs, case.policy, chosen)
    openings = [arm.allowed_from_us for arm in arms if arm.allowed_from_us is not None]
    code, sentence = _why_not(shown)
    verdicts = [*shared]
    for option in options:
        verdicts += option.own
    return Decision(
        decision_id=inputs.decision_id,
        user_id=inputs.user_id,
        as_of_us=inputs.as_of_us,
        action=Action.DEFER if openings and is_deferred(shown) else Action.NONE,
        code=code,
        sentence=sentence,
        risk=case.risk,
        threshold=case.threshold,
        segment=inputs.segment,
        segments=inputs.segments,
        trigger=None if trigger is None else trigger.name,
        severity=None if trigger is None else trigger.severity,
        verdicts=tuple(verdicts),
        arms=arms,
        ask_again_at_us=min(openings) if openings and chosen.option is None else None,
        degraded=inputs.degraded,
        policy_hash=case.policy.hash,
        assignments={} if case.is_held_out is None else {"holdout": "held_out" if case.is_held_out else "treated"},
        contributions=inputs.contributions or {},
    )


def _why_not(shown: Option) -> tuple[str, str]:
    """Code and sentence of the first refusal; an arm that is open and was not chosen lost to chance."""
    if not shown.refusals:
        return "explored_none", REFUSED["explored_none"]
    return shown.refusals[0].code, shown.refusals[0].sentence


def _with_message(decision: Decision, option: Option, choice: Choice, when: Timed, case: Case) -> Decision:
    assert option.trigger is not None  # the rule "trigger" passed
    assert option.choice is not None  # the rule "message" passed
    inputs, policy, moment = case.inputs, case.policy, moment_sentence(when.moment)
    message, cause, due = choice.message, choice.cause, option.choice.cause
    cause_sentence = policy.cause_sentences.get(cause) if cause else None
    within_us, is_live = option.channel.deliver_within_us, policy.mode is Mode.LIVE
    return decision._replace(
        action=Action.SEND if is_live else Action.STAGE,
        expires_at_us=None if within_us is None else _expiry_us(when.moment, within_us),
        code=f"{'sent' if is_live else 'staged'}_by_{option.trigger.name}",
        sentence=sent(trigger=trigger_sentence(option.trigger), cause=cause_sentence, channel=option.channel.name, moment=moment),
        cause=cause,
        cause_sentence=cause_sentence,
        contribution=choice.contribution,
        message_class=message.message_class,
        message_id=message.id,
        message_propensity=choice.propensity,
        matched=None if due is None else due in message.causes,
        title=fill(message.title, inputs),
        body=fill(message.body, inputs),
        content=fill_content(message.content, inputs),
        blocks=message.blocks,
        channel=option.channel.name,
        send_at_us=when.moment.at_us,
        moment_sentence=moment,
        curve=when.curve,
        advice=when.advice,
    )


def _expiry_us(moment: Moment, within_us: int) -> int:
    """Not past the local day of the moment, under whose caps the contact counts."""
    return min(moment.at_us + within_us, day_window_us(local(moment.at_us, moment.zone).date(), moment.zone)[1])


def _arms(options: Sequence[Option], inputs: Inputs, policy: Policy, chosen: Chosen) -> tuple[Arm, ...]:
    """Every arm with the chance it had, and why it is not the one."""
    arms = []
    for option, propensity in zip(options, chosen.propensities, strict=False):
        name, first = option.channel.arm, option.refusals[0] if option.refusals else None
        if first is None:
            arms.append(_arm(name, _why_another(option, chosen), propensity, is_open=True))
        elif first.allowed_from_us is None:
            arms.append(_arm(name, first.code, propensity, is_open=False))
        else:
            arms.append(_arm(name, first.code, propensity, is_open=False)._replace(allowed_from_us=opens_from_us(option, inputs, policy)))
    return (*arms, _arm("none", None, chosen.propensities[-1], is_open=True))


@remembered  # few reasons close an arm, and most have the chance 0 or 1
def _arm(name: str, blocked_by: str | None, propensity: float, *, is_open: bool) -> Arm:
    return Arm(name, open=is_open, blocked_by=blocked_by, propensity=propensity)


def _why_another(option: Option, chosen: Chosen) -> str | None:
    """Why an open arm is not the one; None of the one that is."""
    if option is chosen.option:
        return None
    if not chosen.explored:
        return "another_arm_first"
    return "explored_none" if chosen.option is None else "explored_another"
