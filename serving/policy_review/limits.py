"""Caps and rate limits that never decide anything, because others leave less room."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta

from features.core.catalogue import window_text
from serving.decision.policy import Cap, Message, MessageClass, Policy, QuietHours, RateLimit
from serving.policy_review.findings import Finding, Remark

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_LONGEST_DAY = _DAY + _HOUR
"""A local calendar day may be an hour longer, or shorter, where clocks are put back, or forward."""


def caps(policy: Policy) -> Iterator[Remark]:
    """Caps that decide nothing beside others, and those of 0."""
    for place, cap in enumerate(policy.caps):
        path = f"caps.{cap.name}"
        if cap.limit == 0:
            yield Remark(kind=Finding.NOTE, path=path, sentence="Its limit is 0: what it names is never sent.")
        stricter = next((one for index, one in enumerate(policy.caps) if _is_stricter(one, cap, policy, is_before=index < place)), None)
        if not any(cap.covers(message) for message in policy.messages):
            yield Remark(kind=Finding.DEAD, path=path, sentence="It never decides anything: no message counts towards it.")
        elif stricter is not None and not _is_required(cap, policy):
            sentence = f"It never decides anything: {stricter.name} counts every message that it counts, and is at least as strict."
            yield Remark(kind=Finding.DEAD, path=path, sentence=sentence)
        elif (most := most_beside(cap, policy)) <= cap.limit and not _is_required(cap, policy):
            sentence = f"It never decides anything: caps of shorter windows allow at most {most:g} in {_window_text(cap)} anyway."
            yield Remark(kind=Finding.DEAD, path=path, sentence=sentence)
        message = policy.message_by_id.get(cap.message_id or "")
        if message is not None and cap.limit and message.cooldown * cap.limit >= (cap.window or _DAY):
            rest = window_text(message.cooldown)
            sentence = f"It never decides anything: the cooldown of {message.id}, {rest}, allows no more than that anyway."
            yield Remark(kind=Finding.DEAD, path=path, sentence=sentence)


def _window_text(cap: Cap) -> str:
    return "a day" if cap.window is None else window_text(cap.window)


def _is_required(cap: Cap, policy: Policy) -> bool:
    """Whether a policy without it would be refused: each channel has a cap of its own, and all have one together."""
    plain = [one for one in policy.caps if one.message_id is None and one.message_class is None]
    return [one for one in plain if one.channel == cap.channel] == [cap]


def _is_stricter(one: Cap, other: Cap, policy: Policy, *, is_before: bool) -> bool:
    """Whether ``one`` has no room whenever ``other`` has none, and counts every message that it counts, whatever either is about.

    Of two that are alike the one counts that the policy must have, else the first.
    """
    mine, theirs = ({message.id for message in policy.messages if cap.covers(message)} for cap in (one, other))
    # A calendar day lies in any interval of more than two days; a shorter interval and a day say nothing of each other.
    spans = one.window == other.window or (one.window is not None and (one.window >= (other.window or 2 * _DAY)))
    is_same = mine == theirs and one.limit == other.limit and one.window == other.window
    goes_first = is_before or not is_same or _is_required(one, policy)
    return one is not other and theirs <= mine and spans and one.limit <= other.limit and goes_first


def most_beside(cap: Cap, policy: Policy) -> float:
    """The most contacts that other caps allow within the window of this one; inf where they say nothing of it.

    They are held against it one by one, and those of single channels together.

    Examples
    --------
    Four a day allow no more than 36 in any seven days: such an interval touches nine days where clocks change, eight elsewhere.

    >>> from types import SimpleNamespace
    >>> from serving.decision.policy import MessageClass
    >>> email = Message(id="m", message_class=MessageClass.OUTREACH, channel="email", title="t", body="b")
    >>> week, day = Cap(name="week", limit=100, window=timedelta(days=7)), Cap(name="day", limit=4)
    >>> most_beside(week, SimpleNamespace(caps=(week, day), messages=(email,)))
    36.0
    """
    counted = [message for message in policy.messages if cap.covers(message)]
    channels = {message.channel for message in counted}
    of_channels = sum(_most(cap, [one for one in counted if one.channel == channel], policy) for channel in channels)
    return min(_most(cap, counted, policy), of_channels)


def _most(cap: Cap, messages: list[Message], policy: Policy) -> float:
    others = (one for one in policy.caps if one is not cap and _is_shorter(one, cap) and all(one.covers(message) for message in messages))
    return min((float(one.limit * _windows_within(one, cap)) for one in others), default=math.inf)


def _is_shorter(one: Cap, other: Cap) -> bool:
    return (one.window or _DAY) < (other.window or _DAY)


def _windows_within(one: Cap, other: Cap) -> int:
    """In how many windows of ``one`` contacts within one window of ``other`` may lie."""
    if one.window is not None:
        return -(-(other.window or _LONGEST_DAY) // one.window)
    assert other.window is not None  # a day is not shorter than a day
    return -(-(other.window + _HOUR) // _DAY) + 1


def quiet_hours(policy: Policy) -> Iterator[Remark]:
    """Quiet hours that lie within others; of two alike the first counts."""
    kept = dict(enumerate(policy.quiet_hours))
    for place in reversed(range(len(policy.quiet_hours))):
        others = [quiet for other, quiet in kept.items() if other != place]
        if _minutes([kept[place]]) <= _minutes(others):
            del kept[place]
            sentence = "They change nothing: the others have every minute of them for the same classes."
            yield Remark(kind=Finding.DEAD, path=f"quiet_hours[{place}]", sentence=sentence)


def _minutes(ranges: list[QuietHours]) -> set[tuple[MessageClass, int]]:
    length = 1440
    return {
        (message_class, (quiet.start_minute + minute) % length)
        for quiet in ranges
        for message_class in quiet.classes
        for minute in range((quiet.end_minute - quiet.start_minute) % length)
    }


def rate_limits(policy: Policy) -> Iterator[Remark]:
    """Rate limits of 0, those that count nothing, and those beside which another always leaves less room."""
    for place, rate in enumerate(policy.rate_limits):
        path = f"rate_limits.{rate.name}"
        if rate.limit == 0:
            sentence = "Its limit is 0: what it names is never sent. To stop something for a while, say so under switched_off."
            yield Remark(kind=Finding.CONFLICT, path=path, sentence=sentence)
        if not any(rate.covers(message) for message in policy.messages):
            yield Remark(kind=Finding.DEAD, path=path, sentence="It never decides anything: no message counts towards it.")
        tighter = next((one for index, one in enumerate(policy.rate_limits) if _is_tighter(one, rate, is_before=index < place)), None)
        if tighter is not None:
            sentence = f"It never decides anything: {tighter.name} allows at most {_most_permits(tighter, rate)} in such a window anyway."
            yield Remark(kind=Finding.DEAD, path=path, sentence=sentence)


def _is_tighter(one: RateLimit, other: RateLimit, *, is_before: bool) -> bool:
    """Whether ``one`` has no room whenever ``other`` has none, and counts all that it counts; of two alike the first one counts."""
    covers = one.campaign in (None, other.campaign) and one.channel in (None, other.channel)
    if one is other or not covers or _most_permits(one, other) > other.limit:
        return False
    is_alike = (one.campaign, one.channel, one.per, one.limit) == (other.campaign, other.channel, other.per, other.limit)
    return is_before or not is_alike


def _most_permits(one: RateLimit, other: RateLimit) -> int:
    """How many places ``one`` has in a window of ``other``; windows follow one another from the epoch."""
    if other.per % one.per == timedelta(0):
        return one.limit * (other.per // one.per)
    is_inside = one.per % other.per == timedelta(0)
    return one.limit * (1 if is_inside else -(-other.per // one.per) + 1)
