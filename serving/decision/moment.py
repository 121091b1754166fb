"""When a contact would happen: now, or for outreach at the end of the user's quiet hours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from serving.decision.local_time import local, quiet_end_us, quiet_range_at
from serving.decision.policy import Channel, MessageClass, Policy, QuietHours
from serving.decision.sentences import clock, clock_of_minute, day_and_clock
from serving.decision.values import Verdict
from serving.decision.verdicts import passed, refused


class Moment(NamedTuple):  # made for each arm of each decision: a frozen dataclass takes five times as long
    """A moment of contact; caps and cooldowns are counted there."""

    asked_us: int  # as_of
    at_us: int  # asked_us, or the end of quiet hours
    zone: ZoneInfo
    within: QuietHours | None  # quiet hours at asked_us
    quiet_end_us: int | None  # when no quiet hours hold any more; None when they never end, or none hold
    is_timed: bool = False  # at_us is the best of the candidate slots (`serving.decision.timing`)


def moment_for(channel: Channel, as_of_us: int, zone: ZoneInfo, policy: Policy) -> Moment:
    """The earliest moment that quiet hours of the channel's class leave; help in the session cannot wait, so its moment stays now."""
    ranges = policy.quiet_by_class[channel.message_class]
    within = quiet_range_at(as_of_us, ranges, zone) if ranges else None
    end_us = None if within is None else _end_of_all_us(as_of_us, ranges, zone)
    moves = channel.message_class is MessageClass.OUTREACH
    at_us = end_us if moves and end_us is not None else as_of_us
    return Moment(asked_us=as_of_us, at_us=at_us, zone=zone, within=within, quiet_end_us=end_us)


def quiet_verdict(channel: Channel, moment: Moment) -> Verdict:
    """Outside quiet hours and moved past them both pass; assist within them does not."""
    arm, now = channel.arm, clock(local(moment.asked_us, moment.zone))
    if moment.within is None:
        return passed(arm, "quiet_hours", now=now)
    if moment.at_us > moment.asked_us:  # past them
        return passed(arm, "quiet_hours", "moved", now=now, end=day_and_clock(local(moment.at_us, moment.zone)))
    hours = {"start": clock_of_minute(moment.within.start_minute), "end": clock_of_minute(moment.within.end_minute)}
    return refused(arm, "quiet_hours", "quiet_hours", allowed_from_us=moment.quiet_end_us, now=now, **hours)


def moment_sentence(moment: Moment) -> str:
    """When, in the user's own time."""
    if moment.at_us == moment.asked_us:
        return "Now."
    if moment.is_timed:
        return f"At {day_and_clock(local(moment.at_us, moment.zone))} in the user's own time, when it is expected to help most."
    return f"At {day_and_clock(local(moment.at_us, moment.zone))} in the user's own time, when quiet hours end."


def _end_of_all_us(at_us: int, ranges: Sequence[QuietHours], zone: ZoneInfo) -> int | None:
    """Where one range ends another may hold; None if together they leave no minute of the day."""
    for _ in range(2 * len(ranges) + 1):  # twice: the hour that clocks repeat in autumn is walked through twice
        within = quiet_range_at(at_us, ranges, zone)
        if within is None:
            return at_us
        at_us = quiet_end_us(at_us, within, zone)
    return None
