"""How often: caps a local calendar day or in any interval of a length, and the rest of a message, as windows to be checked atomically.

A contact is counted at the moment it is (to be) sent. A timeline, with a cap of one e-mail a day in Berlin:

    Mon 21:00 asked -> sent Mon 21:00            counts on Monday
    Mon 23:30 asked -> moved to Tue 08:00        counts on Tuesday: granted, Monday's e-mail is not in the way
    Tue 09:00 asked -> refused                   Tuesday is full; allowed from Wed 00:00

And with one of two pushes in any seven days; the interval is open at its start, so that the same clock a week later is free again:

    Mon 10:00, Thu 10:00 sent; Sun 10:00 asked -> refused: allowed from Mon 10:00
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from features.core.catalogue import window_text
from serving.decision.case import Case, Moment, Offer, Rule, Said
from serving.decision.local_time import day_start_us, day_window_us, local, zone_of
from serving.decision.moment import moment_for
from serving.decision.policy import Cap, Channel, Message, Policy, RateLimit
from serving.decision.values import Action, CapWindow, Contact, Decision, Inputs, Permit, Verdict
from serving.decision.verdicts import passed, refused, remembered

_WINDOW = "@"  # between the name of a rate limit and the end of its window

_DAY = timedelta(days=1)


def counted(contacts: Iterable[Contact], window: CapWindow) -> int:
    """How many contacts the window counts; with a span, most together in any interval that holds the proposed contact.

    Examples
    --------
    Two in three hours: those at 1 and 2 o'clock leave no room at 3 o'clock, though a contact at 4 o'clock would.

    >>> from serving.decision.policy import MessageClass
    >>> at = lambda hour: Contact(decision_id="d", channel="push", message_class=MessageClass.OUTREACH, message_id="m", at_us=hour)
    >>> rolling = CapWindow(name="cap:push", channel=None, since_us=1, until_us=6, limit=2, span_us=3)
    >>> counted([at(1), at(2)], rolling)
    2
    """
    times = [contact.at_us for contact in contacts if matches(contact, window)]
    if not window.span_us or not times:
        return len(times)
    proposed_us = window.until_us - window.span_us
    ends = (proposed_us, *(at_us for at_us in times if at_us > proposed_us))
    return max(sum(end_us - window.span_us < at_us <= end_us for at_us in times) for end_us in ends)


def matches(contact: Contact, window: CapWindow) -> bool:
    """Whether the contact lies in the window and is of what it names."""
    return (
        window.since_us <= contact.at_us < window.until_us
        and window.channel in (None, contact.channel)
        and window.message_id in (None, contact.message_id)
        and window.message_class in (None, contact.message_class)
    )


def first_refusal(contacts: Sequence[Contact], windows: Iterable[CapWindow]) -> CapWindow | None:
    """The first window that has no room for one more contact; what every ledger must answer.

    Examples
    --------
    >>> day = CapWindow(name="cap:daily", channel=None, since_us=0, until_us=86_400_000_000, limit=1)
    >>> first_refusal([], [day]) is None
    True
    """
    return next((window for window in windows if counted(contacts, window) >= window.limit), None)


def cap_windows(decision: Decision, inputs: Inputs, policy: Policy) -> tuple[CapWindow, ...]:
    """What the ledger must check before it reserves this decision's contact; nothing for "do nothing"."""
    if decision.action is not Action.SEND or decision.send_at_us is None or decision.message_id is None:
        return ()
    message, zone = policy.message_by_id[decision.message_id], zone_of(inputs.profile, policy)
    windows = [cap_window(cap, decision.send_at_us, zone) for cap in policy.caps_by_message[message.id]]
    return (*windows, cooldown_window(message, decision.send_at_us), *suppression_windows(message, decision.send_at_us, policy))


def contact_of(decision: Decision, *, expires_us: int | None = None) -> Contact:
    """The contact that a decision which acts makes; ``expires_us``: of a reservation, when it no longer counts unless it was confirmed."""
    assert decision.send_at_us is not None  # it acts
    assert decision.message_class is not None
    assert decision.channel is not None
    assert decision.message_id is not None
    return Contact(
        decision_id=decision.decision_id,
        channel=decision.channel,
        message_class=decision.message_class,
        message_id=decision.message_id,
        at_us=decision.send_at_us,
        expires_us=expires_us,
    )


def permits(decision: Decision, policy: Policy) -> tuple[Permit, ...]:
    """The places under rate limits that this decision's contact takes; nothing for "do nothing"."""
    if decision.action is not Action.SEND or decision.send_at_us is None or decision.message_id is None:
        return ()
    at_us = decision.send_at_us
    return tuple(permit_at(rate, at_us) for rate in policy.rates_by_message[decision.message_id])


def permit_at(rate: RateLimit, at_us: int) -> Permit:
    """A place in the window of the rate limit that holds the moment.

    Examples
    --------
    >>> permit_at(RateLimit(name="sms", limit=60, per=timedelta(minutes=1)), 90_000_000)
    Permit(name='rate:sms', since_us=60000000, until_us=120000000, limit=60)
    """
    since_us = at_us // rate.per_us * rate.per_us
    return Permit(name=f"rate:{rate.name}", since_us=since_us, until_us=since_us + rate.per_us, limit=rate.limit)


def cooldown_window(message: Message, at_us: int) -> CapWindow:
    """No other contact with this message closer than its cooldown, before or after."""
    rest_us = message.rest_us
    return CapWindow(
        name=f"cooldown:{message.id}", channel=None, since_us=at_us - rest_us + 1, until_us=at_us + rest_us, limit=1, message_id=message.id
    )


def suppression_windows(message: Message, at_us: int, policy: Policy) -> tuple[CapWindow, ...]:
    """No message that suppresses others shortly before, and, if this one does, no other contact shortly after (S3.19).

    Those of its own class: who came back because of a great offer and cannot sign in is still helped.
    """
    before = [
        CapWindow(
            name=f"suppression:{one.id}",
            channel=None,
            since_us=at_us - one.suppresses_us + 1,
            until_us=at_us + 1,
            limit=1,
            message_id=one.id,
        )
        for one in policy.suppressing[message.message_class]
    ]
    if not message.suppresses_us:
        return tuple(before)
    after = CapWindow(
        name=f"suppression:{message.id}",
        channel=None,
        since_us=at_us,
        until_us=at_us + message.suppresses_us,
        limit=1,
        message_class=message.message_class,
    )
    return (*before, after)


def cap_window(cap: Cap, at_us: int, zone: ZoneInfo) -> CapWindow:
    """The cap for a contact at this moment."""
    if cap.span_us:
        since_us, until_us = at_us - cap.span_us + 1, at_us + cap.span_us
    else:
        since_us, until_us = day_window_us(local(at_us, zone).date(), zone)
    return CapWindow(
        name=f"cap:{cap.name}",
        channel=cap.channel,
        since_us=since_us,
        until_us=until_us,
        limit=cap.limit,
        message_id=cap.message_id,
        message_class=cap.message_class,
        span_us=cap.span_us,
    )


def caps(channel: Channel, policy: Policy) -> Rule:
    """One verdict for each cap that a contact with the message counts towards; where there is no message, that one on the channel would."""
    arm, live = channel.arm, policy.live_messages[channel.name]
    caps_by_message: dict[str | None, tuple[Cap, ...]] = {one.id: policy.caps_by_message[one.id] for one in live}
    caps_by_message[None] = policy.caps_by_channel[channel.name]

    @remembered
    def unknown(message_id: str | None) -> Said:
        return tuple(refused(arm, f"cap:{cap.name}", "ledger_unavailable") for cap in caps_by_message[message_id])

    @remembered  # what most users hear: whom nobody wrote to lately
    def untouched(message_id: str | None, day: date) -> Said:
        return tuple(_cap_verdict(cap, arm, 0, _when(cap, day)) for cap in caps_by_message[message_id])

    def say(case: Case, offer: Offer) -> Said:
        message_id, contacts, moment = None if offer.message is None else offer.message.id, case.contacts, offer.moment
        if contacts is None:
            return unknown(message_id)
        if not contacts:
            wall = case.wall if moment.at_us == moment.asked_us else local(moment.at_us, moment.zone)
            return untouched(message_id, wall.date())
        return tuple([_counted(cap, channel, contacts, moment=moment, policy=policy) for cap in caps_by_message[message_id]])

    return say


def _counted(cap: Cap, channel: Channel, contacts: Sequence[Contact], *, moment: Moment, policy: Policy) -> Verdict:
    count = counted(contacts, cap_window(cap, moment.at_us, moment.zone))
    free_us = None if count < cap.limit else _next_room_us(cap, channel, contacts, moment=moment, policy=policy)
    return _cap_verdict(cap, channel.arm, count, _when(cap, local(moment.at_us, moment.zone).date()), allowed_from_us=free_us)


def _cap_verdict(cap: Cap, arm: str, count: int, when: str, *, allowed_from_us: int | None = None) -> Verdict:
    rule, facts = f"cap:{cap.name}", {"count": count, "limit": cap.limit, "when": when}
    if count < cap.limit:
        return passed(arm, rule, "cap", **facts)
    return refused(arm, rule, "cap_reached", allowed_from_us=allowed_from_us, cap=cap.name, **facts)


def rates(channel: Channel, policy: Policy) -> Rule | None:
    """One verdict for each rate limit that the ledger found without room; one that has room, or was not asked for, says nothing."""
    if not policy.rate_limits:
        return None
    return lambda case, offer: (
        exhausted(channel, offer.message, case.inputs, offer.moment, policy) if case.inputs.exhausted and offer.message is not None else ()
    )


def exhausted(channel: Channel, message: Message, inputs: Inputs, moment: Moment, policy: Policy) -> Said:
    """What the rate limits without room say of a contact with the message at the moment."""
    said = []
    for rate in policy.rates_by_message[message.id]:
        until_us = exhausted_until_us(rate, moment.at_us, inputs)
        if until_us is not None:
            facts = {"rate": rate.name, "limit": rate.limit, "per": window_text(rate.per)}
            said.append(refused(channel.arm, f"rate:{rate.name}", "rate_limited", allowed_from_us=until_us, **facts))
    return tuple(said)


def exhausted_until_us(rate: RateLimit, at_us: int, inputs: Inputs) -> int | None:
    """When the window of a rate limit that holds the moment ends, where it has no room."""
    name = f"rate:{rate.name}"
    for key, until_us in inputs.exhausted.items():
        if key.partition(_WINDOW)[0] == name and until_us - rate.per_us <= at_us < until_us:
            return until_us
    return None


def with_exhausted(exhausted: Mapping[str, int], name: str, until_us: int) -> Mapping[str, int]:
    """With one more window of a rate limit that has no room; the same where it was known.

    Examples
    --------
    >>> today = with_exhausted({}, "rate:sms", 100)
    >>> with_exhausted(today, "rate:sms", 200)
    {'rate:sms': 100, 'rate:sms@200': 200}
    >>> with_exhausted(today, "rate:sms", 100) == today
    True
    """
    if until_us in (until for key, until in exhausted.items() if key.partition(_WINDOW)[0] == name):
        return exhausted
    return {**exhausted, name if name not in exhausted else f"{name}{_WINDOW}{until_us}": until_us}


def is_free(channel: Channel, message: Message, inputs: Inputs, moment: Moment, policy: Policy) -> bool:
    """Whether neither the message's own caps, its cooldown nor a rate limit keep it from being sent at the moment."""
    contacts = inputs.contacts or ()
    own = [cap for cap in policy.caps_by_message[message.id] if cap.message_id is not None]
    if contacts:
        windows = [
            cooldown_window(message, moment.at_us),
            *(cap_window(cap, moment.at_us, moment.zone) for cap in own),
            *suppression_windows(message, moment.at_us, policy),
        ]
        has_room = first_refusal(contacts, windows) is None
    else:  # every window has room for a first contact, but those of a cap of 0
        has_room = all(cap.limit for cap in own)
    return has_room and not (inputs.exhausted and exhausted(channel, message, inputs, moment, policy))


def _when(cap: Cap, day: date) -> str:
    return f"on {day}" if cap.window is None else cap.within


def _next_room_us(cap: Cap, channel: Channel, contacts: Sequence[Contact], *, moment: Moment, policy: Policy) -> int | None:
    """The first instant from which, moved past quiet hours if need be, there is room; None for a cap of 0, which never has any."""
    if cap.limit == 0:
        return None
    for asked_us in openings_us(cap, contacts, moment):
        at_us = moment_for(channel, asked_us, moment.zone, policy).at_us
        if counted(contacts, cap_window(cap, at_us, moment.zone)) < cap.limit:
            return asked_us
    return None  # not reached: after the last contact there is room


def openings_us(cap: Cap, contacts: Sequence[Contact], moment: Moment) -> Iterator[int]:
    """When room can come about, soonest first: as contacts leave the interval, or as days begin."""
    if cap.span_us:
        yield from sorted(contact.at_us + cap.span_us for contact in contacts if contact.at_us + cap.span_us > moment.asked_us)
        return
    day = local(moment.at_us, moment.zone).date()
    for _ in range(len(contacts) + 1):
        day += _DAY
        yield day_start_us(day, moment.zone)
