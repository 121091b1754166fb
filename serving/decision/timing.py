"""Which slot: the one in which acting is expected to take away most risk, of those that are allowed; or none, with the reason.

What is expected comes in with the inputs, from randomised delays; what is allowed is judged here. A slot is preferred to the first allowed
one only if its gain is clear of its uncertainty: waiting must be worth it, or the moment stays the earliest one.

The message is chosen first, and for its earliest moment; then its own slots. So timing opens and closes no arm, and what chance drew is
sent whatever the hour. Effects are those of one message: of any other nothing is claimed, and it goes as early as it may.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from serving.decision.caps import cap_window, cooldown_window, exhausted_until_us, first_refusal, suppression_windows
from serving.decision.case import Choice, Moment, Timed
from serving.decision.eligibility import known_risk
from serving.decision.guardrails import slot_price_of
from serving.decision.local_time import quiet_range_at
from serving.decision.policy import Channel, Message, MessageClass, Policy
from serving.decision.values import Inputs, SlotWord, TimingSlot

BETTER_SLOT = "better_slot"
NO_BETTER_TIME = "no_better_time_than_now"
NOT_ENOUGH_DATA = "not_enough_data"
NOTHING_ALLOWED = "no_allowed_slot"


def trial_names(choice: Choice) -> tuple[str, ...]:
    """What an action of a trial may be called that sends this message, the best name first: its id, then the cause that picked it.

    A message that chance drew answers no cause of the user; where it remedies one alone, that is its name.

    Examples
    --------
    >>> message = Message(id="nudge", message_class=MessageClass.OUTREACH, channel="email", title="", body="", causes=("silence", "habit"))
    >>> trial_names(Choice(message=message, cause="habit", contribution=0.4))
    ('nudge', 'habit')
    >>> trial_names(Choice(message=message, cause=None, contribution=None))
    ('nudge',)
    """
    causes = choice.message.causes
    cause = causes[0] if choice.cause is None and len(causes) == 1 else choice.cause
    return (choice.message.id,) if cause is None else (choice.message.id, cause)


def timed(channel: Channel, message: Message, moment: Moment, inputs: Inputs, policy: Policy) -> Timed:
    """Move an outreach message that may go at the moment to the best allowed slot; help in the session is for now, and stays."""
    if policy.timing is None or not inputs.timing or channel.message_class is MessageClass.ASSIST:
        return Timed(moment=moment)
    is_its_own = inputs.timing_of in (None, message.id)
    slots = inputs.timing if is_its_own else [_without_effect(slot) for slot in inputs.timing]
    curve = tuple(_word(slot, channel, message, moment, inputs=inputs, policy=policy) for slot in slots)
    advice, chosen = advise(curve, is_shown=inputs.timing_shown and is_its_own, clear=policy.timing.clear)
    if advice != BETTER_SLOT or chosen is None:
        return Timed(moment=moment, curve=curve, advice=advice)
    if _code(moment.at_us, channel, message, moment, inputs=inputs, policy=policy) != "ok":  # then no slot opens the arm
        return Timed(moment=moment, curve=curve, advice=NO_BETTER_TIME)
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


def _without_effect(slot: TimingSlot) -> TimingSlot:
    """What holds of the user whatever is sent."""
    return TimingSlot(delay_us=slot.delay_us, still_away=slot.still_away, receptive=slot.receptive)


def _word(slot: TimingSlot, channel: Channel, message: Message, moment: Moment, *, inputs: Inputs, policy: Policy) -> SlotWord:
    at_us = inputs.as_of_us + slot.delay_us
    return SlotWord(slot=slot, at_us=at_us, code=_code(at_us, channel, message, moment, inputs=inputs, policy=policy))


def _code(at_us: int, channel: Channel, message: Message, moment: Moment, *, inputs: Inputs, policy: Policy) -> str:
    """Code of the rule that does not allow a contact in the slot; "ok" where all do."""
    if quiet_range_at(at_us, policy.quiet_by_class[channel.message_class], moment.zone) is not None:
        return "quiet_hours"
    contacts = inputs.contacts or ()
    caps = [cap for cap in policy.caps_by_message[message.id] if contacts or not cap.limit]  # the others have room
    if first_refusal(contacts, [cap_window(cap, at_us, moment.zone) for cap in caps]) is not None:
        return "cap_reached"
    if any(exhausted_until_us(rate, at_us, inputs) is not None for rate in policy.rates_by_message[message.id]):
        return "rate_limited"
    if _is_too_dear(at_us, channel, message, moment, inputs=inputs, policy=policy):
        return "slot_price"
    refusal = first_refusal(contacts, [cooldown_window(message, at_us), *suppression_windows(message, at_us, policy)]) if contacts else None
    return "ok" if refusal is None else {"cooldown": "cooldown", "suppression": "suppressed_after"}[refusal.name.partition(":")[0]]


def _is_too_dear(at_us: int, channel: Channel, message: Message, moment: Moment, *, inputs: Inputs, policy: Policy) -> bool:
    """See `serving.decision.guardrails.price`."""
    risk = known_risk(inputs)
    if not channel.slot_price or risk is None:
        return False
    return risk * message.effect < slot_price_of(channel, message, inputs.contacts or (), moment._replace(at_us=at_us), policy)
