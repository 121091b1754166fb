"""Signals of the requirements as a product declares them, measured from what one person did: each row by its own number and its edges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from features.core.event import Event, to_us
from features.core.kernel import vector
from features.core.product import Product
from features.core.program import Program, compile_program
from features.core.timeline import pack, timeline_from_events
from features.declarations.product_file import load_product
from tests.oracle import oracle_vector
from tests.spelled_events import events, instant

PRODUCT = """\
name: signals
description: The first minutes of an account.
kinds:
  login: {keep: 128}
  login_failed: {}
  page_view: {subject: page}
  click: {subject: element}
  form_submitted: {subject: form}
  feature_used: {subject: feature}
  feature_skipped: {subject: feature}
  key_action: {}
  hover: {subject: element, value_unit: ms}
  scroll: {subject: conversion point, value_unit: percent, description: How far down towards it; 100 is at it.}
groups:
  attempt: [login, login_failed]
  visit: [login, page_view, click, form_submitted, key_action]
  interaction: [click, form_submitted, scroll, hover]
  critical: [hover/submit, hover/pay]
funnels:
  setup: [login, click/save, form_submitted/profile, key_action]
features:
  - {aggregation: share_of_first, of: feature_skipped, to: feature_used, first: 2}
  - {aggregation: seconds_to_first, of: login, to: feature_skipped}
  - {aggregation: ratio, of: login_failed, to: attempt, windows: 7d}
  - {aggregation: last_session_seconds, of: visit, windows: 1d}
  - {aggregation: seconds_to_first, of: login, to: key_action}
  - {aggregation: seconds_waiting, of: login, to: key_action}
  - {aggregation: seconds_to_next, of: page_view, to: interaction}
  - {aggregation: seconds_to_last, of: click/submit, to: form_submitted, windows: 30m}
  - {aggregation: max, of: [hover/submit, critical], windows: 10m}
  - {aggregation: mean, of: critical, windows: 10m}
  - {aggregation: max, of: scroll/pricing, windows: 30m}
  - {aggregation: burst, of: click/save, within: 10s, windows: 1m}
  - {aggregation: seconds_waiting, of: click/save, to: form_submitted, windows: 1m}
  - {aggregation: events_per_second, of: interaction, windows: 1m}
  - {aggregation: funnel_position, of: setup}
  - {aggregation: seconds_at_step, of: setup}
label: {activity: visit, horizon: 7d}
"""


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Product:
    folder = tmp_path_factory.mktemp("signals")
    (folder / "product.yaml").write_text(PRODUCT)
    return load_product(folder)


@pytest.fixture(scope="module")
def program(product: Product) -> Program:
    return compile_program(product.catalogue)


@pytest.fixture
def measured(product: Product, program: Program):
    """The features by name at an instant, from what happened; the oracle must agree."""

    def features(happened: str | list[Event], as_of: str) -> dict[str, float]:
        told = events(happened) if isinstance(happened, str) else happened
        as_of_us = to_us(instant(as_of))
        known = [event for event in told if event.known_us <= as_of_us]
        found = vector(pack(timeline_from_events(known, product.catalogue.kinds)), as_of_us, program)
        assert np.array_equal(found, oracle_vector(told, as_of_us, product.catalogue), equal_nan=True)
        return dict(zip(product.catalogue.feature_names, found.tolist(), strict=True))

    return features


def often(kind: str, times: int, *, day: str = "Tue") -> str:
    """A minute apart from 00:00 on."""
    return "\n".join(f"{day} {minute // 60:02}:{minute % 60:02} {kind}" for minute in range(times))


SKIPS = "share_of_first_feature_skipped_to_feature_used_first_2"


@pytest.mark.parametrize(
    ("happened", "skip_rate"),
    [
        ("Mon 09:00 login", math.nan),  # nothing to skip yet
        ("Mon 09:00 feature_used/export", 0.0),
        ("Mon 09:00 feature_skipped/export", 1.0),
        ("Mon 09:00 feature_used/export\nMon 09:01 feature_skipped/share", 0.5),
        ("Mon 09:00 feature_skipped/export\nMon 09:01 feature_skipped/share", 1.0),
        ("Mon 09:00 feature_used/export\nMon 09:01 feature_used/share\nMon 09:02 feature_skipped/invite", 0.0),  # the third is no first use
    ],
)
def test_s0_06_skips_are_counted_over_the_first_two_uses(measured, happened: str, skip_rate: float) -> None:
    """Baseline below 10 %, alert above 25 %: with two uses, one skip is past it and none is not."""
    found = measured(happened, "Tue 09:00")[SKIPS]
    assert found == skip_rate or (math.isnan(found) and math.isnan(skip_rate))
    assert (found > 0.25) is (skip_rate in {0.5, 1.0})


def test_s0_03_the_first_two_uses_stay_the_first_however_much_follows(measured) -> None:
    first = "Mon 09:00 login\nMon 09:03 feature_skipped/export\nMon 09:05 feature_used/share"
    later = measured(f"{first}\n{often('feature_used/share', 300)}\n{often('feature_skipped/export', 300, day='Wed')}", "Thu 09:00")
    assert later[SKIPS] == measured(first, "Mon 10:00")[SKIPS] == 0.5
    assert measured(first, "Mon 10:00")["seconds_to_first_login_to_feature_skipped"] == 180  # skipped within minutes


@pytest.mark.parametrize(
    ("logins", "failures", "alert"),
    [(100, 0, False), (97, 3, False), (96, 3, True), (32, 1, True), (33, 1, False), (0, 1, True)],
)
def test_s0_05_more_than_three_of_a_hundred_logins_fail(measured, logins: int, failures: int, alert: bool) -> None:
    """3 of 100 is 3.0 % and not above it; 3 of 99 is."""
    happened = "\n".join([often("login", logins), often("login_failed", failures, day="Wed")])
    rate = measured(happened.strip(), "Thu 09:00")["ratio_login_failed_to_attempt_7d"]
    assert rate == failures / (logins + failures)
    assert (rate > 0.03) is alert


def test_s0_05_a_failure_of_seven_days_ago_is_forgotten_and_nobody_has_no_rate(measured) -> None:
    happened = "Mon 09:00 login_failed\nTue 09:00 login"
    assert measured(happened, "2026-03-09 08:59:59.999999")["ratio_login_failed_to_attempt_7d"] == 0.5
    assert measured(happened, "2026-03-09 09:00")["ratio_login_failed_to_attempt_7d"] == 0.0
    assert math.isnan(measured(happened, "2026-03-10 09:00")["ratio_login_failed_to_attempt_7d"])


@pytest.mark.parametrize(("last", "depth_s", "alert"), [("09:01:30", 90, True), ("09:01:31", 91, False), ("09:00", 0, True)])
def test_s0_07_a_session_of_a_minute_and_a_half_after_login_is_shallow(measured, last: str, depth_s: float, alert: bool) -> None:
    earlier = "Mon 07:00 login\nMon 07:20 page_view/home"
    found = measured(f"{earlier}\nMon 09:00 login\nMon 09:00:20 page_view/home\nMon {last} click/menu", "Mon 12:00")
    found = found["last_session_seconds_visit_1d"]
    assert found == max(depth_s, 20)
    assert (found <= 90) is alert


def test_s0_07_a_session_id_holds_together_what_lies_an_hour_apart(measured) -> None:
    happened = "Mon 09:00 login #s1\nMon 10:00 page_view/home #s1"
    assert measured(happened, "Mon 12:00")["last_session_seconds_visit_1d"] == 3_600
    assert measured(happened.replace("#s1", ""), "Mon 12:00")["last_session_seconds_visit_1d"] == 0


@pytest.mark.parametrize(("at", "seconds", "delayed"), [("09:00:30", 30, False), ("09:01:00", 60, False), ("09:01:00.001", 60.001, True)])
def test_s0_08_the_first_key_action_comes_later_than_a_minute(measured, at: str, seconds: float, delayed: bool) -> None:
    found = measured(f"Mon 09:00 login\nMon {at} key_action\nMon 09:05 key_action", "Mon 12:00")
    assert found["seconds_to_first_login_to_key_action"] == seconds
    assert (found["seconds_to_first_login_to_key_action"] > 60) is delayed
    assert math.isnan(found["seconds_waiting_login_to_key_action"])


def test_s0_08_whoever_does_not_get_to_it_at_all_is_seen_waiting(measured) -> None:
    waiting = [measured("Mon 09:00 login", f"Mon {at}")["seconds_waiting_login_to_key_action"] for at in ("09:01", "09:01:01", "21:00")]
    assert waiting == [60, 61, 12 * 3_600]
    assert math.isnan(measured("Mon 09:00 login", "Mon 21:00")["seconds_to_first_login_to_key_action"])


def test_s4_04_time_to_first_interaction_starts_with_the_page_that_is_open(measured) -> None:
    name = "seconds_to_next_page_view_to_interaction"
    earlier = "Mon 09:00 page_view/home\nMon 09:00:05 click/menu\n"
    assert measured(f"{earlier}Mon 09:10 page_view/setup", "Mon 09:11")[name] != 5  # that was the page before
    assert math.isnan(measured(f"{earlier}Mon 09:10 page_view/setup", "Mon 09:11")[name])
    assert measured(f"{earlier}Mon 09:10 page_view/setup\nMon 09:10:00.180 click/save\nMon 09:10:09 click/save", "Mon 09:11")[name] == 0.18
    assert measured(f"{earlier}Mon 09:10 page_view/setup\nMon 09:10:02 scroll/pricing =10", "Mon 09:11")[name] == 2


def test_s4_05_the_latency_from_click_to_submit_is_that_of_the_newest_submit(measured) -> None:
    name = "seconds_to_last_click_submit_to_form_submitted_30m"
    happened = """
        Mon 09:00:00     click/submit
        Mon 09:00:02     click/submit
        Mon 09:00:02.750 click/help
        Mon 09:00:03.250 form_submitted/profile
    """
    assert measured(happened, "Mon 09:01")[name] == 1.25  # from the click that worked, not from that on help
    assert measured(f"{happened}\nMon 09:05 click/submit", "Mon 09:06")[name] == 1.25  # not submitted yet
    assert math.isnan(measured(happened, "Mon 09:30:02")[name])  # the click has left the window
    assert math.isnan(measured("Mon 09:00 form_submitted/profile", "Mon 09:01")[name])  # sent by the enter key


def test_s4_06_hesitation_counts_on_critical_elements_only(measured) -> None:
    happened = """
        Mon 09:00:00 hover/submit =400
        Mon 09:00:05 hover/logo   =60000
        Mon 09:00:10 hover/submit =1200
        Mon 09:00:20 hover/pay    =1700
    """
    found = measured(happened, "Mon 09:01")
    assert found["max_hover_submit_10m"] == 1_200  # S4.10 asks for more than 1.2 s on Submit: not yet
    assert found["max_critical_10m"] == 1_700
    assert found["mean_critical_10m"] == (400 + 1_200 + 1_700) / 3
    assert measured(f"{happened}\nMon 09:00:50 hover/submit =1201", "Mon 09:01")["max_hover_submit_10m"] > 1_200
    later = measured(happened, "Mon 09:10:10")
    assert math.isnan(later["max_hover_submit_10m"])
    assert later["mean_critical_10m"] == 1_700


def test_s4_07_scroll_depth_is_measured_against_the_conversion_point(measured) -> None:
    name = "max_scroll_pricing_30m"
    happened = "Mon 09:00 scroll/pricing =20\nMon 09:01 scroll/pricing =95\nMon 09:02 scroll/pricing =60\nMon 09:03 scroll/footer =180"
    assert measured(happened, "Mon 09:05")[name] == 95  # scrolled back up, and never there: the footer of another page does not count
    assert measured(f"{happened}\nMon 09:04 scroll/pricing =100", "Mon 09:05")[name] == 100  # just there
    assert measured(f"{happened}\nMon 09:04 scroll/pricing =130", "Mon 09:05")[name] > 100  # past it
    assert measured(happened, "Mon 09:31")[name] == 60
    assert math.isnan(measured("Mon 09:00 page_view/pricing", "Mon 09:05")[name])


@pytest.mark.parametrize(
    ("clicks", "most"),
    [(("00", "05", "09.999"), 3), (("00", "05", "10"), 2), (("00", "10", "20"), 1), (("00", "01", "09", "10", "10.5"), 4), (("00",), 1)],
)
def test_s4_13_three_clicks_on_save_in_ten_seconds(measured, clicks: tuple[str, ...], most: int) -> None:
    """Ten seconds are open at one end: a click ten seconds after another is not within them."""
    happened = "\n".join([*(f"Mon 09:00:{second} click/save" for second in clicks), "Mon 09:00:04 click/cancel", "Mon 09:00:06 click"])
    found = measured(happened, "Mon 09:00:25")
    assert found["burst_click_save_within_10s_1m"] == most
    assert found["seconds_waiting_click_save_to_form_submitted_1m"] == pytest.approx(25 - float(clicks[-1]))


def test_s4_13_a_submit_after_the_clicks_ends_the_waiting(measured) -> None:
    clicks = "Mon 09:00:00 click/save\nMon 09:00:03 click/save\nMon 09:00:06 click/save"
    name = "seconds_waiting_click_save_to_form_submitted_1m"
    assert measured(f"{clicks}\nMon 09:00:05 form_submitted/profile", "Mon 09:00:10")[name] == 4
    assert math.isnan(measured(f"{clicks}\nMon 09:00:08 form_submitted/profile", "Mon 09:00:10")[name])
    assert measured(f"{clicks}\nMon 09:00:08 form_submitted/profile", "Mon 09:00:10")["burst_click_save_within_10s_1m"] == 3
    assert measured(clicks, "Mon 09:01:06")["burst_click_save_within_10s_1m"] == 0


def test_s4_14_velocity_tells_one_hesitation_from_a_slow_minute(measured) -> None:
    """One hesitation alone has no velocity, so no rule on it can hold; the same one among few or many clicks has."""
    name, hesitation = "events_per_second_interaction_1m", "Mon 09:00:30 hover/submit =1500"
    assert math.isnan(measured(hesitation, "Mon 09:00:31")[name])
    assert not measured(hesitation, "Mon 09:00:31")[name] < 0.2
    slow = f"Mon 09:00:10 click/save\n{hesitation}"
    assert measured(slow, "Mon 09:00:31")[name] == 1 / 20
    quick = "\n".join(f"Mon 09:00:{second} click/save" for second in range(20, 30))
    assert measured(f"{quick}\n{hesitation}", "Mon 09:00:31")[name] == 10 / 10
    assert measured(slow, "Mon 09:01:10")["max_critical_10m"] == 1_500
    assert math.isnan(measured(slow, "Mon 09:01:10")[name])  # the click has left the minute


def test_s4_15_a_moment_of_the_lifecycle_is_how_far_and_since_when(measured) -> None:
    happened = "Mon 09:00 login\nMon 09:05 click/save\nMon 09:06 click/cancel\nMon 09:20 click/save\nMon 09:30 form_submitted/invite"
    found = measured(happened, "Mon 10:00")
    assert (found["funnel_position_setup"], found["seconds_at_step_setup"]) == (2, 55 * 60)
    skipped = measured(f"{happened}\nMon 09:45 key_action", "Mon 10:00")
    assert (skipped["funnel_position_setup"], skipped["seconds_at_step_setup"]) == (4, 15 * 60)
