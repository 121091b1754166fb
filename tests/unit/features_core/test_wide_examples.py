"""Every later aggregation worked out by hand, so that the oracle is checked by something other than the kernel it checks."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest

from features.core.catalogue import Aggregation, Catalogue, Feature, Kind
from features.core.columns import columns_from_events
from features.core.event import Event, to_us
from features.core.kernel import batch_vectors, vector
from features.core.program import compile_program
from features.core.timeline import pack, timeline_from_events
from tests.oracle import oracle_vector
from tests.spelled_events import events, instant
from tests.zone_tables import zone_table

DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
KINDS = ("login", "login_failed", "page_view", "click", "purchase")
CATALOGUE_KINDS = tuple(Kind(name=name, value_unit="cents" if name == "purchase" else None) for name in KINDS)
GROUPS = {
    "attempt": ("login", "login_failed"),
    "use": ("login", "page_view", "click", "purchase"),
    "visit": ("login", "page_view", "page_view/pricing"),
    "setup": ("login", "page_view/pricing", "click/save", "purchase"),  # a funnel
}

WEEK = events("""
    Mon 09:00    login #m
    Mon 09:02    page_view/pricing #m
    Mon 09:10    purchase =300 #m
    Mon 23:00    login
    Tue 09:00    login_failed
    Tue 09:01    login_failed
    Tue 09:03    login
    Tue 09:05    page_view/docs
    Tue 09:25    click/save
    Wed 10:00    login
    Wed 10:00:04 click/save
    Wed 10:00:09 click/save
    Wed 10:00:12 click/save
    Wed 10:01    page_view/pricing
    Wed 11:00    purchase =200
    Thu 06:00    login
""")


def asked(aggregation: str, of: str, **fields: object) -> Feature:
    kinds = GROUPS.get(of, (of,))
    if "to" in fields:
        fields["to_kinds"] = GROUPS.get(fields["to"], (fields["to"],))
    return Feature(aggregation=Aggregation(aggregation), of=of, kinds=kinds, **fields)


def answer(feature: Feature, happened: list[Event], as_of: str, known: str | None = None) -> float:
    """The feature by the oracle, online and in batch, which must agree."""
    catalogue = Catalogue(kinds=CATALOGUE_KINDS, features=(feature,))
    as_of_us, known_us = to_us(instant(as_of)), to_us(instant(known or as_of))
    by_oracle = oracle_vector(happened, as_of_us, catalogue, known_us=known_us)
    program = compile_program(catalogue)
    packed = pack(timeline_from_events(happened, catalogue.kinds))
    columns, _ = columns_from_events(happened, catalogue.kinds)
    in_batch = batch_vectors(columns, 1, np.zeros(1, np.int64), np.array([as_of_us]), program, spine_known_us=np.array([known_us]))
    assert np.array_equal(vector(packed, as_of_us, program, known_us=known_us), by_oracle, equal_nan=True)
    assert np.array_equal(in_batch[0], by_oracle, equal_nan=True)
    return by_oracle[0]


BERLIN = zone_table("Europe/Berlin")

# fmt: off
EXAMPLES = [
    # purchases: 300 on Monday, 200 on Wednesday; since Tuesday noon only the second
    (asked("mean", "purchase"), "Thu 12:00", 250.0),
    (asked("mean", "purchase", window=2 * DAY), "Thu 12:00", 200.0),
    (asked("mean", "purchase"), "Mon 09:00", math.nan),
    (asked("max", "purchase"), "Thu 12:00", 300.0),
    (asked("max", "purchase", window=2 * DAY), "Thu 12:00", 200.0),
    # 2 failures in 7 attempts; since Tuesday noon none in 2; on the day before Sunday noon no attempt at all
    (asked("ratio", "login_failed", to="attempt"), "Thu 12:00", 2 / 7),
    (asked("ratio", "login_failed", to="attempt", window=2 * DAY), "Thu 12:00", 0.0),
    (asked("ratio", "login_failed", to="attempt", window=DAY), "Sun 12:00", math.nan),
    # logins: one since Wednesday noon, one on the day before that; 2 in two days, 3 in the two before
    (asked("trend", "login", window=DAY), "Thu 12:00", 0),
    (asked("trend", "login", window=2 * DAY), "Thu 12:00", -1),
    # what happened on Wed 10:00 is, a day later, the newest event of the window before; a second sooner it still is in this window
    (asked("trend", "login", window=DAY), "Thu 10:00", 1 - 1),
    (asked("trend", "login", window=DAY), "Thu 09:59:59", 2 - 0),
    # oldest login Mon 09:00, purchase at 09:10; since Tuesday noon: Wed 10:00 and 11:00
    (asked("seconds_to_first", "login", to="purchase"), "Thu 12:00", 600),
    (asked("seconds_to_first", "login", to="purchase", window=2 * DAY), "Thu 12:00", 3_600),
    (asked("seconds_to_first", "login", to="purchase"), "Mon 09:09", math.nan),
    # newest purchase Wed 11:00, next login Thu 06:00: 19 hours; after the newest login no purchase
    (asked("seconds_to_next", "purchase", to="login"), "Thu 12:00", 19 * 3_600),
    (asked("seconds_to_next", "login", to="purchase"), "Thu 12:00", math.nan),
    # newest purchase Wed 11:00:00, newest save before it Wed 10:00:12
    (asked("seconds_to_last", "click/save", to="purchase"), "Thu 12:00", 59 * 60 + 48),
    (asked("seconds_to_last", "click/save", to="purchase"), "Tue 12:00", math.nan),  # the only purchase came before any save
    # logged in Thu 06:00 and nothing bought since; the purchase was followed by that login
    (asked("seconds_waiting", "login", to="purchase"), "Thu 12:00", 6 * 3_600),
    (asked("seconds_waiting", "purchase", to="login"), "Thu 12:00", math.nan),
    # attempts: login, login, failed, failed, login, ...
    (asked("share_of_first", "login_failed", to="login", first=2), "Thu 12:00", 0.0),
    (asked("share_of_first", "login_failed", to="login", first=3), "Thu 12:00", 1 / 3),
    (asked("share_of_first", "login_failed", to="login", first=4), "Thu 12:00", 2 / 4),
    (asked("share_of_first", "login_failed", to="login", first=9), "Thu 12:00", 2 / 7),  # there are but seven
    # logins Mon 09:00, Mon 23:00, Tue 09:03, Wed 10:00, Thu 06:00: gaps 14:00, 10:03, 24:57 and 20:00, in all 69 h
    (asked("mean_gap_seconds", "login"), "Thu 12:00", 69 * 3_600 / 4),  # 62 100
    (asked("max_gap_seconds", "login"), "Thu 12:00", 24 * 3_600 + 57 * 60),  # 89 820
    # from the mean: -11 700, -25 920, 27 720, 9 900; squares sum to 1 675 144 800
    (asked("std_gap_seconds", "login"), "Thu 12:00", math.sqrt(1_675_144_800 / 4)),
    (asked("last_gap_ratio", "login"), "Thu 12:00", 21_600 / 62_100),
    (asked("max_gap_ratio", "login"), "Thu 12:00", 89_820 / 62_100),
    (asked("mean_gap_seconds", "login"), "Mon 12:00", math.nan),
    (asked("last_gap_ratio", "login"), "Mon 12:00", math.nan),
    # without a zone it is UTC, where 23:00 is night and 06:00 no longer is; Berlin is an hour later: 10:00, 00:00, 10:03, 11:00, 07:00
    (asked("hour_share", "login", hours=(22, 6)), "Thu 12:00", 1 / 5),
    (asked("hour_share", "login", hours=(22, 7)), "Thu 12:00", 2 / 5),
    (asked("hour_share", "login", hours=(9, 11), zone=BERLIN), "Thu 12:00", 2 / 5),
    # at 10:30 on Wednesday: 10:00:00, :04, :09, :12 and 10:01:00 without a pause of half an hour
    (asked("last_session_events", "use"), "Wed 10:30", 5),
    (asked("last_session_seconds", "use"), "Wed 10:30", 60),
    (asked("last_session_events", "use"), "Mon 10:00", 3),  # session m
    (asked("last_session_seconds", "use"), "Mon 10:00", 600),
    (asked("last_session_seconds", "use"), "Thu 12:00", 0),  # one event has no length, but is a session
    # 14 events in: m, Mon 23:00, Tue 09:03, Wed 10:00, Wed 11:00 (59 minutes after 10:01), Thu 06:00
    (asked("events_per_session", "use"), "Thu 12:00", 14 / 6),
    # 7 attempts in the hours Mon 09, Mon 23, Tue 09, Wed 10, Thu 06
    (asked("events_per_active_hour", "attempt"), "Thu 12:00", 7 / 5),
    # saves at :04, :09 and :12: two more in eight seconds
    (asked("events_per_second", "click/save", window=DAY), "Wed 12:00", 2 / 8),
    (asked("burst", "click/save", within=10 * SECOND), "Thu 12:00", 3),
    (asked("burst", "click/save", within=8 * SECOND), "Thu 12:00", 2),  # (:04, :12] is open at its old end
    (asked("burst", "click/save", within=SECOND), "Thu 12:00", 1),
    # click 1, login 2, page_view 3, purchase 4, base 5; ..., page_view, purchase, login
    (asked("last_kinds", "use", last=3), "Thu 12:00", (3 * 5 + 4) * 5 + 2),
    (asked("last_kinds", "use", last=9), "Mon 09:05", 2 * 5 + 3),  # login, page_view: fewer than nine
    # login 1, page_view 2, page_view/pricing 3, base 4: Tue docs, Wed login, Wed pricing, Thu login
    (asked("last_kinds", "visit", last=4), "Thu 12:00", ((2 * 4 + 1) * 4 + 3) * 4 + 1),
    # the logins of Thu 06:00 and Wed 10:00 are 20 hours apart: a whole one and half a one; and all of them 20 hours later, half as much
    (asked("decayed_count", "login", half_life=timedelta(hours=20), window=DAY), "Thu 06:00", 1.5),
    (asked("decayed_count", "login", half_life=timedelta(hours=20), window=2 * DAY - 4 * HOUR), "Fri 02:00", 0.75),
    # login on Monday 09:00, pricing 09:02, a save on Tuesday, but the purchase was on Monday already
    (asked("funnel_position", "setup"), "Mon 09:05", 2),
    (asked("seconds_at_step", "setup"), "Mon 09:05", 180),
    (asked("funnel_position", "setup"), "Thu 12:00", 4),
    (asked("seconds_at_step", "setup"), "Thu 12:00", 3 * 86_400 + 2 * 3_600 + 50 * 60),  # since Mon 09:10, not since Wednesday's purchase
    (asked("funnel_position", "setup", window=DAY), "Thu 12:00", 1),
    (asked("seconds_at_step", "setup", window=DAY), "Thu 12:00", 6 * 3_600),
]
# fmt: on


@pytest.mark.parametrize(("feature", "as_of", "expected"), EXAMPLES, ids=lambda value: getattr(value, "name", None))
def test_a_week_gives(feature: Feature, as_of: str, expected: float) -> None:
    assert answer(feature, WEEK, as_of) == pytest.approx(expected, rel=1e-15, nan_ok=True)


def test_every_later_aggregation_has_an_example() -> None:
    assert {feature.aggregation for feature, _, _ in EXAMPLES} == set(list(Aggregation)[8:])


NOBODY = [
    *[(name, {}, 0) for name in ("last_session_events", "funnel_position")],
    *[(name, {}, math.nan) for name in ("mean", "max", "mean_gap_seconds", "max_gap_seconds", "std_gap_seconds", "last_gap_ratio")],
    *[(name, {}, math.nan) for name in ("max_gap_ratio", "last_session_seconds", "events_per_session", "seconds_at_step")],
    *[(name, {}, math.nan) for name in ("events_per_second", "events_per_active_hour")],
    *[(name, {"to": "login"}, math.nan) for name in ("ratio", "seconds_to_first", "seconds_to_next", "seconds_to_last", "seconds_waiting")],
    ("share_of_first", {"to": "login", "first": 2}, math.nan),
    ("trend", {"window": DAY}, 0),
    ("decayed_count", {"half_life": DAY}, 0),
    ("hour_share", {"hours": (0, 24), "zone": BERLIN}, math.nan),
    ("burst", {"within": SECOND}, 0),
    ("last_kinds", {"last": 3}, 0),
]


@pytest.mark.parametrize(("aggregation", "fields", "expected"), NOBODY)
def test_nobody_has(aggregation: str, fields: dict[str, object], expected: float) -> None:
    assert answer(asked(aggregation, "click", **fields), [], "Thu 12:00") == pytest.approx(expected, nan_ok=True)
    assert {name for name, _, _ in NOBODY} == set(list(Aggregation)[8:])


TWICE = events("""
    Mon 09:00 click/save
    Mon 09:00 click/cancel
""")


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        ("mean_gap_seconds", 0),
        ("std_gap_seconds", 0),
        ("last_gap_ratio", math.nan),
        ("max_gap_ratio", math.nan),
        ("events_per_second", math.nan),
        ("last_session_seconds", 0),
        ("events_per_active_hour", 2),
    ],
)
def test_two_events_at_one_instant_have_no_gap_to_measure_by(aggregation: str, expected: float) -> None:
    assert answer(asked(aggregation, "click"), TWICE, "Mon 10:00") == pytest.approx(expected, nan_ok=True)


def test_an_event_does_not_follow_itself() -> None:
    twice = events("""
        Mon 09:00 click
        Mon 09:01 click
    """)
    assert answer(asked("seconds_to_first", "click", to="click"), twice, "Mon 10:00") == 60
    assert answer(asked("seconds_to_last", "click", to="click"), twice, "Mon 10:00") == 60
    assert math.isnan(answer(asked("seconds_to_next", "click", to="click"), twice, "Mon 10:00"))
    assert answer(asked("seconds_waiting", "click", to="click"), twice, "Mon 10:00") == 59 * 60


SPRING = events("""
    2026-03-29 00:59:59.999999 click
    2026-03-29 01:00           click
""")  # in Berlin 01:59:59.999999, and at once 03:00
AUTUMN = events("""
    2026-10-24 23:59:59.999999 click
    2026-10-25 00:30           click
    2026-10-25 01:30           click
    2026-10-25 02:00           click
""")  # in Berlin 01:59:59.999999, 02:30 in summer time, 02:30 in winter time, 03:00
LORD_HOWE = events("""
    2026-04-04 14:59:59 click
    2026-04-04 15:00    click
    2026-04-04 15:29:59 click
    2026-04-04 15:30    click
""")  # 01:59:59 in summer time, then by half an hour back: 01:30, 01:59:59, 02:00


@pytest.mark.parametrize(
    ("happened", "zone", "hours", "expected"),
    [
        (SPRING, "Europe/Berlin", (2, 3), 0.0),
        (SPRING, "Europe/Berlin", (1, 2), 1 / 2),
        (SPRING, "Europe/Berlin", (3, 4), 1 / 2),
        (AUTUMN, "Europe/Berlin", (2, 3), 2 / 4),
        (AUTUMN, "Europe/Berlin", (3, 2), 2 / 4),
        (LORD_HOWE, "Australia/Lord_Howe", (1, 2), 3 / 4),
        (LORD_HOWE, "Australia/Lord_Howe", (2, 3), 1 / 4),
    ],
)
def test_hours_are_those_of_the_wall_clock_when_it_changes(
    happened: list[Event], zone: str, hours: tuple[int, int], expected: float
) -> None:
    assert answer(asked("hour_share", "click", hours=hours, zone=zone_table(zone)), happened, "2026-12-31 00:00") == expected


def test_what_will_be_on_friday_if_she_stays_silent_from_wednesday_noon() -> None:
    friday, wednesday = "Fri 10:00", "Wed 12:00"  # Thursday's login is not known then
    assert answer(asked("seconds_waiting", "purchase", to="login"), WEEK, friday, wednesday) == 47 * 3_600
    assert answer(asked("trend", "login", window=DAY), WEEK, "Fri 09:59:59", wednesday) == 0 - 1
    assert answer(asked("trend", "login", window=DAY), WEEK, friday, wednesday) == 0 - 0  # Wed 10:00 is two days ago, to the second
    assert answer(asked("last_gap_ratio", "login"), WEEK, friday, wednesday) == 48 * 3_600 / (49 * 3_600 / 3)


def test_an_event_that_arrives_late_counts_from_then_on_and_at_its_own_time() -> None:
    late = events("""
        Mon 09:00 login
        Mon 10:00 click/save +7200
        Mon 11:00 purchase =1
    """)
    feature = asked("seconds_to_last", "click/save", to="purchase")
    assert math.isnan(answer(feature, late, "Mon 11:59:59"))
    assert answer(feature, late, "Mon 12:00") == 3_600
    assert answer(asked("last_kinds", "use", last=2), late, "Mon 11:30") == 2 * 5 + 4
    assert answer(asked("last_kinds", "use", last=2), late, "Mon 12:00") == 1 * 5 + 4
