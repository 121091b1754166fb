"""A decision waits for a better hour where the model knows one, and its receipt replays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import orjson

from models.timing.benefit import Advice, Curve, SlotBenefit
from serving.decision.policy import TimingRule
from serving.policy_file.document import with_hash
from serving.replay import Replayer
from tests.serving_world import World

PATIENT = TimingRule(delays=(timedelta(0), timedelta(hours=4)))


def curve(gain, *, advice=Advice.BETTER_SLOT):
    slots = [
        SlotBenefit(
            delay_s=delay_s,
            allowed=True,
            code="ok",
            still_away=0.9,
            receptive=1.5,
            expected=0.1 + one,
            low=0.0,
            high=0.3,
            gain=one,
            gain_se=0.01 if one else 0.0,
        )
        for delay_s, one in ((0.0, 0.0), (14_400.0, gain))
    ]
    return Curve(slots=tuple(slots), advice=advice, chosen=1)


def decided(onboarding, policy, scorer, **said):
    world = World(onboarding, with_hash(replace(policy, timing=PATIENT)), scorer=replace(scorer, **said))
    world.person("ada")
    world.happens("ada", "login", times=12, ago=timedelta(days=10))
    answer = world.answer("ada")
    assert Replayer(archive=world.archive).replay(answer.receipt).output == answer.output
    return orjson.loads(answer.output), world


def test_the_email_waits_for_the_better_slot_and_counts_there(onboarding, shipped_policy, world):
    output, world = decided(onboarding, shipped_policy, world.scorer, said_curve=curve(0.1))
    assert (output["moment"]["send_at"], output["moment"]["advice"]) == ("2026-03-02T16:00:00Z", "better_slot")
    assert [slot["expected"] for slot in output["moment"]["curve"]] == [0.1, 0.2]
    (contact,) = world.ledger.contacts("onboarding", "ada", since_us=0)
    assert contact.at_us == 1_772_467_200_000_000


def test_without_timing_in_the_model_it_goes_as_early_as_it_may(onboarding, shipped_policy, world):
    output, _ = decided(onboarding, shipped_policy, world.scorer)
    assert (output["moment"]["send_at"], output["moment"]["advice"], output["moment"]["curve"]) == ("2026-03-02T12:00:00Z", None, [])


def test_a_curve_that_was_never_shown_to_matter_moves_nothing(onboarding, shipped_policy, world):
    output, _ = decided(onboarding, shipped_policy, world.scorer, said_curve=curve(0.1, advice=Advice.NOT_ENOUGH_DATA))
    assert (output["moment"]["send_at"], output["moment"]["advice"]) == ("2026-03-02T12:00:00Z", "not_enough_data")
