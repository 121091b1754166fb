"""Rows of the requirements about segments, on the shipped onboarding product and through the whole of serving."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest

from features.core.event import to_us
from serving.replay import Replayer
from tests.serving_world import NOON

DAY = timedelta(days=1)


def uses_features(world, user_id, names, **content):
    for name in names:
        world.happens(user_id, "feature_used", subject=name, **content)


@pytest.mark.parametrize(("names", "segment"), [(["report", "share", "import"], "engaged"), (["report", "share", "share"], "at_risk")])
def test_s1_07_three_features_within_48_hours_are_engaged_fewer_at_risk(world, names, segment):
    uses_features(world, world.person(), names, ago=timedelta(hours=40))
    assert world.decide()["segments"]["activation"] == segment


def test_s1_07_the_first_feature_leaves_the_window_after_48_hours(world):
    uses_features(world, world.person(), ["report"], ago=timedelta(hours=47))
    uses_features(world, "ada", ["share", "import"])
    assert world.decide()["segments"]["activation"] == "engaged"
    world.later(hours=1)
    assert world.decide()["segments"]["activation"] == "at_risk"


@pytest.mark.parametrize(("features", "message"), [(["report"], "next_step"), (["report", "share", "import"], "whats_next")])
def test_s1_08_the_segment_selects_the_pathway(world, features, message):
    user_id = world.person()
    world.happens(user_id, "login", ago=timedelta(minutes=20))
    world.happens(user_id, "page_view", times=9, subject="home", ago=timedelta(minutes=1))
    uses_features(world, user_id, features, ago=timedelta(minutes=1))
    world.scorer.said_contributions = {"slow_start": 1.0}
    output = world.decide()
    assert output["trigger"] == "slow_first_result"
    assert output["message"]["id"] == message


def test_s2_04_thirty_days_without_a_login_are_dormant(world):
    user_id = world.person()
    world.happens(user_id, "signup", ago=40 * DAY)
    world.happens(user_id, "login", ago=30 * DAY - timedelta(seconds=1))
    world.happens(user_id, "login_failed", ago=DAY)  # being refused at the door is no login
    assert world.decide()["segments"]["lifecycle"] == "active"
    world.later(seconds=1)
    assert world.decide()["segments"]["lifecycle"] == "dormant"


@pytest.mark.parametrize(
    ("signed_up", "logs_in", "segment"), [(3, False, "newcomer"), (10, False, "not_started"), (10, True, "active"), (31, False, "dormant")]
)
def test_s2_04_the_lifecycle_begins_with_the_first_event(world, signed_up, logs_in, segment):
    user_id = world.person()
    world.happens(user_id, "signup", ago=signed_up * DAY)
    if logs_in:
        world.happens(user_id, "login", ago=DAY)
    assert world.decide()["segments"]["lifecycle"] == segment


def test_s2_04_of_one_user_demographics_behaviour_lifecycle_and_engagement(world):
    user_id = world.person(plan="team", device="ios")
    for days_ago in (12, 2, 1, 0):
        world.happens(user_id, "login", ago=days_ago * DAY)
        world.happens(user_id, "key_action", times=2, ago=days_ago * DAY, value=60_000)
    output = world.decide()
    assert output["segment"] == "team_mobile_ios"
    assert output["segments"] == {
        "activation": "at_risk",
        "engagement": "high_engagement",
        "lifecycle": "active",
        "value": "high_value",
    }


def test_s2_05_real_time_segments_change_with_the_next_event_and_with_silence(world):
    user_id = world.person()
    uses_features(world, user_id, ["report", "share"])
    assert world.decide()["segments"]["activation"] == "at_risk"
    uses_features(world, user_id, ["import"])
    assert world.decide()["segments"]["activation"] == "engaged"
    world.later(days=15)  # nothing arrives, nothing is written
    segments = world.decide()["segments"]
    assert (segments["activation"], segments["engagement"]) == ("at_risk", "lapsed")


def test_s2_05_real_time_the_segment_of_the_profile_changes_with_it(world):
    user_id = world.person(plan="free")
    assert world.decide()["segment"] == "free"
    world.profiles.write({user_id: {"plan": "enterprise"}}, changed_us=to_us(world.now) + 1)
    assert world.decide()["segment"] == "enterprise"


@pytest.mark.parametrize(
    ("days_ago", "results_ms", "segment"),
    [
        ((2, 1, 0), 300_000, "high_engagement"),
        ((2, 1, 0), 900_000, "at_risk"),  # slow to respond
        ((6, 5, 4), 300_000, "at_risk"),  # not recent
        ((1, 0), 300_000, "at_risk"),  # not frequent
        ((18, 17, 16), 300_000, "lapsed"),
    ],
)
def test_s3_03_engagement_follows_recency_frequency_and_response_time(world, days_ago, results_ms, segment):
    user_id = world.person()
    for days in days_ago:
        world.happens(user_id, "login", ago=days * DAY)
        world.happens(user_id, "key_action", ago=days * DAY, value=results_ms)
    assert world.decide()["segments"]["engagement"] == segment


def test_segments_are_in_the_receipt_and_replay_with_it(world):
    uses_features(world, world.person(signup_at="2026-02-20T12:00:00Z"), ["report", "share", "import"])
    world.scorer.said_segment = "s3"
    receipt = world.answer().receipt
    recorded = orjson.loads(receipt)
    assert recorded["inputs"]["segments"] == recorded["output"]["segments"]
    assert recorded["inputs"]["segments"] | {"activation": "engaged", "learned": "s3"} == recorded["inputs"]["segments"]
    assert recorded["inputs"]["ages"] == {"seconds_since_signup_at": 10 * 86400.0}
    report = Replayer(archive=world.archive, ledger=world.ledger, scorer=world.scorer, program=world.program).replay(receipt)
    assert report.is_same


def test_of_a_user_who_cannot_be_read_no_segment_is_assumed(world):
    class DeadStore:
        def read(self, user_ids):
            from features.ports import StoreError

            raise StoreError("the store is away")

    user_id = world.person()
    service = world.service_with(world.service.policy, timelines=DeadStore())
    output = orjson.loads(service.decide_one(user_id, now_us=to_us(NOON)).output)
    assert (output["segment"], output["segments"]) == ("team_web", {})
    service = world.service_with(world.service.policy, profiles=DeadStore())
    output = orjson.loads(service.decide_one(user_id, now_us=to_us(NOON)).output)
    assert output["segment"] is None
    assert output["segments"]["activation"] == "at_risk"
