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
    Holdout,
    Membership,
    Message,
    MessageClass,
    Mode,
    QuietHours,
    RateLimit,
    SegmentCondition,
    SwitchedOff,
    TimingRule,
    Trigger,
)
from serving.policy_file import load_policy
from serving.policy_review import Finding, contradiction, implies, review_policy
from tests.serving_world import ROOT, golden_policy


def at_least(value, feature="f"):
    return Condition(feature=feature, comparison=Comparison.AT_LEAST, value=value)


def at_most(value, feature="f"):
    return Condition(feature=feature, comparison=Comparison.AT_MOST, value=value)


CLEAN = replace(golden_policy(), holdout=Holdout(share=0.05, salt="s"), exploration=Exploration(arm_share=0.1), segment_thresholds={})
EMAIL = Message(id="m", message_class=MessageClass.OUTREACH, channel="email", title="t", body="b", cooldown=timedelta(days=7))


def trigger(*conditions, name="t", risk=False):
    return Trigger(name=name, message_class=MessageClass.OUTREACH, severity="low", conditions=conditions, risk_above_threshold=risk)


def found(**changes):
    """Kind and path of what a change of a clean policy brings up."""
    before = review_policy(CLEAN)
    return [(remark.kind, remark.path) for remark in review_policy(replace(CLEAN, **changes)) if remark not in before]


def test_a_clean_policy_has_nothing_dead_and_no_conflict():
    assert [remark for remark in review_policy(CLEAN) if remark.kind is not Finding.NOTE] == []


def test_the_caps_that_every_policy_must_have_are_not_called_dead():
    """With one channel, its cap and that of all channels say the same."""
    caps = (Cap(name="own", limit=1, channel="email"), Cap(name="all", limit=1))
    (email,) = [channel for channel in CLEAN.channels if channel.name == "email"]
    alone = replace(CLEAN, channels=(email,), caps=caps, messages=(EMAIL,), triggers=(trigger(at_least(3)),))
    assert [remark.path for remark in review_policy(alone) if remark.path.startswith("caps")] == []


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


IN, OUT = Membership.IS, Membership.IS_NOT


def segment(name, membership=IN, segmentation=None):
    return SegmentCondition(segmentation=segmentation, membership=membership, segment=name)


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


def test_of_two_caps_that_are_alike_the_second_decides_nothing():
    week = Cap(name="week", limit=2, channel="email", window=timedelta(days=7))
    assert found(caps=(*CLEAN.caps, week, replace(week, name="again"))) == [(Finding.DEAD, "caps.again")]


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
