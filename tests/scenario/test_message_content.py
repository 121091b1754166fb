"""Rows of the requirements about what a message carries beside its text, in the products that are shipped."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import orjson
import pytest

from features.declarations.product_file import load_product
from serving.decision.policy import Exploration
from serving.policy_file import load_policy
from serving.policy_file.document import with_hash
from serving.replay import Outcome, Replayer
from tests.serving_world import ROOT, FixedScorer, World

MINUTE = timedelta(minutes=1)
PRODUCTS = ("onboarding", "shop")


@pytest.fixture(scope="module")
def shop():
    return load_product(ROOT / "products" / "shop")


@pytest.fixture(scope="module")
def shop_policy(shop):
    return load_policy(ROOT / "products" / "shop" / "policy.yaml", shop)


@pytest.fixture
def mall(shop, shop_policy):
    """The rules of the shop without chance, which would decide otherwise now and then."""
    certain = with_hash(replace(shop_policy, holdout=None, exploration=Exploration()))
    return World(shop, certain, scorer=FixedScorer(version="shop/1", said_risk=0.2))


def shopper(world, **attributes):
    world.person("ada", **{"plan": "guest", "device": None, **attributes})
    world.happens("ada", "login", times=3, ago=timedelta(days=6))


def leaves_a_cart(world, **attributes):
    """Twenty minutes ago; what is decided about it now."""
    shopper(world, **attributes)
    world.happens("ada", "added_to_cart", subject="boots", value=3_000, ago=20 * MINUTE)
    return world.decide()["message"]


@pytest.mark.parametrize(("preferred", "id_", "items"), [("email", "cart_saved", 3), ("push", "cart_push", 1)])
def test_s3_10_an_abandoned_cart_has_its_sender_fetch_recommendations_when_it_sends(mall, preferred, id_, items):
    message = leaves_a_cart(mall, app_installed=True, preferred_channel=preferred)
    assert (message["id"], message["blocks"]["recommendations"]) == (id_, {"items": items, "images": True})


def test_s3_10_at_night_the_order_waits_and_says_what_to_fetch_then_and_no_item_of_now(mall):
    mall.now += timedelta(hours=11)
    leaves_a_cart(mall)
    (order,) = map(orjson.loads, mall.ledger.outbox("shop"))
    assert order["send_at"] == "2026-03-03T08:00:00Z"
    assert order["blocks"] == {"items_left": {"items": 5, "images": True}, "recommendations": {"items": 3, "images": True}}


def test_s2_22_the_name_and_the_items_left_with_their_image_stand_in_the_message(mall):
    image = "https://example.com/boots.jpg"
    message = leaves_a_cart(mall, first_name="Ada", cart_items="two pairs of boots", cart_image_url=image)
    assert message["body"].startswith("Hello Ada, your cart still has two pairs of boots, at the same price.")
    assert message["content"]["image_url"] == image
    assert message["blocks"]["items_left"] == {"items": 5, "images": True}


def test_s2_22_who_told_nothing_gets_words_that_fit_and_no_image(mall):
    message = leaves_a_cart(mall)
    assert message["body"].startswith("Hello there, your cart still has what you chose, at the same price.")
    assert message["content"] == {"action": "Go on", "action_url": "https://example.com/cart", "image_url": ""}


@pytest.mark.parametrize(("attributes", "code"), [({"discount_code": "ADA10"}, "ADA10"), ({}, "WELCOME")])
def test_s2_22_the_discount_code_is_the_persons_own(mall, attributes, code):
    shopper(mall, **attributes)
    mall.happens("ada", "page_view", subject="pricing", times=3, ago=timedelta(hours=1))
    message = mall.decide()["message"]
    assert message["content"] == {"discount_code": code}
    assert f"the code {code} takes" in message["body"]


def test_s2_22_s3_14_recent_activity_is_named_and_reviews_and_pictures_are_fetched(mall):
    shopper(mall, last_viewed="a green coat")
    mall.happens("ada", "product_viewed", subject="coat", value=20_000, ago=6 * MINUTE)
    mall.happens("ada", "product_left", subject="coat", value=60_001, ago=5 * MINUTE)
    message = mall.decide()["message"]
    assert (message["id"], message["content"]) == ("second_look", {"last_viewed": "a green coat"})
    assert "reviews and sizes of a green coat" in message["body"]
    assert message["blocks"] == {"recently_viewed": {"items": 4, "images": True}, "reviews": {"items": 3}}


def test_s3_14_answer_outbox_and_receipt_hold_the_same_content_and_replay_gives_the_same_bytes(mall):
    shopper(mall, cart_image_url="https://example.com/boots.jpg")
    mall.happens("ada", "added_to_cart", subject="boots", value=3_000, ago=20 * MINUTE)
    answer = mall.answer()
    message, (order,) = orjson.loads(answer.output)["message"], map(orjson.loads, mall.ledger.outbox("shop"))
    recorded = orjson.loads(answer.receipt)["output"]["message"]
    assert message["content"] == order["content"] == recorded["content"]
    assert message["blocks"] == order["blocks"] == recorded["blocks"]
    replayed = Replayer(archive=mall.archive, ledger=mall.ledger, scorer=mall.scorer, program=mall.program).replay(answer.receipt)
    assert (replayed.decision.outcome, replayed.output) == (Outcome.SAME, answer.output)


def helped(world):
    world.scorer.said_risk = 0.1
    return world.decide()["message"]


def test_s0_23_who_gave_up_signing_in_gets_a_video_of_half_a_minute_with_its_checklist(world):
    world.happens(world.person(), "login_failed", times=2, ago=timedelta(seconds=45))
    message = helped(world)
    assert message["id"] == "sign_in_walkthrough"
    assert message["content"] == {
        "action": "Try again",
        "video_url": "https://example.com/videos/what-sign-in-needs",
        "video_seconds": "30",
        "checklist": "the address you signed up with, the code from your phone, photo ID if we ask for it",
    }


def test_s0_24_who_closed_the_first_tours_gets_an_explainer_of_15_seconds(world):
    world.happens(world.person(), "login")
    world.happens("ada", "feature_skipped", times=2)
    message = helped(world)
    assert (message["id"], message["content"]["video_seconds"]) == ("feature_worth", "15")
    assert message["content"]["video_url"]


def test_s0_24_s0_27_who_skipped_the_setup_too_gets_help_with_it_and_the_very_steps(world):
    world.happens(world.person(), "login")
    world.happens("ada", "feature_skipped", times=2)
    world.happens("ada", "step_skipped", times=2, subject="invite")
    message = helped(world)
    assert message["id"] == "finish_setup"
    assert message["content"]["video_url"]
    assert message["blocks"] == {"skipped_steps": {"items": 5}}


def test_s0_26_a_failed_sign_in_brings_text_with_a_call_to_action_and_a_video_of_12_seconds(world):
    world.happens(world.person(), "login_failed", times=3)
    message = helped(world)
    assert (message["content"]["action"], message["content"]["video_seconds"]) == ("Send me the link", "12")


@pytest.mark.parametrize(
    ("attributes", "checklist"),
    [
        ({"missing_fields": "date of birth, bank account"}, "date of birth, bank account"),
        ({}, "photo ID, proof of address, company number"),
    ],
)
def test_s0_26_the_demo_of_a_minute_comes_with_the_very_fields_that_are_missing(world, attributes, checklist):
    world.happens(world.person(**attributes), "form_failed", times=2, subject="payout", value=2)
    message = helped(world)
    assert (message["id"], message["content"]["video_seconds"]) == ("required_fields", "60")
    assert message["content"]["checklist"] == checklist
    assert f"Checklist: {checklist}." in message["body"]


def test_s4_13_three_clicks_on_save_bring_the_word_that_it_is_saved_and_the_way_to_the_field(world):
    world.person()
    world.happens("ada", "cursor_frozen", value=500)
    world.happens("ada", "save_clicked", times=3)
    message = helped(world)
    assert (message["id"], message["content"]) == ("autosave_notice", {"action": "Go to it"})


@pytest.mark.parametrize("name", PRODUCTS)
def test_s2_25_what_the_button_says_stands_in_the_body_too_wherever_the_body_has_buttons(name):
    product = load_product(ROOT / "products" / name)
    messages = load_policy(ROOT / "products" / name / "policy.yaml", product).messages
    both = [(message.content["action"], message.body) for message in messages if "action" in message.content and "[" in message.body]
    assert both
    assert all(f"[{action}]" in body for action, body in both)


def test_s2_25_on_every_channel_a_cart_says_the_same(shop_policy):
    of_carts = [message for message in shop_policy.messages if message.campaign == "carts"]
    assert len({message.channel for message in of_carts}) == 3
    for name in ("action", "action_url"):
        assert len({message.content[name] for message in of_carts}) == 1


def test_s2_25_a_video_is_as_long_as_the_text_beside_it_says(shipped_policy):
    with_video = [message for message in shipped_policy.messages if "video_url" in message.content]
    assert {message.content["video_seconds"] for message in with_video} == {"12", "15", "30", "60"}
    announced = [message for message in with_video if "[Watch]" in message.body]
    assert {message.id for message in announced} == {"sign_in_walkthrough", "required_fields", "feature_worth"}
    assert all(f"{message.content['video_seconds']} second" in message.body for message in announced)


def test_s3_14_a_text_that_comes_to_spaces_alone_is_empty_for_this_user(mall, shop_policy):
    told = {"both": " {first_name|} {last_viewed|}\n", "one": "{first_name|}, hello "}
    changed = tuple(replace(message, content=told) for message in shop_policy.messages)
    mall.service = mall.service_with(with_hash(replace(shop_policy, messages=changed, holdout=None, exploration=Exploration())))
    assert leaves_a_cart(mall)["content"] == {"both": "", "one": ", hello "}
    mall.later(days=3)
    assert leaves_a_cart(mall, first_name="Ada", last_viewed="")["content"] == {"both": " Ada \n", "one": "Ada, hello "}
