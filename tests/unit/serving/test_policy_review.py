"""What `stillhere policy check` finds: rules that never speak, and rules that work against each other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from features.core.condition import Comparison, Condition
from features.declarations.product_file import load_product
from serving.decision.policy import (
    Cap,
    Channel,
    Degraded,
    Exploration,
    Guardrail,
    MessageClass,
    Mode,
    QuietHours,
    SwitchedOff,
    TimingRule,
)
from serving.policy_file import load_policy
from serving.policy_review import Finding, review_policy
from tests.reviewed_policy import CLEAN, EMAIL, at_least, at_most, found, trigger
from tests.serving_world import ROOT


def test_a_clean_policy_has_nothing_dead_and_no_conflict():
    assert [remark for remark in review_policy(CLEAN) if remark.kind is not Finding.NOTE] == []


@pytest.mark.parametrize(
    ("changes", "kind", "path"),
    [
        ({"mode": Mode.STAGING}, Finding.NOTE, "mode"),
        ({"switched_off": SwitchedOff(everything=True)}, Finding.NOTE, "switched_off.everything"),
        ({"holdout": None}, Finding.NOTE, "holdout"),
        ({"exploration": Exploration()}, Finding.NOTE, "exploration.arm_share"),
        ({"risk_threshold": 0.0}, Finding.CONFLICT, "risk_threshold"),
        ({"segment_thresholds": {"free": CLEAN.risk_threshold}}, Finding.DEAD, "segment_thresholds.free"),
        ({"triggers": (trigger(at_least(3), at_most(2)),)}, Finding.DEAD, "triggers.t"),
        ({"triggers": (trigger(at_least(2), name="wide"), trigger(at_least(3)))}, Finding.DEAD, "triggers.t"),
        ({"triggers": (trigger(risk=True, name="risky"), trigger(at_least(3), risk=True))}, Finding.DEAD, "triggers.t"),
        ({"caps": (*CLEAN.caps, Cap(name="more", limit=99, channel="email"))}, Finding.DEAD, "caps.more"),
        ({"caps": (*CLEAN.caps, Cap(name="none", limit=0, message_id=CLEAN.messages[0].id))}, Finding.NOTE, "caps.none"),
        ({"messages": (*CLEAN.messages, replace(EMAIL, causes=("unheard_of",)))}, Finding.DEAD, "messages.m"),
        ({"messages": (*CLEAN.messages, replace(EMAIL, causes=("silence",)))}, Finding.DEAD, "messages.m"),
    ],
)
def test_what_never_speaks_or_should_be_known_is_named(changes, kind, path):
    assert (kind, path) in found(**changes)


def test_a_class_without_a_channel_that_is_on_sends_nothing():
    outreach = tuple(one.name for one in CLEAN.channels if one.message_class is MessageClass.OUTREACH)
    assert (Finding.DEAD, "switched_off") in found(switched_off=SwitchedOff(channels=outreach))
    texts = tuple(one.id for one in CLEAN.messages if one.message_class is MessageClass.OUTREACH)
    assert (Finding.DEAD, "switched_off") in found(switched_off=SwitchedOff(messages=texts))
    two = (*CLEAN.channels, Channel(name="letter", message_class=MessageClass.OUTREACH))
    letter = replace(EMAIL, channel="letter")
    lit = found(channels=two, messages=(*CLEAN.messages, letter), switched_off=SwitchedOff(channels=outreach))
    assert (Finding.DEAD, "switched_off") not in lit
    assert (Finding.NOTE, f"channels.{outreach[0]}") in lit


def test_at_a_threshold_of_one_nobody_is_at_risk():
    for segment_thresholds, excepted in (({}, False), ({"free": 0.7}, True)):
        remarks = review_policy(replace(CLEAN, risk_threshold=1.0, segment_thresholds=segment_thresholds))
        (remark,) = [one for one in remarks if one.path == "risk_threshold"]
        assert (remark.kind, "nobody is at risk" in remark.sentence) == (Finding.CONFLICT, True)
        assert ("except in segments" in remark.sentence) is excepted
    assert (Finding.NOTE, "segment_thresholds.free") in found(segment_thresholds={"free": 1.0})


def test_who_is_silent_for_long_is_not_too_old_to_be_written_to(onboarding, shipped_policy):
    silence = Condition(feature="seconds_since_last_use", comparison=Comparison.AT_LEAST, value=7 * 86_400.0)
    policy = replace(shipped_policy, triggers=(trigger(silence),))
    for days, kinds in ((5, [Finding.CONFLICT]), (7, [Finding.CONFLICT]), (8, []), (None, [])):
        age = None if days is None else timedelta(days=days)
        remarks = review_policy(replace(policy, max_feature_age=age), onboarding)
        assert [remark.kind for remark in remarks if remark.path == "max_feature_age"] == kinds


OUTREACH_ALONE = {
    "channels": tuple(channel for channel in CLEAN.channels if channel.message_class is MessageClass.OUTREACH),
    "triggers": (trigger(at_least(3)),),
}


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"degraded": Degraded(assist_without_model=False)}, []),
        ({"degraded": Degraded(assist_on_stale_features=True)}, ["degraded.assist_on_stale_features"]),  # nothing is ever stale
        ({"degraded": Degraded(assist_on_stale_features=True), "max_feature_age": timedelta(days=1)}, []),
        ({**OUTREACH_ALONE, "degraded": Degraded(assist_without_model=False)}, ["degraded.assist_without_model"]),
        ({**OUTREACH_ALONE, "degraded": Degraded(assist_without_model=True)}, []),
        ({**OUTREACH_ALONE, "degraded": Degraded(assist_on_stale_features=True)}, ["degraded.assist_on_stale_features"]),
    ],
)
def test_a_word_on_help_that_changes_nothing_is_dead(changes, paths):
    assert [path for kind, path in found(**changes) if path.startswith("degraded") and kind is Finding.DEAD] == paths


@pytest.mark.parametrize(
    ("conditions", "is_dead"),
    [
        ((at_least(3, "count_login_failed_2m"),), True),  # what is older than an hour does not count
        ((at_most(600, "seconds_since_last_use"),), True),
        ((at_least(3, "count_login_failed_1d"),), False),
        ((at_least(0, "count_login_failed_2m"),), False),
        ((at_most(7200, "seconds_since_last_use"),), False),
        ((at_least(3, "count_login_failed_1d"), at_least(3, "count_login_failed_2m")), True),
    ],
)
def test_help_on_what_is_stale_is_dead_where_every_trigger_asks_for_news(onboarding, shipped_policy, conditions, is_dead):
    helping = replace(trigger(*conditions), message_class=MessageClass.ASSIST)
    stale = Degraded(assist_on_stale_features=True)
    policy = replace(shipped_policy, triggers=(helping,), degraded=stale, max_feature_age=timedelta(hours=1))
    assert ("degraded.assist_on_stale_features" in [one.path for one in review_policy(policy, onboarding)]) is is_dead
    waiting = replace(policy, triggers=(helping, replace(helping, name="waiting", conditions=(at_least(2, "count_login_failed_1d"),))))
    assert "degraded.assist_on_stale_features" not in [one.path for one in review_policy(waiting, onboarding)]


def test_help_that_waits_for_a_silence_is_no_conflict_where_stale_features_may_help(onboarding, shipped_policy):
    helping = replace(trigger(at_least(7200, "seconds_since_last_use")), message_class=MessageClass.ASSIST)
    policy = replace(shipped_policy, triggers=(helping,), max_feature_age=timedelta(hours=1))
    assert [one.kind for one in review_policy(policy, onboarding) if one.path == "max_feature_age"] == [Finding.CONFLICT]
    helpful = replace(policy, degraded=Degraded(assist_on_stale_features=True))
    assert [one.kind for one in review_policy(helpful, onboarding) if one.path == "max_feature_age"] == []


@pytest.mark.parametrize("name", ["onboarding", "shop", "cdnow", "mooc"])
def test_the_shipped_policies_have_nothing_dead_and_no_conflict(name):
    product = load_product(ROOT / "products" / name)
    remarks = review_policy(load_policy(ROOT / "products" / name / "policy.yaml", product), product)
    assert [remark for remark in remarks if remark.kind is not Finding.NOTE] == []
    assert {remark.path for remark in remarks} <= {"holdout", "exploration.arm_share", "exploration.delay_share"}


def drawing(*hours, **changes):
    chance = replace(CLEAN.exploration, delay_share=0.05, delays=tuple(timedelta(hours=hour) for hour in (0, *hours)))
    return replace(CLEAN, exploration=chance, **changes)


def test_delays_that_chance_draws_are_held_against_horizon_channels_and_quiet_hours(onboarding):
    before = review_policy(CLEAN, onboarding)

    def about(policy):
        return [(remark.kind, remark.path) for remark in review_policy(policy, onboarding) if remark not in before]

    horizon_h = onboarding.label.horizon // timedelta(hours=1)
    assert about(drawing(1, 6)) == []
    assert about(drawing(1, horizon_h)) == [(Finding.CONFLICT, "exploration.delays")]
    helping = tuple(channel for channel in CLEAN.channels if channel.message_class is MessageClass.ASSIST)
    assert (Finding.DEAD, "exploration.delay_share") in about(drawing(1, 6, channels=helping))
    busy = (QuietHours(start_minute=60, end_minute=0, classes=(MessageClass.OUTREACH,)),)
    assert (Finding.DEAD, "exploration.delays") in about(drawing(1, 6, quiet_hours=busy))
    assert (Finding.DEAD, "exploration.delays") not in about(drawing(24, quiet_hours=busy))


def test_what_drawn_delays_will_not_show_is_said():
    timing = TimingRule(delays=(timedelta(0), timedelta(hours=1), timedelta(hours=2)))
    policy = drawing(1, timing=timing)
    policy = replace(policy, exploration=replace(policy.exploration, arm_share=0.0))
    sentences = [remark.sentence for remark in review_policy(policy) if remark.path.startswith("exploration.delay")]
    assert any("Chance never sends nothing" in sentence for sentence in sentences)
    assert any("Of timing.delays 2h are never drawn" in sentence for sentence in sentences)
    (remark,) = [remark for remark in review_policy(replace(CLEAN, timing=timing)) if remark.path == "exploration.delay_share"]
    assert (remark.kind, "always abstains" in remark.sentence) == (Finding.NOTE, True)


def test_a_trigger_that_a_guardrail_always_holds_back_is_a_conflict_and_says_who_wins():
    guardrail = Guardrail(name="g", conditions=(at_least(1),), sentence="s", classes=(MessageClass.OUTREACH,))
    remarks = review_policy(replace(CLEAN, triggers=(trigger(at_least(3)),), guardrails=(guardrail,)))
    (conflict,) = [remark for remark in remarks if remark.kind is Finding.CONFLICT]
    assert (conflict.path, "the guardrail wins" in conflict.sentence) == ("triggers.t", True)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"triggers": (trigger(at_least(3)), trigger(at_least(2), name="wide"))}, "triggers.wide"),  # the narrow one first
        ({"triggers": (trigger(at_least(2), at_least(1, "g"), name="narrow"), trigger(at_least(3)))}, "triggers.t"),
        ({"triggers": (trigger(at_least(2), risk=True, name="risky"), trigger(at_least(3)))}, "triggers.t"),
        ({"caps": (*CLEAN.caps, Cap(name="week", limit=2, channel="email", window=timedelta(days=7)))}, "caps.week"),
        ({"caps": (*CLEAN.caps, Cap(name="hours", limit=1, channel="email", window=timedelta(hours=30)))}, "caps.hours"),
    ],
)
def test_what_can_speak_is_not_called_dead(changes, path):
    assert (Finding.DEAD, path) not in found(**changes)


def onboarding_with(**changes):
    """Dead rules and conflicts that a change of the onboarding policy brings up."""
    product = load_product(ROOT / "products" / "onboarding")
    policy = replace(load_policy(ROOT / "products" / "onboarding" / "policy.yaml", product), **changes)
    return [(remark.kind, remark.path) for remark in review_policy(policy, product) if remark.kind is not Finding.NOTE], policy


EVERYBODY = (at_least(0, "count_login_failed_7d"),)  # nobody failed fewer times than never


def guard(name, *conditions, classes=(MessageClass.OUTREACH,)):
    return Guardrail(name=name, conditions=conditions, classes=classes, sentence="s")


def test_a_guardrail_that_holds_of_everybody_is_a_conflict():
    assert onboarding_with(guardrails=(guard("all", *EVERYBODY),))[0] == [(Finding.CONFLICT, "guardrails.all")]
    above = Condition(feature="count_login_failed_7d", comparison=Comparison.ABOVE, value=0)
    assert onboarding_with(guardrails=(guard("some", above),))[0] == []
    undefined = at_least(0, "seconds_since_last_use")  # of who never used it there is no number
    assert (Finding.CONFLICT, "guardrails.some") not in onboarding_with(guardrails=(guard("some", undefined),))[0]


def test_behind_a_trigger_that_fires_for_everybody_no_other_of_its_class_speaks():
    _, policy = onboarding_with()
    mine = [one for one in policy.triggers if one.message_class is MessageClass.OUTREACH]
    remarks, _ = onboarding_with(triggers=(trigger(*EVERYBODY), *policy.triggers))
    assert remarks == [(Finding.DEAD, f"triggers.{one.name}") for one in mine]


def test_a_guardrail_beside_a_wider_one_changes_nothing():
    wide, narrow = guard("wide", at_most(900)), guard("narrow", at_most(300))
    assert found(guardrails=(narrow, wide)) == [(Finding.DEAD, "guardrails.narrow")]
    assert found(guardrails=(wide, replace(wide, name="again"))) == [(Finding.DEAD, "guardrails.again")]
    of_both = replace(narrow, classes=tuple(MessageClass))
    assert found(guardrails=(of_both, wide)) == []
    assert found(guardrails=(guard("one", at_most(300)), guard("other", at_most(300, "g")))) == []


def test_a_message_behind_one_that_asks_for_less_is_never_chosen():
    first = replace(EMAIL, id="first", causes=("silence",), conditions=(at_least(3),), priority=1)
    messages = (*CLEAN.messages, first, replace(first, id="second", conditions=(at_least(5),), priority=0))
    assert (Finding.DEAD, "messages.second") in found(messages=messages)
    turned = (*CLEAN.messages, first, replace(first, id="second", conditions=(at_least(2),), priority=0))
    assert (Finding.DEAD, "messages.second") not in found(messages=turned)


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
