"""How often: caps per local calendar day and the rest of a message, as windows that a ledger can check atomically.

A contact is counted at the moment it is (to be) sent. A timeline, with a cap of one e-mail a day in Berlin:

    Mon 21:00 asked -> sent Mon 21:00            counts on Monday
    Mon 23:30 asked -> moved to Tue 08:00        counts on Tuesday: granted, Monday's e-mail is not in the way
    Tue 09:00 asked -> refused                   Tuesday is full; allowed from Wed 00:00
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from serving.decision.local_time import day_start_us, day_window_us, local, zone_of
from serving.decision.policy import Cap, Channel, Message, Policy
from serving.decision.values import CapWindow, Contact, Decision, Inputs, Verdict
from serving.decision.verdicts import passed, refused

_DAY = timedelta(days=1)


def counted(contacts: Iterable[Contact], window: CapWindow) -> int:
    """How many contacts the window counts."""
    return sum(
        window.since_us <= contact.at_us < window.until_us
        and window.channel in (None, contact.channel)
        and window.message_id in (None, contact.message_id)
        for contact in contacts
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
    if decision.send_at_us is None or decision.channel is None:
        return ()
    day = day_window_us(local(decision.send_at_us, zone := zone_of(inputs.profile, policy)).date(), zone)
    message = next(message for message in policy.messages if message.id == decision.message_id)
    windows = [_window(cap, day) for cap in policy.caps_by_channel[decision.channel]]
    return (*windows, cooldown_window(message, decision.send_at_us))


def cooldown_window(message: Message, at_us: int) -> CapWindow:
    """No other contact with this message closer than its cooldown, before or after."""
    rest_us = message.rest_us
    return CapWindow(
        name=f"cooldown:{message.id}", channel=None, since_us=at_us - rest_us + 1, until_us=at_us + rest_us, limit=1, message_id=message.id
    )


def cap_verdicts(channel: Channel, contacts: Sequence[Contact] | None, at_us: int, *, zone: ZoneInfo, policy: Policy) -> Iterator[Verdict]:
    """One verdict for each cap that the channel counts towards."""
    day = local(at_us, zone).date()
    for cap in policy.caps_by_channel[channel.name]:
        arm, rule = channel.arm, f"cap:{cap.name}"
        if contacts is None:
            yield refused(arm, rule, "ledger_unavailable")
            continue
        count = counted(contacts, _window(cap, day_window_us(day, zone))) if contacts else 0
        facts: dict[str, Any] = {"count": count, "limit": cap.limit, "day": day}
        if count < cap.limit:
            yield passed(arm, rule, "cap", **facts)
        else:
            yield refused(arm, rule, "cap_reached", allowed_from_us=_next_room_us(cap, contacts, at_us, zone), cap=cap.name, **facts)


def _window(cap: Cap, day_us: tuple[int, int]) -> CapWindow:
    return CapWindow(name=f"cap:{cap.name}", channel=cap.channel, since_us=day_us[0], until_us=day_us[1], limit=cap.limit)


def _next_room_us(cap: Cap, contacts: Sequence[Contact], at_us: int, zone: ZoneInfo) -> int | None:
    """Start of the first later local day with room; None for a cap of 0, which never has any."""
    if cap.limit == 0:
        return None
    day = local(at_us, zone).date() + _DAY
    while counted(contacts, _window(cap, day_window_us(day, zone))) >= cap.limit:  # contacts already planned for that day
        day += _DAY
    return day_start_us(day, zone)
