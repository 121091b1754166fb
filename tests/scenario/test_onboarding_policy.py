"""Rows of the requirements that the shipped onboarding product and policy express, each through the whole of serving."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from serving.policy_file.document import with_hash
from tests.scenario.situations import gone_quiet, in_trouble_signing_in, verdict
from tests.serving_world import FixedScorer, World


def test_s0_01_two_consecutive_failed_forms_bring_help_about_the_form(world):
    user_id = world.person()
    world.happens(user_id, "form_failed", times=2, subject="kyc", value=3)
    output = world.decide(user_id)
    assert (output["trigger"], output["message"]["id"]) == ("repeated_form_failures", "required_fields")
    assert output["cause"]["group"] == "form_friction"


def test_s0_14_one_failed_form_brings_nothing(world):
    user_id = world.person()
    world.happens(user_id, "form_failed", subject="kyc", value=3)
    output = world.decide(user_id)
    assert output["action"] == "none"
    assert verdict(output, "assist/in_app", "trigger")["code"] == "no_trigger"


@pytest.mark.parametrize(
    ("kind", "times", "severity"), [("login_failed", 3, "critical"), ("form_failed", 2, "high"), ("step_skipped", 2, "medium")]
)
def test_s0_09_each_trigger_has_its_alert_class(world, kind, times, severity):
    user_id = world.person()
    world.happens(user_id, "login")
    world.happens(user_id, kind, times=times, **({"value": 1, "subject": "kyc"} if kind == "form_failed" else {}))
    assert world.decide(user_id)["severity"] == severity


@pytest.mark.parametrize(("plan", "threshold"), [("enterprise", 0.45), ("team", 0.6), ("free", 0.7)])
def test_s0_11_thresholds_differ_by_segment(world, plan, threshold):
    world.scorer.said_risk = threshold
    assert world.decide(gone_quiet(world, plan=plan))["threshold"] == threshold
    assert world.decide(gone_quiet(world, "bob", plan=plan))["action"] == "send"
    world.scorer.said_risk = threshold - 0.01
    assert world.decide(gone_quiet(world, "cyd", plan=plan))["reason"]["code"] == "risk_below_threshold"


@pytest.mark.parametrize("cause", ["login_friction", "form_friction", "skipped_setup", "shallow_sessions", "slow_start", "silence"])
def test_s0_22_the_message_matches_the_cause(world, shipped_policy, cause):
    world.scorer.said_contributions = {cause: 0.8, "tenure": 2.0}
    output = world.decide(gone_quiet(world))
    message = next(m for m in shipped_policy.messages if m.id == output["message"]["id"])
    assert cause in message.causes
    assert output["cause"] == {"group": cause, "contribution": 0.8, "sentence": shipped_policy.cause_sentences[cause]}


def test_s0_24_skipped_tours_bring_help_about_what_they_are_worth(world):
    user_id = world.person()
    world.happens(user_id, "login")
    world.happens(user_id, "feature_skipped", times=2)
    assert world.decide(user_id)["trigger"] == "skipped_tours"


def test_s0_27_help_with_setup_comes_only_when_steps_were_skipped(world):
    user_id = world.person()
    world.happens(user_id, "login")
    world.happens(user_id, "step_completed", times=2, subject="import")
    assert world.decide(user_id)["message"] is None
    world.happens(user_id, "step_skipped", times=2, subject="invite")
    assert world.decide(user_id)["message"]["id"] == "finish_setup"


def test_s1_14_without_consent_nobody_is_contacted(world):
    for consent in (False, None):
        output = world.decide(in_trouble_signing_in(world, consent=consent))
        assert (output["action"], output["reason"]["code"]) == ("none", "no_consent")


def test_s1_15_who_opted_out_of_a_channel_is_not_reached_by_it(world):
    world.scorer.said_risk = 0.1
    output = world.decide(in_trouble_signing_in(world, in_app_opt_in=False))
    assert (output["action"], output["reason"]["code"]) == ("none", "no_opt_in")


def test_s1_17_help_waits_for_no_evidence_and_outreach_does(world):
    assert world.decide(in_trouble_signing_in(world))["action"] == "send"
    world.person("bob")
    world.happens("bob", "login", times=9, ago=timedelta(days=10))
    assert world.decide("bob")["reason"]["code"] == "too_little_evidence"


def test_s2_27_one_email_a_day(world):
    user_id = gone_quiet(world)
    assert world.decide(user_id)["message"]["channel"] == "email"
    world.scorer.said_contributions = {"skipped_setup": 1.0}  # another message, so that it is the cap that refuses
    world.later(hours=2)
    output = world.decide(user_id)
    assert output["reason"]["code"] == "cap_reached"
    assert verdict(output, "outreach/email", "cap:email_per_day")["allowed_from"] == "2026-03-03T00:00:00Z"
    world.later(hours=20)  # 10:00 the next day
    assert world.decide(user_id)["message"]["id"] == "setup_checklist"


def test_s2_29_all_channels_together_are_capped(onboarding, shipped_policy):
    limit = next(cap.limit for cap in shipped_policy.caps if cap.name == "all_per_day")
    policy = replace(  # nothing but the global cap is in the way
        shipped_policy,
        caps=tuple(cap if cap.name == "all_per_day" else replace(cap, limit=100) for cap in shipped_policy.caps),
        messages=tuple(replace(message, cooldown=timedelta(seconds=1)) for message in shipped_policy.messages),
        guardrails=(),
    )
    world = World(onboarding, with_hash(policy), scorer=FixedScorer(said_risk=0.9))
    user_id = in_trouble_signing_in(world)
    world.happens(user_id, "login", ago=timedelta(days=10))
    outputs = []
    for _ in range(limit + 1):
        outputs.append(world.decide(user_id))
        world.later(minutes=5)
        world.happens(user_id, "login_failed", times=3)
    output = outputs[-1]
    assert [each["action"] for each in outputs] == ["send"] * limit + ["defer"]
    assert output["reason"]["code"] == "cap_reached"
    assert {each["rule"] for each in output["verdicts"] if each["code"] == "cap_reached"} == {"cap:all_per_day"}
    assert len(world.ledger.contacts("onboarding", user_id, since_us=0)) == limit


def test_s3_22_an_email_follows_the_users_own_clock(world):
    assert world.decide(gone_quiet(world, timezone="Europe/Berlin"))["moment"]["send_at"] == "2026-03-02T12:00:00Z"
    # 12:00 UTC is 21:00 in Tokyo, when quiet hours begin; they end at 08:00 there.
    assert world.decide(gone_quiet(world, "bob", timezone="Asia/Tokyo"))["moment"]["send_at"] == "2026-03-02T23:00:00Z"


def test_s4_09_three_failed_logins_in_two_minutes_bring_a_secure_reset_at_once(world):
    output = world.decide(in_trouble_signing_in(world))
    assert (output["message"]["id"], output["message"]["class"]) == ("secure_reset", "assist")
    assert output["moment"] == {"send_at": "2026-03-02T12:00:00Z", "expires_at": None, "sentence": "Now.", "advice": None, "curve": []}


@pytest.mark.parametrize("spread", [timedelta(minutes=3), timedelta(minutes=2)])
def test_s4_09_three_failed_logins_further_apart_bring_nothing(world, spread):
    user_id = world.person()
    world.happens(user_id, "login_failed", ago=spread)
    world.happens(user_id, "login_failed", times=2)
    assert world.decide(user_id)["message"] is None


def test_s4_14_one_hesitation_alone_never_fires(world):
    user_id = world.person()
    world.happens(user_id, "hover", value=9000)
    assert world.decide(user_id)["message"] is None
    world.happens(user_id, "hover", value=9000)
    assert world.decide(user_id)["trigger"] == "hesitating_on_submit"
