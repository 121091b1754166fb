"""What people are told of the moment: every slot with what is expected of it, and what chance had to choose from."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from rich.console import Console

from models.timing.benefit import Advice
from serving.cli.brief import brief
from serving.cli.moments import advice, curve_line, curve_table, delays_line
from serving.cli.story import story
from serving.decision.policy import Exploration
from tests.serving_world import World
from tests.unit.serving.test_timing import curve, patient

HOUR = timedelta(hours=1)


def printed(thing, width=80):
    file = io.StringIO()
    Console(file=file, width=width, highlight=False).print(thing)
    return file.getvalue()


@pytest.fixture
def waiting(onboarding, shipped_policy, world):
    """Ada's e-mail waits for four o'clock."""
    return patient(onboarding, shipped_policy, world.scorer, said_curve=curve(0.1)).answer("ada")


@pytest.fixture
def untried(onboarding, shipped_policy, world):
    return patient(onboarding, shipped_policy, world.scorer, said_curve=curve(None, action=None, advice=Advice.NOT_ENOUGH_DATA)).answer(
        "ada"
    )


def drawn(onboarding, policy, world, *, hours, share=1.0):
    chance = Exploration(delay_share=share, delays=tuple(hour * HOUR for hour in hours))
    world = World(onboarding, replace(policy, exploration=chance), scorer=world.scorer)
    world.person("ada", timezone="Europe/Berlin")
    world.happens("ada", "login", times=12, ago=timedelta(days=10))
    return orjson.loads(world.answer("ada").output)


def test_a_better_slot_is_told_with_what_it_takes_away(waiting):
    output = orjson.loads(waiting.output)
    assert curve_line(output) == (
        "A later slot is expected to help clearly more. Still away: now 90%, after 4h 90%. "
        "Takes away of the risk: now +0.100, after 4h +0.200."
    )
    assert advice(output) in " ".join(printed(brief(waiting.receipt), width=300).split())


def test_what_no_trial_has_shown_is_not_known(untried):
    output = orjson.loads(untried.output)
    assert curve_line(output).startswith("Whether waiting would help more is not known")
    assert "Takes away" not in curve_line(output)
    assert "not known" in printed(curve_table(output))


@pytest.mark.parametrize("width", [80, 120])
def test_every_slot_stands_on_a_line_of_its_own(waiting, width):
    text = printed(story(orjson.loads(waiting.output)), width)
    (now,) = [line for line in text.splitlines() if "now " in line and "03-02 12:00" in line]
    assert "90%" in now and "1.5x" in now and "+0.10 [+0.00, +0.30]" in now and "yes" in now  # noqa: PT018
    (later,) = [line for line in text.splitlines() if "after 4h" in line]
    assert "03-02 16:00" in later and "+0.20" in later  # noqa: PT018


def test_a_slot_that_is_not_allowed_says_why(onboarding, shipped_policy, world):
    world = patient(onboarding, shipped_policy, world.scorer, said_curve=curve(0.1))
    world.person("ada", timezone="Asia/Tokyo")
    text = printed(story(orjson.loads(world.answer("ada").output)))
    (later,) = [line for line in text.splitlines() if "after 4h" in line]
    assert "no (quiet_hours)" in later


def test_without_a_curve_nothing_is_told_of_slots(world):
    world.person("ada")
    world.happens("ada", "login", times=12, ago=timedelta(days=10))
    answer = world.answer("ada")
    output = orjson.loads(answer.output)
    assert (advice(output), curve_line(output), curve_table(output), delays_line(output)) == (None,) * 4
    assert "moment" not in printed(brief(answer.receipt))
    world.scorer.said_risk = 0.0
    assert curve_line(orjson.loads(world.answer("ada").output)) is None  # no message, no moment


def test_what_chance_could_choose_is_told_with_its_chance(onboarding, shipped_policy, world):
    output = drawn(onboarding, shipped_policy, world, hours=(0, 5, 11))
    assert delays_line(output) == "Chance chose among now (50%, the policy's own), after 5h (50%), after 11h (quiet_hours)."
    assert delays_line(output) in " ".join(printed(story(output), width=300).split())


def test_a_moment_of_the_policys_own_is_not_said_to_be_drawn(onboarding, shipped_policy, world):
    line = delays_line(drawn(onboarding, shipped_policy, world, hours=(0, 5), share=1e-9))
    assert line == "Left to the policy; chance could have chosen among now (100%, the policy's own), after 5h (0%)."
