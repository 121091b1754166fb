"""Which windows of rate limits a contact could fall in, whatever chance draws: asked about before it draws.

A draw that is refused for want of room is made again, and what is drawn then had another chance than the one that is stated. Timeline, with
one of ten decisions left to chance and a full window for e-mails, so that push alone can go:

    not asked    most want e-mail, are refused, and go by push with a stated 0.95; who drew push at first states 0.033, and 0.933 for e-mail
    asked        e-mail is closed before anything is drawn: 0.95 for push and 0.05 for nothing, whoever it is

What others fill between look and commit, be it in the same step, is still met there (`Inputs.exhausted_before_draw` is then false).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from serving.decision.caps import permit_at, with_exhausted
from serving.decision.case import Case
from serving.decision.messages import messages_for
from serving.decision.options import Option, open_but_for_the_message
from serving.decision.policy import MessageClass, Policy
from serving.decision.values import Inputs, Permit

_MICROSECOND = timedelta(microseconds=1)


def asks_for_room(policy: Policy) -> bool:
    """Whether windows without room must be known before chance draws; where it draws nothing, it is enough that the ledger refuses."""
    exploration = policy.exploration
    return bool(policy.rate_limits) and (exploration.arm_share > 0.0 or exploration.message_share > 0.0 or exploration.draws_delays)


def windows_ahead(options: Sequence[Option], case: Case) -> tuple[Permit, ...]:
    """Windows of every moment that timing or chance could give to an arm that may be open; none where no arm is, as for most users."""
    found: dict[Permit, None] = {}
    for option in options:
        if open_but_for_the_message(option, case.inputs, case.policy):
            found |= dict.fromkeys(_windows(option, case))
    return tuple(found)


def knowing_room(inputs: Inputs, full: Collection[Permit]) -> Inputs:
    """With the windows that have no room; the same where all have some."""
    exhausted: Mapping[str, int] = {}
    for window in sorted(full):
        exhausted = with_exhausted(exhausted, window.name, window.until_us)
    return replace(inputs, exhausted=exhausted, exhausted_before_draw=True) if exhausted else inputs


def _windows(option: Option, case: Case) -> Iterable[Permit]:
    messages = messages_for(option.judge.shelf, case.inputs)
    rates = dict.fromkeys(rate for message in messages for rate in case.policy.rates_by_message[message.id])
    return [permit_at(rate, at_us) for rate in rates for at_us in _moments_us(option, case.policy)]


def _moments_us(option: Option, policy: Policy) -> list[int]:
    """The arm's own moment, and those of all delays after the decision that outreach may be given; help is for now."""
    own, delays = option.moment, [*(policy.timing.delays if policy.timing else ()), *policy.exploration.delays]
    waits = option.channel.message_class is MessageClass.OUTREACH
    return [own.at_us, *(own.asked_us + delay // _MICROSECOND for delay in delays if waits)]
