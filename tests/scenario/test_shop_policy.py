"""Rows of the requirements about carts, prices and promotions, in the shop that is shipped as a second example."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from features.adapters.memory import MemoryProfileStore
from features.core.event import to_us
from features.declarations.product_file import load_product
from features.ingest.answers import StoredAnswers
from serving.decision.policy import Exploration
from serving.policy_file import load_policy
from serving.policy_file.document import with_hash
from tests.scenario.situations import arm
from tests.serving_world import ROOT, FixedScorer, World

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def product():
    return load_product(ROOT / "products" / "shop")


@pytest.fixture(scope="module")
def shipped(product):
    return load_policy(ROOT / "products" / "shop" / "policy.yaml", product)


@pytest.fixture
def world(product, shipped):
    """The rules without chance, which would decide otherwise now and then."""
    policy = with_hash(replace(shipped, holdout=None, exploration=Exploration()))
    return World(product, policy, scorer=FixedScorer(version="shop/1", said_risk=0.2))


def test_s1_15_the_shop_stops_following_who_opted_out_and_nobody_else(product):
    answers = StoredAnswers(collection=product.collection, profiles=(profiles := MemoryProfileStore()))
    profiles.write({"ada": {"tracking": False, "consent": True}, "ben": {"tracking": True}, "eve": {"consent": False}}, changed_us=1)
    assert [answers.of(["ada", "ben", "eve", "new"]).allows(user_id) for user_id in ("ada", "ben", "eve", "new")] == [
        False,
        True,
        True,
        True,
    ]
    assert "tracking" not in {attribute.name for attribute in product.model_attributes}


def shopper(world, user_id="ada", **attributes):
    """Known for ten days, and reached by e-mail alone."""
    world.person(user_id, **{"plan": "guest", "device": None, **attributes})
    world.happens(user_id, "login", times=3, ago=6 * DAY)
    return user_id


def fills_the_cart(world, user_id="ada", *, cents=3_000, ago=timedelta(0)):
    world.happens(user_id, "added_to_cart", subject="boots", value=cents, ago=ago)


def trigger_and_message(output):
    return output["trigger"] if output["message"] else None, (output["message"] or {}).get("id")


@pytest.mark.parametrize(
    ("idle", "cents", "trigger"),
    [
        (timedelta(seconds=299), 9_000, None),
        (timedelta(seconds=300), 3_000, "cart_left_for_five_minutes"),  # S3.04
        (timedelta(seconds=600), 5_001, None),  # S2.13 asks for more than ten minutes
        (timedelta(seconds=601), 5_001, "valuable_cart_idle"),
        (timedelta(seconds=601), 5_000, None),  # and for more than 50
        (timedelta(seconds=899), 5_000, None),
        (timedelta(seconds=900), 5_000, "cart_without_checkout"),  # S2.16
    ],
)
def test_s2_13_s2_16_s3_04_conflict_5_each_cart_rule_has_its_own_window(world, idle, cents, trigger):
    fills_the_cart(world, shopper(world), cents=cents, ago=idle)
    assert trigger_and_message(world.decide())[0] == trigger


def test_s2_16_s2_20_s2_21_a_rule_brings_its_own_message_whatever_weighs_on_the_risk(world):
    world.scorer.said_contributions = {"silence": 0.4, "base": -2.0}
    fills_the_cart(world, shopper(world), ago=20 * MINUTE)
    world.happens(shopper(world, "bob"), "page_view", subject="pricing", times=3)
    world.happens(shopper(world, "cyd"), "demo_watched", value=60_000, ago=DAY)
    outputs = [world.decide(user_id) for user_id in ("ada", "bob", "cyd")]
    assert [output["message"]["id"] for output in outputs] == ["cart_saved", "discount", "longer_trial"]
    assert outputs[0]["cause"] == {"group": "cart", "contribution": None, "sentence": "Something was left in the cart."}


@pytest.mark.parametrize("kind", ["checkout_started", "purchase"])
def test_s2_16_a_checkout_ends_the_waiting(world, kind):
    fills_the_cart(world, shopper(world), ago=20 * MINUTE)
    world.happens("ada", kind, ago=16 * MINUTE, **({"value": 3_000} if kind == "purchase" else {}))
    assert world.decide()["message"] is None


def test_s2_16_the_cart_of_an_earlier_session_counts_for_the_same_user(world):
    shopper(world)
    world.happens("ada", "added_to_cart", subject="boots", value=100, ago=20 * MINUTE, session_id="phone")
    world.happens("ada", "checkout_started", ago=2 * MINUTE, session_id="laptop")
    assert world.decide()["message"] is None


def test_s3_10_the_cart_goes_by_push_to_who_prefers_it(world):
    fills_the_cart(world, shopper(world, app_installed=True, preferred_channel="push"), ago=20 * MINUTE)
    message = world.decide()["message"]
    assert (message["id"], message["channel"]) == ("cart_push", "push")


@pytest.mark.parametrize(
    ("news", "count"), [("release", 0), ("confirm", 1), (None, 0)], ids=["it failed", "it was delivered", "nobody told for an hour"]
)
def test_s3_18_a_push_takes_its_place_until_it_is_known_not_to_have_arrived(world, news, count):
    fills_the_cart(world, shopper(world, app_installed=True, preferred_channel="push"), ago=20 * MINUTE)
    sent = world.decide()
    assert sent["message"]["channel"] == "push"
    assert push_cap(world)["sentence"].startswith("The cap push_per_day is reached: 1 of 1")  # reserved at once
    tell = {"release": lambda id_: world.ledger.release("shop", id_), None: lambda _: world.later(minutes=66)}
    tell.get(news, lambda id_: world.ledger.confirm("shop", id_, delivered_us=to_us(world.now)))(sent["decision_id"])
    assert push_cap(world)["sentence"].startswith(f"{'The cap push_per_day is reached: ' if count else ''}{count} of 1")


def push_cap(world):
    return next(verdict for verdict in world.decide()["verdicts"] if verdict["rule"] == "cap:push_per_day")


def test_s3_16_email_at_once_sms_after_two_hours_unopened_push_after_a_day(world):
    user_id = shopper(world, app_installed=True, sms_opt_in=True, timezone="Pacific/Auckland")  # 9 in the morning there
    world.now -= timedelta(hours=16)
    fills_the_cart(world, user_id, ago=20 * MINUTE)
    assert trigger_and_message(world.decide()) == ("cart_without_checkout", "cart_saved")
    world.happens(user_id, "email_delivered", subject="cart_saved")
    world.later(minutes=119)
    assert world.decide()["message"] is None
    world.later(minutes=1)
    assert trigger_and_message(world.decide()) == ("cart_unopened_for_two_hours", "cart_sms")
    world.later(hours=22)
    assert trigger_and_message(world.decide()) == ("cart_unopened_for_a_day", "cart_push")


@pytest.mark.parametrize("ending", ["email_opened", "purchase"])
def test_s3_16_an_opened_email_or_a_purchase_cancels_the_escalation(world, ending):
    user_id = shopper(world, app_installed=True, sms_opt_in=True)
    fills_the_cart(world, user_id, ago=20 * MINUTE)
    world.decide()
    world.happens(user_id, "email_delivered", subject="cart_saved")
    world.later(hours=1)
    world.happens(user_id, ending, **({"subject": "cart_saved"} if ending == "email_opened" else {"value": 3_000}))
    world.later(hours=2)
    assert arm(world.decide(), "outreach/sms")["open"] is False
    assert "unopened" not in (world.decide()["trigger"] or "")


def test_s3_16_an_email_about_something_else_that_stays_unopened_escalates_nothing(world):
    user_id = shopper(world, app_installed=True, sms_opt_in=True)
    world.happens(user_id, "email_delivered", subject="news")
    fills_the_cart(world, user_id)
    for hours in (2, 23):
        world.later(hours=hours)
        assert "unopened" not in (world.decide()["trigger"] or "")


def test_s3_16_opening_an_email_about_something_else_cancels_nothing(world):
    user_id = shopper(world, sms_opt_in=True)
    fills_the_cart(world, user_id, ago=20 * MINUTE)
    assert world.decide()["message"]["id"] == "cart_saved"
    world.happens(user_id, "email_delivered", subject="cart_saved")
    world.later(hours=1)
    world.happens(user_id, "email_opened", subject="news")
    world.later(hours=1)
    assert trigger_and_message(world.decide()) == ("cart_unopened_for_two_hours", "cart_sms")


def test_s3_16_without_the_app_there_is_no_push(world):
    user_id = shopper(world)
    fills_the_cart(world, user_id, ago=20 * MINUTE)
    world.decide()
    world.happens(user_id, "email_delivered", subject="cart_saved")
    world.later(hours=25)
    output = world.decide()
    assert arm(output, "outreach/push")["blocked_by"] == "not_available"
    assert output["action"] == "none"


@pytest.mark.parametrize(("visits", "bought", "message"), [(3, False, "discount"), (2, False, None), (3, True, None)])
def test_s2_20_three_visits_to_the_pricing_page_bring_a_discount(world, visits, bought, message):
    user_id = shopper(world, discount_code="ADA10")
    world.happens(user_id, "page_view", subject="pricing", times=visits, ago=2 * DAY)
    if bought:
        world.happens(user_id, "purchase", value=100, ago=DAY)
    output = world.decide()
    assert (output["message"] or {}).get("id") == message
    if message:
        assert "the code ADA10 takes 10 % off" in output["message"]["body"]  # S2.22


def test_s3_19_after_the_discount_nothing_else_for_two_days(world):
    user_id = shopper(world)
    world.happens(user_id, "page_view", subject="pricing", times=3)
    assert world.decide()["message"]["id"] == "discount"
    world.later(days=1)
    fills_the_cart(world, user_id, cents=9_000, ago=20 * MINUTE)
    output = world.decide()
    assert (output["action"], output["reason"]["code"]) == ("none", "suppressed_after")


@pytest.mark.parametrize(
    ("looked_ms", "cents", "gone", "trigger"),
    [
        (60_001, 20_000, 300, "long_look_at_something_dear"),
        (60_000, 20_000, 300, None),
        (60_001, 19_999, 300, None),
        (60_001, 20_000, 299, None),
    ],
)
def test_s3_05_a_long_look_at_something_dear_is_followed_up_after_a_timeout(world, looked_ms, cents, gone, trigger):
    user_id = shopper(world)
    world.happens(user_id, "product_viewed", subject="coat", value=cents, ago=timedelta(seconds=gone))
    world.happens(user_id, "product_left", subject="coat", value=looked_ms, ago=timedelta(seconds=gone - 61))
    assert trigger_and_message(world.decide())[0] == trigger


@pytest.mark.parametrize(("minutes", "trigger"), [(60, "promo_without_purchase"), (59, None)])
def test_s3_06_a_promotion_clicked_is_retargeted(world, minutes, trigger):
    world.happens(shopper(world), "promo_clicked", subject="spring", ago=minutes * MINUTE)
    assert trigger_and_message(world.decide())[0] == trigger


@pytest.mark.parametrize(("hours", "trigger"), [(48, "profile_without_purchase"), (47, None)])
def test_s3_07_a_complete_profile_without_a_purchase_in_48_hours(world, hours, trigger):
    world.happens(shopper(world), "profile_completed", ago=timedelta(hours=hours))
    assert trigger_and_message(world.decide())[0] == trigger


@pytest.mark.parametrize(
    ("plan", "registered", "bought", "trigger"),
    [
        ("member", "2026-02-28T11:59:59Z", False, "new_customer_without_purchase"),
        ("member", "2026-02-28T12:00:00Z", False, None),
        ("member", "2026-02-20T12:00:00Z", True, None),
        ("guest", "2026-02-20T12:00:00Z", False, None),
    ],
)
def test_s3_08_a_new_customer_registered_for_more_than_two_days(world, plan, registered, bought, trigger):
    user_id = shopper(world, plan=plan, registered_at=registered)
    if bought:
        world.happens(user_id, "purchase", value=100, ago=3 * DAY)
    assert trigger_and_message(world.decide())[0] == trigger


@pytest.mark.parametrize(
    ("stage", "days", "trigger"), [("lead", 8, "lead_gone_quiet"), ("visitor", 8, "silent_for_a_week"), ("lead", 7, "silent_for_a_week")]
)
def test_s3_09_s3_11_a_lead_that_went_quiet_for_more_than_seven_days(world, stage, days, trigger):
    user_id = world.person(stage=stage, plan="guest")
    world.happens(user_id, "login", times=3, ago=days * DAY)
    assert trigger_and_message(world.decide())[0] == trigger


@pytest.mark.parametrize(("minutes", "trigger"), [(30, "browsed_for_long"), (29, None)])
def test_s3_13_half_an_hour_of_browsing_starts_the_follow_up(world, minutes, trigger):
    user_id = shopper(world)
    for number in range(minutes):
        world.happens(user_id, "product_left", subject="coat", value=60_000, ago=2 * DAY + number * MINUTE)
    assert trigger_and_message(world.decide())[0] == trigger


@pytest.mark.parametrize(("plan", "message"), [("member", "member_gift"), ("guest", "free_delivery")])
def test_s2_18_s2_32_seven_days_of_silence_bring_the_incentive_of_the_segment(world, plan, message):
    user_id = world.person(plan=plan)
    world.happens(user_id, "login", times=3, ago=7 * DAY)
    assert trigger_and_message(world.decide()) == ("silent_for_a_week", message)


def test_s1_15_who_opted_out_looks_silent_and_is_not_written_to_for_it(world):
    world.happens(world.person(plan="guest", tracking=False), "login", times=3, ago=7 * DAY)
    decision = world.decide()
    assert (decision["message"], decision["reason"]["code"]) == (None, "held_by_untracked")


def test_s2_18_six_days_are_no_week(world):
    world.happens(world.person(plan="guest"), "login", times=3, ago=7 * DAY - timedelta(seconds=1))
    assert world.decide()["message"] is None


@pytest.mark.parametrize(
    ("hours", "set_up", "message"),
    [
        (48, None, "set_up_together"),
        (14 * 24, None, "set_up_together"),
        (47, None, None),
        (14 * 24 + 1, None, None),
        (48, 30, None),  # within the 48 hours
        (48, 100, None),  # while the trial went on
    ],
)
def test_s2_34_a_trial_that_ended_without_the_key_integration_in_48_hours_brings_benefits_and_support(world, hours, set_up, message):
    user_id = shopper(world)
    world.happens(user_id, "trial_ended", ago=timedelta(hours=hours))
    if set_up is not None:
        world.happens(user_id, "key_integration_set_up", ago=timedelta(hours=set_up))
    assert trigger_and_message(world.decide()) == (("trial_without_integration", message) if message else (None, None))


def test_s2_34_it_is_said_once(world):
    world.happens(shopper(world), "trial_ended", ago=timedelta(hours=48))
    assert world.decide()["message"]["id"] == "set_up_together"
    for _ in range(4):
        world.later(days=2)
        assert (world.decide()["message"] or {}).get("id") != "set_up_together"


@pytest.mark.parametrize(
    ("points", "message"), [([-30], "make_it_right"), ([-29], None), ([-90, 20, -20], "make_it_right"), ([-90, 40], None), ([], None)]
)
def test_s2_03_the_sentiment_of_tickets_and_answers_is_a_signal(world, points, message):
    user_id = shopper(world)
    for number, value in enumerate(points):
        world.happens(user_id, "feedback_scored", value=value, ago=DAY + number * MINUTE)
    output = world.decide()
    assert trigger_and_message(output) == (("unfriendly_feedback", message) if message else (None, None))
    if message:
        assert output["cause"]["group"] == "displeased"


def test_s2_03_feedback_of_more_than_a_week_ago_is_past(world):
    world.happens(shopper(world), "feedback_scored", value=-100, ago=7 * DAY)
    assert world.decide()["message"] is None


def test_s2_03_who_is_displeased_is_asked_why_rather_than_pressed(world):
    user_id = shopper(world)
    fills_the_cart(world, user_id, ago=20 * MINUTE)
    world.happens(user_id, "feedback_scored", value=-80, ago=DAY)
    assert trigger_and_message(world.decide()) == ("unfriendly_feedback", "make_it_right")


@pytest.mark.parametrize(("seconds", "message"), [(120, "one_question"), (121, None)])
def test_s2_19_one_question_within_two_minutes_of_a_purchase(world, seconds, message):
    world.happens(shopper(world), "purchase", value=3_000, ago=timedelta(seconds=seconds))
    assert trigger_and_message(world.decide())[1] == message


def test_s2_19_the_question_is_about_what_was_done_whatever_weighs_on_the_risk(world):
    world.scorer.said_risk, world.scorer.said_contributions = 0.9, {"cart": 1.0}
    world.happens(shopper(world), "purchase", value=3_000)
    assert trigger_and_message(world.decide()) == ("survey_after_purchase", "one_question")


@pytest.mark.parametrize(("seconds", "message"), [(120, "was_it_solved"), (121, None)])
def test_s2_19_one_question_within_two_minutes_of_a_resolution(world, seconds, message):
    world.happens(shopper(world), "ticket_closed", ago=timedelta(seconds=seconds))
    assert trigger_and_message(world.decide())[1] == message


@pytest.mark.parametrize(("answer", "message"), [("not_easy", "what_was_in_the_way"), ("easy", None)])
def test_s2_19_the_answer_decides_whether_there_is_a_follow_up(world, answer, message):
    user_id = shopper(world)
    world.happens(user_id, "purchase", value=3_000)
    assert world.decide()["message"]["id"] == "one_question"
    world.later(seconds=40)
    world.happens(user_id, "survey_answered", subject=answer)
    assert trigger_and_message(world.decide())[1] == message
    world.later(minutes=5, seconds=1)
    assert world.decide()["message"] is None


@pytest.mark.parametrize(("kind", "content"), [("purchase", {"value": 3_000}), ("ticket_closed", {})])
def test_s2_19_who_answered_lately_is_not_asked_again_about_either(world, kind, content):
    user_id = shopper(world)
    world.happens(user_id, "survey_answered", subject="easy", ago=3 * DAY)
    world.happens(user_id, kind, **content)
    assert world.decide()["message"] is None


def test_s2_19_who_answered_lately_is_not_asked_again(world):
    user_id = shopper(world)
    world.happens(user_id, "survey_answered", subject="easy", ago=3 * DAY)
    world.happens(user_id, "purchase", value=3_000)
    assert arm(world.decide(), "assist/in_app")["blocked_by"] == "held_by_survey_answered"


@pytest.mark.parametrize(("watched_ms", "message"), [(60_000, "longer_trial"), (59_999, None)])
def test_s2_21_a_minute_of_the_demo_extends_the_trial(world, watched_ms, message):
    world.happens(shopper(world), "demo_watched", value=watched_ms, ago=DAY)
    assert trigger_and_message(world.decide())[1] == message


def test_s2_17_a_high_score_alone_is_enough(world):
    world.scorer.said_risk = 0.7
    assert world.decide(shopper(world))["reason"]["code"] == "sent_by_high_risk"


def test_who_just_bought_is_not_pressed(world):
    world.scorer.said_risk = 0.9
    world.happens(shopper(world), "purchase", value=100, ago=DAY - timedelta(seconds=1))
    assert world.decide()["reason"]["code"] == "held_by_just_bought"


def test_the_shop_measures_what_contacting_is_worth_all_the_time(product, shipped):
    world = World(product, shipped, scorer=FixedScorer(version="shop/1", said_risk=0.9))
    groups = set()
    for number in range(60):
        output = world.decide(shopper(world, f"user-{number}"))
        group = output["experiments"]["holdout"]
        groups.add(group)
        assert (output["reason"]["code"] == "holdout") is (group == "held_out")
        assert sum(each["propensity"] for each in output["arms"]) == pytest.approx(1.0)
        if group == "treated":
            assert arm(output, "outreach/email")["propensity"] == pytest.approx(0.99)
    assert groups == {"held_out", "treated"}
