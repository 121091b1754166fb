"""When a contact would happen: now, or for outreach at the end of the user's quiet hours."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from serving.decision.case import Case, Moment, Offer, Rule, Said
from serving.decision.local_time import local, quiet_end_us, quiet_range_at
from serving.decision.policy import Channel, MessageClass, Policy, QuietHours
from serving.decision.sentences import clock, clock_of_minute, day_and_clock
from serving.decision.values import Verdict
from serving.decision.verdicts import passed, refused, remembered


def moment_for(channel: Channel, as_of_us: int, zone: ZoneInfo, policy: Policy) -> Moment:
    """The earliest moment that quiet hours of the channel's class leave; help in the session cannot wait, so its moment stays now."""
    ranges = policy.quiet_by_class[channel.message_class]
    within = quiet_range_at(as_of_us, ranges, zone) if ranges else None
    if within is None:
        return Moment(as_of_us, as_of_us, zone, None, None)
    wall = local(as_of_us, zone)
    end_us = _end_of_all_us(as_of_us - wall.second * 1_000_000 - wall.microsecond, ranges, zone)
    moves = channel.message_class is MessageClass.OUTREACH
    return Moment(as_of_us, end_us if moves and end_us is not None else as_of_us, zone, within, end_us)


def quiet_hours(channel: Channel, _policy: Policy) -> Rule:
    """Outside quiet hours and moved past them both pass; assist within them does not."""
    arm = channel.arm

    @remembered
    def outside(hour: int, minute: int) -> Said:
        return (passed(arm, "quiet_hours", now=clock_of_minute(60 * hour + minute)),)

    @remembered
    def moved(hour: int, minute: int, end_us: int, zone: ZoneInfo) -> Said:
        end = day_and_clock(local(end_us, zone))
        return (passed(arm, "quiet_hours", "moved", now=clock_of_minute(60 * hour + minute), end=end),)

    def say(case: Case, offer: Offer) -> Said:
        wall, moment = case.wall, offer.moment
        if moment.within is None:
            return outside(wall.hour, wall.minute)
        if moment.at_us > moment.asked_us:  # past them
            end_us = moment.quiet_end_us if moment.is_drawn and moment.quiet_end_us is not None else moment.at_us
            return moved(wall.hour, wall.minute, end_us, moment.zone)
        return (_within(arm, clock(wall), moment, moment.within),)

    return say


def _within(arm: str, now: str, moment: Moment, quiet: QuietHours) -> Verdict:
    hours = {"start": clock_of_minute(quiet.start_minute), "end": clock_of_minute(quiet.end_minute)}
    return refused(arm, "quiet_hours", "quiet_hours", allowed_from_us=moment.quiet_end_us, now=now, **hours)


def moment_sentence(moment: Moment) -> str:
    """When, in the user's own time."""
    if moment.is_drawn:
        when = "Now" if moment.at_us == moment.asked_us else f"At {day_and_clock(local(moment.at_us, moment.zone))} in the user's own time"
        return f"{when}. Chance chose the moment, to measure what waiting does."
    if moment.at_us == moment.asked_us:
        return "Now."
    if moment.is_timed:
        return f"At {day_and_clock(local(moment.at_us, moment.zone))} in the user's own time, when it is expected to help most."
    return f"At {day_and_clock(local(moment.at_us, moment.zone))} in the user's own time, when quiet hours end."


@remembered  # whoever is asked about within the same minute of the wall clock waits for the same one
def _end_of_all_us(at_us: int, ranges: tuple[QuietHours, ...], zone: ZoneInfo) -> int | None:
    """Where one range ends another may hold; None if together they leave no minute of the day."""
    for _ in range(2 * len(ranges) + 1):  # twice: the hour that clocks repeat in autumn is walked through twice
        within = quiet_range_at(at_us, ranges, zone)
        if within is None:
            return at_us
        at_us = quiet_end_us(at_us, within, zone)
    return None
