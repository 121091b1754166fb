"""Each arm, judged by every rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from serving.decision.arms import NAMES, Call, Judge
from serving.decision.caps import is_free
from serving.decision.case import Called, Case, Choice, Moment, Offer, Said
from serving.decision.channels import preferred_channel, rank
from serving.decision.eligibility import is_held_out, known_risk
from serving.decision.guardrails import holding
from serving.decision.local_time import local, quiet_start_us, zone_of
from serving.decision.messages import attributed, choose, messages_for
from serving.decision.moment import moment_for
from serving.decision.policy import Channel, Message, MessageClass, Policy, Trigger
from serving.decision.triggers import fired, lacks_risk, stopped, threshold
from serving.decision.values import Inputs, Verdict
from serving.decision.verdicts import remembered

_ABOUT_THE_MESSAGE = ("message", "cooldown", "suppression", "price")
_AS_IF_CALLED = {("model", "model_missing"), ("trigger", "switched_off")}
_STEPS_TO_AN_OPENING = 16
_EXPIRIES = 16


class Option(NamedTuple):
    """One arm and what every rule says of it, not only the first that refused."""

    judge: Judge
    channel: Channel
    moment: Moment
    trigger: Trigger | None
    choice: Choice | None
    own: Sequence[Verdict]  # on this arm
    refusals: Sequence[Verdict]  # those on every arm and on this one that close it, in the order of the rules

    @property
    def message(self) -> Message | None:
        """Its own, which chance may replace."""
        return None if self.choice is None else self.choice.message


def case_of(inputs: Inputs, policy: Policy) -> Case:
    """What all arms share: found once for a decision."""
    risk, bound, zone = known_risk(inputs), threshold(inputs, policy), zone_of(inputs.profile, policy)
    is_high = None if risk is None else risk >= bound
    return Case(
        inputs=inputs,
        policy=policy,
        profile=inputs.profile,
        contacts=inputs.contacts,
        zone=zone,
        wall=local(inputs.as_of_us, zone),
        risk=risk,
        risk_text="" if risk is None else f"{risk:.3f}",
        threshold=bound,
        threshold_text=f"{bound:.3f}",
        is_held_out=is_held_out(inputs, policy),
        causes=attributed(inputs, policy),
        called={
            call.message_class: _called(call, inputs, is_high=is_high, moment=moment_for(call.channel, inputs.as_of_us, zone, policy))
            for call in policy.prepared.calls
        },
    )


def shared_verdicts(case: Case) -> Said:
    """What the rules about every arm say."""
    said: list[Verdict] = []
    for rule in case.policy.prepared.shared:
        said += rule(case)
    return tuple(said)


def all_options(case: Case, shared: Said) -> list[Option]:
    """Every arm of the policy but "none": assist before outreach, within a class as `serving.decision.channels.rank` says."""
    closing = [verdict for verdict in shared if not verdict.passed]
    options = [judged(judge, case, closing) for judge in case.policy.prepared.judges]
    if case.policy.orders_channels:
        preferred = preferred_channel(case.inputs, case.policy)
        options.sort(key=lambda option: rank(option.channel, option.trigger, preferred, case.inputs, case.policy))
    return options


def judged(judge: Judge, case: Case, closing: Sequence[Verdict]) -> Option:
    """One arm; ``closing``: what closes every arm."""
    called = case.called[judge.channel.message_class]
    return _judged(judge, case, closing, choose(judge.shelf, called.trigger, case), called.earliest)


def judged_again(option: Option, case: Case, closing: Sequence[Verdict]) -> Option:
    """The same arm where nothing but the explanation came in: the rules speak again only of another message."""
    choice, before = choose(option.judge.shelf, option.trigger, case), option.choice
    is_same = before is not None and choice is not None and choice.message.id == before.message.id
    return option._replace(choice=choice) if is_same else _judged(option.judge, case, closing, choice, option.moment)


def judged_at_moment(option: Option, choice: Choice, moment: Moment, case: Case) -> Option:
    """An open arm, were it this message at this moment: closed by whatever rule would not allow it then."""
    return _judged(option.judge, case, (), choice, moment)._replace(choice=option.choice)


def moved(option: Option, moment: Moment, case: Case, closing: Sequence[Verdict]) -> Option:
    """The same arm at a better moment for its message, of which the rules speak again."""
    return _judged(option.judge, case, closing, option.choice, moment)


def _judged(judge: Judge, case: Case, closing: Sequence[Verdict], choice: Choice | None, moment: Moment) -> Option:
    channel, rules, _ = judge
    called = case.called[channel.message_class]
    own: list[Verdict] = []
    offer = Offer(called, None if choice is None else choice.message, moment)
    for rule in rules:
        own += rule(case, offer)
    refusals = [*closing, *[verdict for verdict in own if not verdict.passed]]
    return Option(judge, channel, moment, called.trigger, choice, own, refusals)


def closeness(option: Option) -> tuple[bool, int, bool]:
    """How close a closed arm came to being open, to be compared: whether something called for it, then how late it was refused.

    Without a model nobody knows whether the risk would have called for it, so it counts as if it had; after what a rule did call for. What
    a trigger would have called for were it not switched off counts as called for.
    """
    rule, is_called = option.refusals[0].rule, option.trigger is not None
    called_for = is_called or not _AS_IF_CALLED.isdisjoint([(verdict.rule, verdict.code) for verdict in option.refusals])
    return called_for, _place(rule), is_called and rule == "model"


@remembered
def _place(rule: str) -> int:
    return NAMES.index(rule.partition(":")[0])


def open_but_for_the_message(option: Option, inputs: Inputs, policy: Policy) -> bool:
    """Whether the arm is open if the right message is picked."""
    for verdict in option.refusals:
        if not _is_about_the_message(verdict, policy):
            return False
    messages = messages_for(option.judge.shelf, inputs)
    return any(is_free(option.channel, message, inputs, option.moment, policy) for message in messages)


def opens_from_us(option: Option, inputs: Inputs, policy: Policy) -> int | None:
    """The earliest instant from which a closed arm would be open, all else being equal; None where time alone does not open it.

    Rules say from when they would pass if nothing else changed. Sooner than that a reservation may expire of which no news came; and who is
    asked about in quiet hours is written to when they end, so that what is free by then may be asked for when they begin. Of reservations
    the few that expire first are looked at.
    """
    found_us = _open_after_us(option, inputs, policy)
    if found_us is None:
        return None
    expiries = sorted({one.expires_us for one in inputs.contacts or () if one.expires_us is not None and one.expires_us > inputs.as_of_us})
    for at_us in expiries[:_EXPIRIES]:
        found_us = _sooner_us(at_us, found_us, option, inputs, policy)
    return _sooner_us(_quiet_start_us(found_us, option, policy), found_us, option, inputs, policy)


def _sooner_us(at_us: int, found_us: int, option: Option, inputs: Inputs, policy: Policy) -> int:
    """The earlier of ``found_us`` and of when the arm opens from ``at_us`` on."""
    if not inputs.as_of_us < at_us < found_us:
        return found_us
    opens_us = _open_after_us(_judged_at(at_us, option, inputs, policy), inputs, policy, from_us=at_us)
    return found_us if opens_us is None else min(found_us, opens_us)


def _quiet_start_us(at_us: int, option: Option, policy: Policy) -> int:
    """When the quiet hours began that the instant is in, where a message waits for their end; else the instant."""
    message_class = option.channel.message_class
    ranges = policy.quiet_by_class[message_class]
    waits = message_class is MessageClass.OUTREACH and bool(ranges)
    return quiet_start_us(at_us, ranges, option.moment.zone) if waits else at_us


def _open_after_us(option: Option, inputs: Inputs, policy: Policy, *, from_us: int = 0) -> int | None:
    """When following what each refusal says leads to an open arm; ``option`` is as judged at ``from_us`` (0: as_of)."""
    at_us = from_us or inputs.as_of_us
    for _ in range(_STEPS_TO_AN_OPENING):  # past one limit another may hold
        if not option.refusals:
            return at_us
        allowed = [verdict.allowed_from_us for verdict in option.refusals if verdict.allowed_from_us is not None]
        if len(allowed) < len(option.refusals):
            return None
        at_us = max(allowed)
        option = _judged_at(at_us, option, inputs, policy)
    return None


def _judged_at(at_us: int, option: Option, inputs: Inputs, policy: Policy) -> Option:
    """The arm at a later instant."""
    contacts = None if inputs.contacts is None else tuple(one for one in inputs.contacts if one.counts_at(at_us))
    case = case_of(replace(inputs, as_of_us=at_us, contacts=contacts), policy)
    return judged(option.judge, case, [verdict for verdict in shared_verdicts(case) if not verdict.passed])


def is_deferred(option: Option) -> bool:
    """Whether nothing but limits keeps the arm closed, which time lifts: what would be sent waits and is not dropped.

    Help in the session is not deferred: later it no longer helps.
    """
    if not option.refusals or option.channel.message_class is not MessageClass.OUTREACH:
        return False
    return all(verdict.rule.startswith(("cap:", "rate:")) for verdict in option.refusals)


def _is_about_the_message(verdict: Verdict, policy: Policy) -> bool:
    rule = verdict.rule
    if rule.startswith("cap:"):
        return any(cap.message_id is not None and rule == f"cap:{cap.name}" for cap in policy.caps)
    return rule in _ABOUT_THE_MESSAGE or rule.startswith("rate:")


def _called(call: Call, inputs: Inputs, *, is_high: bool | None, moment: Moment) -> Called:
    """``is_high``: whether the risk is at or above the threshold; None where there is no risk."""
    trigger = fired(call.triggers, inputs, is_high=is_high is True)
    lacking = trigger is None and is_high is False and lacks_risk(call.triggers, inputs)
    off = stopped(call.triggers, inputs, is_high=is_high is True) if trigger is None and call.triggers.off else None
    return Called(trigger, lacking, off, holding(call.guardrails, inputs), moment)
