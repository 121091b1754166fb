"""What `stillhere policy check` finds among limits: caps, rate limits, prices of slots and quiet hours that decide nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from serving.decision.policy import (
    Cap,
    MessageClass,
    QuietHours,
    RateLimit,
)
from serving.policy_review import Finding, review_policy
from tests.reviewed_policy import CLEAN, EMAIL, at_least, found, trigger

HELP = Cap(name="help", limit=3, message_class=MessageClass.ASSIST)
BY_APP = Cap(name="by_app", limit=3, channel="in_app")
ALL = Cap(name="all", limit=9)
BY_EMAIL = Cap(name="by_email", limit=1, channel="email")


def test_the_caps_that_every_policy_must_have_are_not_called_dead():
    """With one channel, its cap and that of all channels say the same."""
    caps = (Cap(name="own", limit=1, channel="email"), Cap(name="all", limit=1))
    (email,) = [channel for channel in CLEAN.channels if channel.name == "email"]
    alone = replace(CLEAN, channels=(email,), caps=caps, messages=(EMAIL,), triggers=(trigger(at_least(3)),))
    assert [remark.path for remark in review_policy(alone) if remark.path.startswith("caps")] == []


def caps_of(*caps):
    return (*CLEAN.caps, *caps)


@pytest.mark.parametrize(
    ("cap", "is_dead"),
    [
        (Cap(name="c", limit=100, channel="email", window=timedelta(days=7)), True),
        (Cap(name="c", limit=9, channel="email", window=timedelta(days=7)), True),  # one a day, nine days of a changing clock
        (Cap(name="c", limit=8, channel="email", window=timedelta(days=7)), False),
        (Cap(name="c", limit=2, channel="email", window=timedelta(hours=12)), True),  # one in six hours
    ],
)
def test_a_wide_cap_that_narrow_ones_never_let_fill_is_dead(cap, is_dead):
    caps = caps_of(Cap(name="quarter", limit=1, channel="email", window=timedelta(hours=6)), cap)
    (daily,) = [one for one in CLEAN.caps if one.channel == "email"]
    assert daily.limit == 1
    assert ((Finding.DEAD, "caps.c") in found(caps=caps)) is is_dead


def test_caps_of_single_channels_together_are_held_against_one_of_all():
    per_day = sum(one.limit for one in CLEAN.caps if one.channel is not None and one.window is None)
    for limit, is_dead in ((per_day * 9, True), (3, False)):
        assert (
            (Finding.DEAD, "caps.all_week") in found(caps=caps_of(Cap(name="all_week", limit=limit, window=timedelta(days=7))))
        ) is is_dead


def test_of_two_caps_that_are_alike_the_second_decides_nothing():
    week = Cap(name="week", limit=2, channel="email", window=timedelta(days=7))
    assert found(caps=(*CLEAN.caps, week, replace(week, name="again"))) == [(Finding.DEAD, "caps.again")]


def rate(name, limit, **per):
    return RateLimit(name=name, limit=limit, per=timedelta(**per))


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ((rate("r", 0, minutes=1),), [(Finding.CONFLICT, "rate_limits.r")]),
        ((rate("minute", 200, minutes=1), rate("hour", 100, hours=1)), [(Finding.DEAD, "rate_limits.minute")]),
        ((rate("minute", 10, minutes=1), rate("hour", 600, hours=1)), [(Finding.DEAD, "rate_limits.hour")]),
        ((rate("minute", 10, minutes=1), rate("hour", 599, hours=1)), []),
        ((rate("one", 5, minutes=1), rate("two", 5, minutes=1)), [(Finding.DEAD, "rate_limits.two")]),
        ((rate("odd", 150, minutes=7), rate("hour", 100, hours=1)), []),  # seven minutes may lie in two hours
        ((rate("odd", 200, minutes=7), rate("hour", 100, hours=1)), [(Finding.DEAD, "rate_limits.odd")]),
        ((replace(rate("r", 5, hours=1), campaign="nobody's"),), [(Finding.DEAD, "rate_limits.r")]),
    ],
)
def test_rate_limits_that_never_decide_anything_are_named(rates, expected):
    assert found(rate_limits=rates) == expected


def test_a_rate_limit_of_one_campaign_is_held_against_those_that_count_it_too():
    messages = tuple(replace(one, campaign="spring") for one in CLEAN.messages)
    spring, all_ = replace(rate("spring", 200, minutes=1), campaign="spring"), rate("all", 100, hours=1)
    assert (Finding.DEAD, "rate_limits.spring") in found(messages=messages, rate_limits=(spring, all_))
    tight = replace(rate("spring", 10, hours=1), campaign="spring")
    assert found(messages=messages, rate_limits=(tight, rate("all", 100, minutes=1))) == []


def priced(price, effect, limit=2):
    """A channel with one message, two a week."""
    channels = tuple(replace(one, slot_price=price) if one.name == "email" else one for one in CLEAN.channels)
    messages = tuple(replace(one, effect=effect) if one.channel == "email" else one for one in CLEAN.messages)
    caps = tuple(one for one in CLEAN.caps if one.channel == "email" or one.channel is None)
    week = Cap(name="week", limit=limit, channel="email", window=timedelta(days=7))
    return {"channels": channels, "messages": messages, "caps": (*(replace(one, limit=1) for one in caps), week)}


@pytest.mark.parametrize(
    ("price", "effect", "limit", "kinds"),
    [
        (0.6, 0.6, 2, set()),
        (0.6, 0.5, 2, {Finding.CONFLICT, Finding.NOTE}),  # the last place is never given
        (0.6, 0.2, 2, {Finding.CONFLICT, Finding.DEAD}),  # nor the first
        (0.6, 1.0, 1, {Finding.DEAD}),  # no cap of more than one: no price
    ],
)
def test_a_price_above_what_any_message_is_worth_is_a_conflict(price, effect, limit, kinds):
    before = found(**priced(0.0, effect, limit))
    assert {kind for kind, path in found(**priced(price, effect, limit)) if (kind, path) not in before} == kinds


def quiet(start_h, end_h, *classes):
    return QuietHours(start_minute=60 * start_h, end_minute=60 * end_h, classes=classes or (MessageClass.OUTREACH,))


def test_quiet_hours_within_others_change_nothing():
    night, deep, early, late = quiet(21, 8), quiet(23, 6), quiet(0, 8), quiet(21, 0)
    assert found(quiet_hours=(night, deep)) == [(Finding.DEAD, "quiet_hours[1]")]
    assert found(quiet_hours=(deep, night)) == [(Finding.DEAD, "quiet_hours[0]")]
    assert found(quiet_hours=(night, night)) == [(Finding.DEAD, "quiet_hours[1]")]
    assert found(quiet_hours=(early, late, deep)) == [(Finding.DEAD, "quiet_hours[2]")]
    assert found(quiet_hours=(night, quiet(23, 6, *MessageClass))) == []
    assert found(quiet_hours=(night, quiet(12, 13))) == []


def dead_caps(*caps, messages=CLEAN.messages):
    remarks = review_policy(replace(CLEAN, caps=caps, messages=messages))
    return [remark.path for remark in remarks if remark.kind is Finding.DEAD and remark.path.startswith("caps.")]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("cap", "is_dead"),
    [
        (HELP, True),  # all help goes by the app, which must have a cap of its own
        (replace(HELP, limit=4), True),
        (replace(HELP, limit=2), False),
        (replace(HELP, window=timedelta(days=1)), False),  # a day from noon to noon says nothing of one of the calendar
        (replace(HELP, name="help_by_email", channel="email"), True),  # there is none
    ],
)
def test_a_cap_is_held_against_others_by_the_messages_that_it_counts(cap, is_dead, order):
    caps = (BY_APP, cap, BY_EMAIL, ALL)[::order]
    assert dead_caps(*caps) == [f"caps.{cap.name}"] * is_dead


def test_a_cap_that_counts_one_message_more_is_not_dead():
    other = replace(CLEAN.messages[0], id="other", channel="chat")
    assert "caps.help" not in dead_caps(BY_APP, HELP, BY_EMAIL, ALL, messages=(*CLEAN.messages, other))
