"""The demo is honest where chance decides: it says so, says what the policy would have done, and lets the same happen to somebody else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest

from serving.cli.demo.chance import left_to_chance
from serving.cli.demo.personas import personas, stand_ins
from serving.cli.demo.play import Played, first_of_its_own
from serving.cli.demo.show import panel
from serving.decision.chance import draw
from serving.decision.policy import Exploration, Holdout
from serving.policy_file import load_policy
from serving.policy_file.document import with_hash
from tests.serving_world import ROOT
from tests.unit.serving.test_demo_show import printed, words

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def in_trouble(world, user_id="lena"):
    world.person(user_id)
    world.happens(user_id, "login_failed", times=3)


def answered(world, policy, user_id="lena"):
    world.service = world.service_with(policy)
    in_trouble(world, user_id)
    return world.answer(user_id)


@pytest.fixture
def policy(world):
    return world.service.policy


def test_nothing_is_said_where_chance_changed_nothing(world, policy):
    assert left_to_chance(answered(world, policy).receipt, policy) == ""
    world.person("nora", consent=False)
    held_out = with_hash(replace(policy, holdout=Holdout(share=0.999, salt="2026")))
    world.service = world.service_with(held_out)
    assert left_to_chance(world.answer("nora").receipt, held_out) == ""  # nothing would be sent anyway


def test_who_is_held_out_is_told_with_what_the_policy_would_have_done(world, policy):
    held_out = with_hash(replace(policy, holdout=Holdout(share=0.999, salt="2026")))
    answer = answered(world, held_out)
    said = left_to_chance(answer.receipt, held_out)
    assert "in 100% of cases" in said
    assert said.endswith("The policy's own: a message by in_app.")
    assert orjson.loads(answer.output)["reason"]["code"] == "holdout"


@pytest.mark.parametrize("exploration", [Exploration(arm_share=1.0), Exploration(message_share=1.0)])
def test_what_was_drawn_is_told_where_it_is_not_what_the_policy_would_have_done(world, policy, exploration):
    drawn = with_hash(replace(policy, exploration=exploration))
    said = set()
    for number in range(40):
        answer = answered(world, drawn, f"lena-{number}")
        output, chance = orjson.loads(answer.output), left_to_chance(answer.receipt, drawn)
        own = output["message"] is not None and output["message"]["id"] == "secure_reset"
        assert bool(chance) is not own
        said |= {chance}
    assert len(said) == 2  # nothing to tell, or this:
    assert any(
        one.endswith("in 100% of cases, so that the worth of contacting is known. The policy's own: secure_reset by in_app.")
        for one in said
    )


def test_it_stands_in_the_panel_and_another_decision_is_shown_whole(world, policy):
    answer = answered(world, policy)
    own = Played(headline="Own.", answer=answer.output, receipt=answer.receipt)
    drawn = replace(own, chance="It decided here.")
    assert "chance It decided here." in words(printed(panel(drawn)))
    assert "chance It" not in words(printed(panel(own)))
    assert first_of_its_own([drawn, own]) is own
    assert first_of_its_own([drawn, drawn]) is drawn


def test_everybody_has_others_to_whom_the_same_happens():
    for persona in personas():
        others = list(stand_ins(persona))
        assert len({persona.user_id, *(other.user_id for other in others)}) == 5
        for other in others:
            mine, theirs = ([{**item, "user_id": "", "event_id": ""} for item in one.items(NOON)] for one in (persona, other))
            assert mine == theirs
            assert {item["user_id"] for item in other.items(NOON)} == {other.user_id}
            assert f"The same as to {persona.user_id}, about whom chance decided." in other.headline


def test_the_people_of_the_demo_are_treated_under_the_shipped_policy(onboarding):
    holdout = load_policy(ROOT / "products" / "onboarding" / "policy.yaml", onboarding).holdout
    people = [one for persona in personas() for one in (persona, *stand_ins(persona))]
    assert all(draw(f"holdout:{holdout.salt}", one.user_id) >= holdout.share for one in people)
