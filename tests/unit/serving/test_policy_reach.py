"""What `stillhere policy check` finds by what rules reach: the messages that caps count, the events that timelines keep."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from features.core.condition import Comparison, Condition
from features.declarations.product_file import load_product
from serving.decision.policy import Cap, Holdout, MessageClass, Trigger
from serving.policy_review import Finding, implies, review_policy
from tests.serving_world import ROOT, golden_policy

CLEAN = replace(golden_policy(), holdout=Holdout(share=0.05, salt="s"), segment_thresholds={})
HELP = Cap(name="help", limit=3, message_class=MessageClass.ASSIST)
BY_APP = Cap(name="by_app", limit=3, channel="in_app")
ALL = Cap(name="all", limit=9)
BY_EMAIL = Cap(name="by_email", limit=1, channel="email")


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


def test_more_evidence_than_timelines_keep_is_a_conflict():
    product = load_product(ROOT / "products" / "onboarding")
    most = sum(kind.keep + kind.keep_first for kind in product.catalogue.kinds)
    for min_events, expected in ((most, []), (most + 1, [Finding.CONFLICT])):
        remarks = review_policy(replace(CLEAN, min_events=min_events), product)
        assert [remark.kind for remark in remarks if remark.path == "min_events"] == expected
    assert f"at most {most} (keep and keep_first" in next(remark.sentence for remark in remarks if remark.path == "min_events")


def test_help_asks_for_no_evidence():
    product = load_product(ROOT / "products" / "onboarding")
    of_help = tuple(channel for channel in CLEAN.channels if channel.message_class is MessageClass.ASSIST)
    remarks = review_policy(replace(CLEAN, channels=of_help, min_events=10**6), product)
    assert "min_events" not in [remark.path for remark in remarks]


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
