"""Where chance decides when: for a share of the outreach that goes out, the moment is drawn from delays that are allowed.

What such decisions become of shows what waiting does; no policy that always knows best can show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from serving.decision.case import Case, Choice, Moment
from serving.decision.chance import draw, pick
from serving.decision.local_time import quiet_range_at
from serving.decision.options import Option, judged_at_moment
from serving.decision.policy import MessageClass
from serving.decision.values import Delays, DelaySlot

_MICROSECOND = timedelta(microseconds=1)
_LEAST = 2  # with a single one there is nothing to draw


class Drawn(NamedTuple):
    """What chance had to choose from, and the arm at the moment that came of it."""

    option: Option
    delays: Delays | None  # None where chance had nothing to choose


class _Candidate(NamedTuple):
    delay_us: int
    code: str
    option: Option


def draw_delay(option: Option, choice: Choice, case: Case) -> Drawn:
    """Move an open arm of outreach to one of the policy's delays, for a share of the decisions; each that is allowed has the same chance.

    Allowed is what every rule would allow of this message at that moment: quiet hours, caps, cooldowns, rate limits and prices there. Where
    fewer than two are, nothing is drawn, and the moment is the policy's own. Help in the session is for now, and stays.

    Parameters
    ----------
    choice
        The message that goes out, whether or not chance chose it.
    """
    exploration, decision_id = case.policy.exploration, case.inputs.decision_id
    if option.channel.message_class is MessageClass.ASSIST:
        return Drawn(option, None)
    listed = [_candidate(delay // _MICROSECOND, option, choice, case) for delay in exploration.delays]
    allowed = [one for one in listed if one.code == "ok"]
    if len(allowed) < _LEAST:
        return Drawn(option, None)
    is_drawn = draw("explore delay", decision_id) < exploration.delay_share
    taken = allowed[pick("delay", decision_id, len(allowed))] if is_drawn else None
    return Drawn(option if taken is None else taken.option, _delays(listed, taken, option.moment, exploration.delay_share))


def undone(drawn: Drawn) -> Delays | None:
    """What could have been drawn, had not chance chosen to send nothing at all."""
    return None if drawn.delays is None else drawn.delays._replace(is_drawn=False, taken=None)


def _candidate(delay_us: int, option: Option, choice: Choice, case: Case) -> _Candidate:
    own = option.moment
    moment = own._replace(at_us=own.asked_us + delay_us, is_timed=False, is_drawn=True)
    if moment.at_us == own.at_us:  # allowed, as the arm is open
        return _Candidate(delay_us, "ok", option._replace(moment=moment))
    if quiet_range_at(moment.at_us, case.policy.quiet_by_class[option.channel.message_class], own.zone) is not None:
        return _Candidate(delay_us, "quiet_hours", option)
    moved = judged_at_moment(option, choice, moment, case)
    return _Candidate(delay_us, moved.refusals[0].code if moved.refusals else "ok", moved)


def _delays(listed: Sequence[_Candidate], taken: _Candidate | None, own: Moment, share: float) -> Delays:
    """Every delay of the list, and the policy's own moment where it is none of them, with the chances that they had."""
    of_each = 1.0 / sum(one.code == "ok" for one in listed)
    slots = [_slot(one, own, share, of_each) for one in listed]
    if not any(slot.is_own for slot in slots):
        slots.append(DelaySlot(own.at_us - own.asked_us, own.at_us, "ok", is_own=True, propensity=1.0 - share))
    slots.sort(key=lambda slot: slot.at_us)
    place = next(i for i, slot in enumerate(slots) if (slot.is_own if taken is None else slot.delay_us == taken.delay_us))
    return Delays(tuple(slots), chance_of_each=of_each, is_drawn=taken is not None, taken=place)


def _slot(one: _Candidate, own: Moment, share: float, of_each: float) -> DelaySlot:
    at_us = own.asked_us + one.delay_us
    is_own, drawn = at_us == own.at_us, share * of_each if one.code == "ok" else 0.0
    return DelaySlot(one.delay_us, at_us, one.code, is_own=is_own, propensity=drawn + (1.0 - share if is_own else 0.0))
