"""What `stillhere policy check` knows of conditions: which cannot hold together or at all, and which follow from others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from features.core.condition import Comparison, Condition
from features.declarations.product_file import load_product
from serving.decision.policy import (
    Guardrail,
    Membership,
    MessageClass,
    SegmentCondition,
    Trigger,
)
from serving.policy_review import Finding, contradiction, implies, review_policy
from tests.reviewed_policy import CLEAN, EMAIL, at_least, at_most, found, trigger
from tests.serving_world import ROOT

IN, OUT = Membership.IS, Membership.IS_NOT


def segment(name, membership=IN, segmentation=None):
    return SegmentCondition(segmentation=segmentation, membership=membership, segment=name)


def test_conditions_on_segments_that_fit_together_are_left_alone():
    assert contradiction([segment("a"), segment("b", OUT), segment("b", IN, "plan")]) == ""
    assert contradiction([segment("a", OUT), segment("b", OUT)]) == ""
    assert implies(segment("a"), segment("b", OUT))
    assert not implies(segment("a"), segment("b", OUT, "plan"))


def test_who_is_in_no_segment_satisfies_nothing(onboarding):
    names = [one.name for one in onboarding.segments]
    assert "are all excluded" in contradiction([segment(name, OUT) for name in names], onboarding)
    assert contradiction([segment(name, OUT) for name in names[1:]], onboarding) == ""


@pytest.mark.parametrize(
    "conditions",
    [
        (segment("a"), segment("b")),
        (segment("a"), at_least(3), segment("a", OUT)),
        (segment("a", IN, "plan"), segment("b", IN, "plan")),
    ],
)
def test_nobody_is_in_two_segments_nor_in_and_out_of_one(conditions):
    guardrail = Guardrail(name="g", conditions=conditions, sentence="s", classes=(MessageClass.OUTREACH,))
    assert (Finding.DEAD, "triggers.t") in found(triggers=(trigger(*conditions),))
    assert (Finding.DEAD, "guardrails.g") in found(guardrails=(guardrail,))
    assert (Finding.DEAD, "messages.m") in found(messages=(*CLEAN.messages, replace(EMAIL, conditions=conditions)))


@pytest.mark.parametrize(
    ("feature", "comparison", "value", "is_possible"),
    [
        ("count_login_failed_2m", Comparison.BELOW, 0.0, False),
        ("count_login_failed_2m", Comparison.AT_MOST, -1.0, False),
        ("count_login_failed_2m", Comparison.AT_MOST, 0.0, True),
        ("count_login_failed_2m", Comparison.AT_LEAST, 20_000.0, False),
        ("seconds_waiting_login_failed_to_login_1d", Comparison.AT_LEAST, 86_400.0, False),
        ("seconds_waiting_login_failed_to_login_1d", Comparison.AT_LEAST, 86_399.0, True),
        ("seconds_since_last_use", Comparison.AT_LEAST, 1e9, True),
        ("unknown_feature", Comparison.BELOW, -1.0, True),
    ],
)
def test_a_condition_outside_the_range_of_its_feature_can_never_hold(onboarding, feature, comparison, value, is_possible):
    words = contradiction([Condition(feature=feature, comparison=comparison, value=value)], onboarding)
    assert (words == "") is is_possible
    assert is_possible or " cannot hold: " in words


@pytest.mark.parametrize(
    ("feature", "most"),
    [
        ("ratio_login_failed_to_attempt_7d", 1),  # a failed sign-in is an attempt
        ("active_days_use_7d", 8),  # seven days touch eight of the calendar
        ("burst_save_clicked_within_10s_1m", 32),  # as many as the timeline keeps
    ],
)
def test_what_no_value_of_a_feature_reaches_never_fires(feature, most):
    product = load_product(ROOT / "products" / "onboarding")
    assert contradiction([at_least(most, feature)], product) == ""
    assert contradiction([Condition(feature=feature, comparison=Comparison.ABOVE, value=most)], product) != ""


def test_a_condition_implies_what_is_wider_and_nothing_of_another_feature_or_side():
    assert implies(at_least(3), at_least(3))
    assert implies(Condition(feature="f", comparison=Comparison.ABOVE, value=3.0), at_least(3))
    assert not implies(at_least(3), Condition(feature="f", comparison=Comparison.ABOVE, value=3.0))
    assert implies(at_most(1), at_most(2))
    assert not implies(at_least(3), at_most(9))
    assert not implies(at_least(3), at_least(2, "g"))


def test_bounds_that_touch_contradict_only_where_one_is_strict():
    assert contradiction([at_least(2), at_most(2)]) == ""
    assert (
        contradiction([at_least(2), Condition(feature="f", comparison=Comparison.BELOW, value=2.0)]) == "f < 2 and f >= 2 cannot both hold"
    )


def counted(feature, comparison, value):
    return Condition(feature=feature, comparison=comparison, value=value)


def test_a_trigger_behind_one_that_asks_for_as_many_in_a_longer_window_never_speaks():
    product = load_product(ROOT / "products" / "onboarding")
    week, minutes = (
        Trigger(name=name, message_class=MessageClass.ASSIST, severity="low", conditions=(counted(feature, Comparison.AT_LEAST, 3.0),))
        for name, feature in (("week", "count_login_failed_7d"), ("minutes", "count_login_failed_2m"))
    )
    for triggers, expected in (((week, minutes), ["triggers.minutes"]), ((minutes, week), [])):
        remarks = review_policy(replace(CLEAN, triggers=triggers), product)
        assert [one.path for one in remarks if one.kind is Finding.DEAD and one.path.startswith("triggers")] == expected


def test_few_in_a_long_window_are_few_in_a_short_one():
    product = load_product(ROOT / "products" / "onboarding")
    week, minutes = (counted(feature, Comparison.AT_MOST, 1.0) for feature in ("count_login_failed_7d", "count_login_failed_2m"))
    assert implies(week, minutes, product)
    assert not implies(minutes, week, product)
    assert not implies(week, minutes)
