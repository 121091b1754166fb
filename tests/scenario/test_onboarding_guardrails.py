"""What the shipped policy keeps back, row by row: caps, guardrails, channels, and whom it asks to wait."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import orjson
import pytest

from features.core.event import to_us
from serving.policy_file.document import with_hash
from tests.scenario.situations import arm, gone_quiet, in_trouble_signing_in, uses_the_app, verdict
from tests.serving_world import FixedScorer, World

DAY = timedelta(days=1)


def sent_channels(world, user_id):
    contacts = world.ledger.contacts(world.product.name, user_id, since_us=0)
    return [contact.channel for contact in sorted(contacts, key=lambda contact: contact.at_us)]


def decide_as(world, policy, user_id="ada"):
    service = world.service_with(with_hash(policy))
    return orjson.loads(service.decide_one(user_id, now_us=to_us(world.now)).output)


def test_s2_24_s3_15_urgent_goes_by_push_where_the_app_is_installed(world):
    assert world.decide(uses_the_app(world))["message"]["channel"] == "push"
    assert world.decide(gone_quiet(world, "bob", push_opt_in=True, app_installed=False))["message"]["channel"] == "email"
    assert arm(world.decide("bob"), "outreach/push")["blocked_by"] == "not_available"
    assert world.decide(gone_quiet(world, "cyd", app_installed=True))["message"]["channel"] == "email"


def test_s2_24_what_is_not_urgent_goes_by_email(world):
    world.scorer.said_risk = 0.3
    user_id = world.person(app_installed=True, push_opt_in=True)
    for days in (1, 2, 3):
        world.happens(user_id, "login", times=4, ago=days * DAY)
    output = world.decide()
    assert (output["trigger"], output["message"]["channel"]) == ("regular_away_for_a_day", "email")


def test_s3_15_the_channel_that_a_person_prefers_goes_first(world):
    assert world.decide(uses_the_app(world, preferred_channel="email"))["message"]["channel"] == "email"
    assert world.decide(uses_the_app(world, "bob", preferred_channel="pigeon"))["message"]["channel"] == "push"


def test_s2_28_two_pushes_in_any_seven_days(onboarding, shipped_policy):
    """Sunday and Monday are two calendar weeks and one interval."""
    calm = replace(shipped_policy, channels=tuple(replace(channel, slot_price=0.0) for channel in shipped_policy.channels))
    calm = replace(calm, messages=tuple(replace(m, cooldown=timedelta(hours=1)) for m in calm.messages))
    world = World(onboarding, with_hash(calm), scorer=FixedScorer(said_risk=0.9))
    user_id = uses_the_app(world, email_opt_in=False)
    world.later(days=5)  # Saturday
    for _ in range(2):
        assert world.decide(user_id)["message"]["channel"] == "push"
        world.later(days=1)
    output = world.decide(user_id)  # Monday
    assert (output["action"], output["reason"]["code"]) == ("defer", "cap_reached")
    assert verdict(output, "outreach/push", "cap:push_per_week")["allowed_from"] == "2026-03-14T12:00:00Z"
    assert output["ask_again_at"] == "2026-03-14T12:00:00Z"
    world.later(days=4, hours=23, minutes=59)
    assert world.decide(user_id)["action"] == "defer"
    world.later(minutes=1)
    assert world.decide(user_id)["action"] == "send"


def test_s3_18_one_message_a_channel_a_day_though_a_push_and_an_email_may_meet(world):
    user_id = uses_the_app(world)
    for _ in range(6):
        world.decide(user_id)
        world.later(minutes=30)
    assert sent_channels(world, user_id) == ["push", "email"]


def test_s2_29_s4_22_help_and_outreach_do_not_use_up_each_others_caps(onboarding, shipped_policy):
    restless = replace(shipped_policy, messages=tuple(replace(m, cooldown=timedelta(seconds=1)) for m in shipped_policy.messages))
    world = World(onboarding, with_hash(restless), scorer=FixedScorer(said_risk=0.9))
    user_id = uses_the_app(world)
    for _ in range(4):
        world.decide(user_id)  # a push and an e-mail; no more for outreach
        world.later(minutes=1)
    for _ in range(5):
        world.later(minutes=5)
        world.happens(user_id, "login_failed", times=3)
        world.decide(user_id)
    assert sent_channels(world, user_id) == ["push", "email", "in_app", "in_app"]  # four, all together


def test_s3_19_after_a_message_that_weighs_much_nothing_else_is_sent_for_three_days_but_help_is(world):
    world.scorer.said_contributions = {"form_friction": 1.0}
    user_id = gone_quiet(world, plan="enterprise")
    assert world.decide(user_id)["message"]["id"] == "personal_call"
    world.scorer.said_contributions = {"silence": 1.0}
    world.later(days=2)
    output = world.decide(user_id)
    assert output["reason"]["code"] == "suppressed_after"
    assert verdict(output, "outreach/email", "suppression")["allowed_from"] == "2026-03-05T12:00:00Z"
    world.happens(user_id, "login_failed", times=3)
    assert world.decide(user_id)["message"]["id"] == "secure_reset"
    world.later(days=1)
    assert world.decide(user_id)["message"]["id"] == "we_kept_your_place"


def test_s3_19_who_is_on_the_suppression_list_is_told_nothing_at_all(world):
    output = world.decide(in_trouble_signing_in(world, do_not_contact=True))
    assert (output["action"], output["reason"]["code"]) == ("none", "suppressed")


def test_s3_21_late_at_night_nothing_promotes_and_help_still_comes(world):
    world.later(hours=11)  # 23:00
    user_id = gone_quiet(world)
    world.happens(user_id, "page_view", subject="home", times=3)
    assert world.decide(user_id)["reason"]["code"] == "held_by_mid_task"  # browsing right now
    world.later(minutes=20)
    assert world.decide(user_id)["moment"]["send_at"] == "2026-03-03T08:00:00Z"  # no longer there: in the morning
    world.happens(user_id, "login_failed", times=3)
    assert world.decide(user_id)["moment"]["sentence"] == "Now."


@pytest.mark.parametrize(("ago", "action"), [(899, "none"), (900, "send")])
def test_nobody_is_called_back_in_the_middle_of_a_task(world, ago, action):
    user_id = gone_quiet(world)
    world.happens(user_id, "page_view", subject="home", ago=timedelta(seconds=ago))
    output = world.decide(user_id)
    assert output["action"] == action
    rule = "guardrail" if action == "send" else "guardrail:mid_task"
    assert verdict(output, "outreach/email", rule)["passed"] is (action == "send")


@pytest.mark.parametrize(("ago", "action"), [(899, "none"), (900, "send")])
def test_nobody_is_called_back_who_is_just_trying_to_sign_in(world, ago, action):
    user_id = gone_quiet(world)
    world.happens(user_id, "login_failed", ago=timedelta(seconds=ago))
    output = world.decide(user_id)
    assert output["action"] == action
    rule = "guardrail" if action == "send" else "guardrail:signing_in"
    assert verdict(output, "outreach/email", rule)["passed"] is (action == "send")


def test_an_open_ticket_keeps_outreach_back_until_it_is_closed(world):
    user_id = gone_quiet(world)
    world.happens(user_id, "ticket_opened", ago=2 * DAY)
    output = world.decide(user_id)
    assert output["reason"] == {
        "code": "held_by_open_ticket",
        "sentence": "A support ticket is open; people are talking with us already.",
    }
    world.happens(user_id, "ticket_closed", ago=DAY)
    assert world.decide(user_id)["action"] == "send"


def test_who_converted_within_a_week_is_not_won_back(world):
    user_id = gone_quiet(world)
    world.happens(user_id, "plan_upgraded", ago=7 * DAY - timedelta(seconds=1))
    assert world.decide(user_id)["reason"]["code"] == "held_by_recent_conversion"
    world.later(seconds=1)
    assert world.decide(user_id)["action"] == "send"


@pytest.mark.parametrize(("hours", "outreach"), [(71, "held_by_dismissed_lately"), (72, None)])
def test_a_negative_answer_keeps_outreach_back_for_three_days(world, hours, outreach):
    user_id = gone_quiet(world)
    world.happens(user_id, "message_dismissed", subject="checking_in", ago=timedelta(hours=hours))
    assert arm(world.decide(user_id), "outreach/email")["blocked_by"] == outreach


@pytest.mark.parametrize(("minutes", "help_"), [(59, "held_by_dismissed_just_now"), (60, None)])
def test_s2_33_help_that_was_closed_is_not_offered_again_within_the_hour(world, minutes, help_):
    world.scorer.said_risk = 0.1
    user_id = in_trouble_signing_in(world)
    world.happens(user_id, "message_dismissed", subject="secure_reset", ago=timedelta(minutes=minutes))
    assert arm(world.decide(user_id), "assist/in_app")["blocked_by"] == help_


def test_s1_17_two_lanes_help_at_the_first_visit_and_outreach_after_several(world):
    user_id = world.person()
    world.happens(user_id, "login", times=12, ago=2 * DAY)
    assert world.decide(user_id)["reason"]["code"] == "held_by_first_visit_only"
    world.happens(user_id, "login_failed", times=3)
    assert world.decide(user_id)["message"]["class"] == "assist"
    world.person("bob")
    world.happens("bob", "login", times=6, ago=2 * DAY)
    world.happens("bob", "login", times=6, ago=DAY)
    assert world.decide("bob")["message"]["class"] == "outreach"


def test_s1_17_after_three_days_one_visit_is_all_the_evidence_there_will_be(world):
    user_id = world.person()
    world.happens(user_id, "login", times=12, ago=3 * DAY)
    assert world.decide(user_id)["action"] == "send"


@pytest.mark.parametrize(
    ("hours", "days", "sends"), [(24, (1, 2, 3), True), (23, (1, 2, 3), False), (49, (1, 2, 3), False), (24, (1, 2), False)]
)
def test_s1_13_a_regular_who_is_away_for_a_day_gets_highlights(world, hours, days, sends):
    world.scorer.said_risk = 0.3
    user_id = world.person()
    for day in days:
        world.happens(user_id, "login", times=5, ago=timedelta(hours=hours) + (day - 1) * DAY)
    message = world.decide()["message"]
    assert (message is not None) is sends
    if sends:
        assert message["id"] == "your_week"


def test_s3_20_of_channels_alike_the_one_used_less_within_the_week_goes_first(onboarding, shipped_policy):
    even = replace(shipped_policy, channels=tuple(replace(c, urgent=False, slot_price=0.0) for c in shipped_policy.channels))
    world = World(onboarding, with_hash(even), scorer=FixedScorer(said_risk=0.9))
    user_id = uses_the_app(world)
    assert world.decide(user_id)["message"]["channel"] == "push"  # the file's order
    world.later(days=1)
    assert world.decide(user_id)["message"]["channel"] == "email"


def test_the_second_push_of_a_week_must_be_worth_more_than_the_first(world):
    """A push is expected to take away 0.6 of the risk; the first slot costs 0.3, the second 0.6."""
    user_id = uses_the_app(world, email_opt_in=False)
    assert world.decide(user_id)["message"]["id"] == "push_come_back"
    world.later(days=4)
    output = world.decide(user_id)
    assert (output["action"], output["reason"]["code"]) == ("none", "slot_price")
    world.scorer.said_contributions = {"login_friction": 1.0}  # 0.8 of 0.9
    assert world.decide(user_id)["message"]["id"] == "push_sign_in"


def test_in_staging_everything_is_decided_and_nothing_is_counted(world, shipped_policy):
    from serving.decision.policy import Mode

    user_id = in_trouble_signing_in(world)
    output = decide_as(world, replace(shipped_policy, mode=Mode.STAGING))
    assert (output["action"], output["reason"]["code"]) == ("stage", "staged_by_repeated_login_failures")
    assert sent_channels(world, user_id) == []


@pytest.mark.parametrize(
    ("off", "what"),
    [
        ({"everything": True}, "Everything"),
        ({"channels": ("in_app",)}, "in_app"),
        ({"triggers": ("repeated_login_failures",)}, "The trigger repeated_login_failures"),
    ],
)
def test_what_is_switched_off_stays_off_and_the_answer_says_so(world, shipped_policy, off, what):
    world.scorer.said_risk = 0.1
    in_trouble_signing_in(world)
    output = decide_as(world, replace(shipped_policy, switched_off=replace(shipped_policy.switched_off, **off)))
    assert output["action"] == "none"
    assert output["reason"] == {"code": "switched_off", "sentence": f"{what} is switched off by the policy."}
