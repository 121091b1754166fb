from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from features.core.event import to_us
from serving.decision.local_time import day_start_us, day_window_us, local, quiet_end_us, quiet_range_at, zone_of
from serving.decision.moment import moment_for
from serving.decision.policy import Channel, MessageClass, QuietHours
from tests.serving_world import golden_policy

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Africa/Cairo",
    "America/Havana",
    "Pacific/Apia",
]
MINUTE_US = 60_000_000
INSTANTS = st.one_of(
    st.integers(to_us(datetime(2009, 1, 1, tzinfo=UTC)), to_us(datetime(2029, 1, 1, tzinfo=UTC))),
    # around changes of the clocks: Berlin 2026, Cairo 2026, the day that Apia skipped
    st.sampled_from(["2026-03-29T00:00", "2026-10-25T00:00", "2026-04-23T22:00", "2011-12-30T10:00"]).flatmap(
        lambda day: st.integers(-36 * 60, 36 * 60).map(lambda m: to_us(datetime.fromisoformat(f"{day}+00:00") + timedelta(minutes=m)))
    ),
)
MINUTES = st.integers(0, 1439)


def quiet_hours(start, end):
    return QuietHours(start_minute=start, end_minute=end, classes=(MessageClass.OUTREACH,))


@settings(max_examples=300, deadline=None)
@given(at_us=INSTANTS, zone=st.sampled_from(ZONES), start=MINUTES, end=MINUTES)
@example(at_us=to_us(datetime(2026, 10, 25, 0, 10, tzinfo=UTC)), zone="Europe/Berlin", start=120, end=150)
@example(at_us=to_us(datetime(2026, 3, 29, 0, 10, tzinfo=UTC)), zone="Europe/Berlin", start=60, end=150)
def test_quiet_hours_end_at_the_first_minute_outside_them(at_us, zone, start, end):
    zone, quiet = ZoneInfo(zone), quiet_hours(start, end)
    if quiet_range_at(at_us, [quiet], zone) is None:
        return
    minute_us = at_us - at_us % MINUTE_US
    while quiet_range_at(minute_us, [quiet], zone):
        minute_us += MINUTE_US
    assert quiet_end_us(at_us, quiet, zone) == minute_us


@given(at_us=INSTANTS, zone=st.sampled_from(ZONES))
def test_an_instant_lies_in_the_window_of_its_local_day_alone(at_us, zone):
    zone = ZoneInfo(zone)
    day = local(at_us, zone).date()
    since_us, until_us = day_window_us(day, zone)
    assert since_us <= at_us < until_us
    assert until_us == day_window_us(day + timedelta(days=1), zone)[0]


@pytest.mark.parametrize(
    ("zone", "day", "start"),
    [
        ("UTC", date(2026, 3, 2), "2026-03-02T00:00:00+00:00"),
        ("Europe/Berlin", date(2026, 3, 29), "2026-03-28T23:00:00+00:00"),
        ("Africa/Cairo", date(2026, 4, 24), "2026-04-23T22:00:00+00:00"),  # no 00:00 that day: it begins at 01:00
        ("America/Havana", date(2026, 11, 1), "2026-11-01T04:00:00+00:00"),  # 00:00 comes twice: the first counts
    ],
)
def test_a_local_day_starts_at_its_first_instant(zone, day, start):
    assert datetime.fromtimestamp(day_start_us(day, ZoneInfo(zone)) / 1e6, UTC).isoformat() == start


@pytest.mark.parametrize("name", [None, 5, "", "America", "../etc/passwd", "/etc/passwd", "Mars/Olympus", "a" * 5000, "Europe/Berlin\0"])
def test_what_names_no_zone_is_the_default(name):
    assert zone_of({"timezone": name}, golden_policy()).key == "UTC"


def test_a_zone_that_is_known_is_used():
    assert zone_of({"timezone": "Asia/Tokyo"}, golden_policy()).key == "Asia/Tokyo"


@settings(max_examples=100, deadline=None)
@given(at_us=INSTANTS, zone=st.sampled_from(ZONES), ranges=st.lists(st.tuples(MINUTES, MINUTES), max_size=3))
def test_outreach_moves_to_the_first_minute_that_no_quiet_hours_hold(at_us, zone, ranges):
    from dataclasses import replace

    zone, quiet = ZoneInfo(zone), tuple(quiet_hours(*r) for r in ranges)
    policy = replace(golden_policy(), quiet_hours=quiet)
    moment = moment_for(Channel(name="email", message_class=MessageClass.OUTREACH), at_us, zone, policy)
    expected = next(
        (
            m
            for m in [at_us, *(at_us - at_us % MINUTE_US + k * MINUTE_US for k in range(1, 3000))]
            if quiet_range_at(m, quiet, zone) is None
        ),
        None,
    )
    assert moment.at_us == (at_us if expected is None else expected)
    assert (moment.within is not None and moment.quiet_end_us is None) is (expected is None)
