"""Which slot: the one in which acting is expected to take away most risk, of those that are allowed; or none, with the reason.

What is expected comes in with the inputs, from randomised delays; what is allowed is judged here. A slot is preferred to the first allowed
one only if its gain is clear of its uncertainty: waiting must be worth it, or the moment stays the earliest one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from serving.decision.caps import cap_window, cooldown_window, first_refusal, suppression_windows
from serving.decision.case import Moment, Timed
from serving.decision.local_time import quiet_range_at
from serving.decision.policy import Channel, Message, MessageClass, Policy, RateLimit
from serving.decision.values import Inputs, SlotWord, TimingSlot

BETTER_SLOT = "better_slot"
NO_BETTER_TIME = "no_better_time_than_now"
NOT_ENOUGH_DATA = "not_enough_data"
NOTHING_ALLOWED = "no_allowed_slot"


def timed(channel: Channel, message: Message, moment: Moment, inputs: Inputs, policy: Policy) -> Timed:
    """Move an outreach message to the best allowed slot; help in the session is for now, and stays."""
    if policy.timing is None or not inputs.timing or channel.message_class is MessageClass.ASSIST:
        return Timed(moment=moment)
    curve = tuple(_word(slot, channel, message, moment, inputs=inputs, policy=policy) for slot in inputs.timing)
    advice, chosen = advise(curve, is_shown=inputs.timing_shown, clear=policy.timing.clear)
    if advice != BETTER_SLOT or chosen is None:
        return Timed(moment=moment, curve=curve, advice=advice)
    return Timed(moment=moment._replace(at_us=curve[chosen].at_us, is_timed=True), curve=curve, advice=advice)


def advise(curve: Sequence[SlotWord], *, is_shown: bool, clear: float) -> tuple[str, int | None]:
    """What the curve says, and the place of the slot to act in: the allowed one of greatest gain if that is clear, else the first allowed.

    Gains are over acting now. Where now is not allowed, the gain over the first allowed slot counts, with both uncertainties.

    Parameters
    ----------
    is_shown
        Whether randomised delays have shown any effect of timing.
    clear
        Standard errors by which the gain must exceed 0.
    """
    allowed = [place for place, word in enumerate(curve) if word.code == "ok"]
    if not allowed:
        return NOTHING_ALLOWED, None
    first = allowed[0]
    if not is_shown:
        return NOT_ENOUGH_DATA, first
    best = max(allowed, key=lambda place: curve[place].slot.gain or 0.0)  # of equals the first
    gain, gain_se = _over(curve[best].slot, curve[first].slot)
    return (BETTER_SLOT, best) if best != first and gain > clear * gain_se else (NO_BETTER_TIME, first)


def _over(slot: TimingSlot, first: TimingSlot) -> tuple[float, float]:
    gain = (slot.gain or 0.0) - (first.gain or 0.0)
    return gain, math.hypot(slot.gain_se or 0.0, first.gain_se or 0.0)


def _word(slot: TimingSlot, channel: Channel, message: Message, moment: Moment, *, inputs: Inputs, policy: Policy) -> SlotWord:
    at_us = inputs.as_of_us + slot.delay_us
    return SlotWord(slot=slot, at_us=at_us, code=_code(at_us, channel, message, moment, inputs=inputs, policy=policy))


def _code(at_us: int, channel: Channel, message: Message, moment: Moment, *, inputs: Inputs, policy: Policy) -> str:
    """Code of the rule that does not allow a contact in the slot; "ok" where all do."""
    if quiet_range_at(at_us, policy.quiet_by_class[channel.message_class], moment.zone) is not None:
        return "quiet_hours"
    contacts = inputs.contacts or ()
    caps = [cap_window(cap, at_us, moment.zone) for cap in policy.caps_by_message[message.id]]
    if first_refusal(contacts, caps) is not None:
        return "cap_reached"
    if any(_is_exhausted(rate, at_us, inputs) for rate in policy.rates_by_message[message.id]):
        return "rate_limited"
    rests = [cooldown_window(message, at_us), *suppression_windows(message, at_us, policy)]
    refusal = first_refusal(contacts, rests)
    return "ok" if refusal is None else {"cooldown": "cooldown", "suppression": "suppressed_after"}[refusal.name.partition(":")[0]]


def _is_exhausted(rate: RateLimit, at_us: int, inputs: Inputs) -> bool:
    until_us = inputs.exhausted.get(f"rate:{rate.name}")
    return until_us is not None and until_us - rate.per_us <= at_us < until_us
