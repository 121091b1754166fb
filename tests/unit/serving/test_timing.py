"""A decision waits for a better hour where the model knows one of its message, and its receipt replays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import orjson
import pytest

from models.timing.benefit import Advice, Curve, SlotBenefit
from serving.adapters.memory_ledger import MemoryLedger
from serving.decision.policy import Exploration, TimingRule
from serving.policy_file.document import with_hash
from serving.ports import CommitResult
from serving.replay import Outcome, Replayer
from tests.serving_world import World

PATIENT = TimingRule(delays=(timedelta(0), timedelta(hours=4)))
AT_ONCE, IN_FOUR_HOURS = "2026-03-02T12:00:00Z", "2026-03-02T16:00:00Z"


def curve(gain, *, action="silence", advice=Advice.BETTER_SLOT):
    """Without a gain there is no effect to tell."""
    slots = [
        SlotBenefit(
            delay_s=delay_s,
            allowed=True,
            code="ok",
            still_away=0.9,
            receptive=1.5,
            expected=None if one is None else 0.1 + one,
            low=None if one is None else 0.0,
            high=None if one is None else 0.3,
            gain=one,
            gain_se=0.01 if one else one,
        )
        for delay_s, one in ((0.0, None if gain is None else 0.0), (14_400.0, gain))
    ]
    return Curve(slots=tuple(slots), action=action, advice=advice, chosen=1)


def trial_of(**gains):
    """A model that learned from a trial of these actions what each gains by four hours of waiting."""

    def said(names):
        action = next((name for name in names if name in gains), None)
        return curve(None, action=None, advice=Advice.NOT_ENOUGH_DATA) if action is None else curve(gains[action], action=action)

    return said


def patient(onboarding, policy, scorer, *, exploration=None, **said):
    policy = replace(policy, timing=PATIENT, exploration=exploration or Exploration())
    world = World(onboarding, with_hash(policy), scorer=replace(scorer, curves=[], **said))
    world.person("ada")
    world.happens("ada", "login", times=12, ago=timedelta(days=10))
    return world


def decided(world, user_id="ada"):
    """The output and the inputs of the receipt, whose decision, score and features replay."""
    answer = world.answer(user_id)
    replayer = Replayer(archive=world.archive, ledger=world.ledger, scorer=world.scorer, program=world.program)
    report = replayer.replay(answer.receipt)
    assert report.output == answer.output
    assert [part.outcome for part in (report.decision, report.score, report.features)] == [Outcome.SAME] * 3
    return orjson.loads(answer.output), orjson.loads(answer.receipt)["inputs"]


def when(output):
    return output["moment"]["send_at"], output["moment"]["advice"]


def expected(output):
    return [slot["expected"] for slot in output["moment"]["curve"]]


def test_the_email_waits_for_the_better_slot_and_counts_there(onboarding, shipped_policy, world):
    world = patient(onboarding, shipped_policy, world.scorer, said_curve=curve(0.1))
    output, _ = decided(world)
    assert when(output) == (IN_FOUR_HOURS, "better_slot")
    assert expected(output) == [0.1, 0.2]
    (contact,) = world.ledger.contacts("onboarding", "ada", since_us=0)
    assert contact.at_us == 1_772_467_200_000_000


def test_without_timing_in_the_model_it_goes_as_early_as_it_may(onboarding, shipped_policy, world):
    output, _ = decided(patient(onboarding, shipped_policy, world.scorer))
    assert (*when(output), output["moment"]["curve"]) == (AT_ONCE, None, [])


def test_a_curve_that_was_never_shown_to_matter_moves_nothing(onboarding, shipped_policy, world):
    output, _ = decided(patient(onboarding, shipped_policy, world.scorer, said_curve=curve(0.1, advice=Advice.NOT_ENOUGH_DATA)))
    assert when(output) == (AT_ONCE, "not_enough_data")


@pytest.mark.parametrize(
    ("gains", "moment", "effects"),
    [
        ({"login_friction": 0.9, "silence": 0.1}, (IN_FOUR_HOURS, "better_slot"), [0.1, 0.2]),  # the second action: the cause
        ({"silence": 0.0, "we_kept_your_place": 0.1}, (IN_FOUR_HOURS, "better_slot"), [0.1, 0.2]),  # the message before its cause
        ({"silence": 0.1, "we_kept_your_place": 0.0}, (AT_ONCE, "no_better_time_than_now"), [0.1, 0.1]),
        ({"login_friction": 0.9, "checking_in": 0.9}, (AT_ONCE, "not_enough_data"), [None, None]),  # of others alone
    ],
)
def test_the_curve_is_that_of_the_message_sent_whatever_else_was_tried(onboarding, shipped_policy, world, gains, moment, effects):
    world = patient(onboarding, shipped_policy, world.scorer, said_curve=trial_of(**gains))
    output, inputs = decided(world)
    assert output["message"]["id"] == "we_kept_your_place"
    assert (when(output), expected(output)) == (moment, effects)
    assert all(slot["still_away"] == 0.9 for slot in output["moment"]["curve"])
    assert inputs.get("timing_of") == (None if effects == [None, None] else "we_kept_your_place")
    assert world.scorer.curves == [("we_kept_your_place", "silence")]


def test_of_two_open_channels_the_curve_is_that_of_what_goes_out(onboarding, shipped_policy, world):
    """A push goes first, and is about something else than the e-mail would be."""
    said = {"said_curve": trial_of(silence=0.9, push_come_back=0.1), "said_contributions": {"silence": 1.0}}
    world = patient(onboarding, shipped_policy, world.scorer, **said)
    world.person("ada", push_opt_in=True, app_installed=True)
    output, inputs = decided(world)
    assert (output["message"]["id"], inputs["timing_of"]) == ("push_come_back", "push_come_back")
    assert (when(output), expected(output)) == ((IN_FOUR_HOURS, "better_slot"), [0.1, 0.2])


def test_a_message_that_chance_drew_goes_by_a_curve_of_its_own(onboarding, shipped_policy, world):
    """Of the trial's actions only two are known: one gains by waiting, the other does not."""
    exploration = Exploration(message_share=1.0)
    world = patient(onboarding, shipped_policy, world.scorer, said_curve=trial_of(silence=0.1, skipped_setup=0.0), exploration=exploration)
    expected_of = {
        "we_kept_your_place": (IN_FOUR_HOURS, "better_slot"),
        "setup_checklist": (AT_ONCE, "no_better_time_than_now"),
    }
    world.service = world.service_with(world.service.policy, entropy=bytes)  # the same draws each time
    seen = set()
    for number in range(40):
        user_id = world.person(f"user{number}")
        world.happens(user_id, "login", times=12, ago=timedelta(days=10))
        output, inputs = decided(world, user_id)
        message_id = output["message"]["id"]
        seen.add(message_id)
        assert when(output) == expected_of.get(message_id, (AT_ONCE, "not_enough_data"))
        assert (expected(output) == [None, None]) is (message_id not in expected_of)
        assert inputs.get("timing_of") == (message_id if message_id in expected_of else None)
        assert world.scorer.curves[-1][0] == message_id
    assert seen > set(expected_of)


def test_help_and_silence_ask_for_no_curve(onboarding, shipped_policy, world):
    world = patient(onboarding, shipped_policy, world.scorer, said_curve=curve(0.1))
    world.person("bob", email_opt_in=False)
    world.happens("bob", "login", times=12, ago=timedelta(days=10))
    world.person("eve")
    world.happens("eve", "login", times=12, ago=timedelta(days=10))
    world.happens("eve", "login_failed", times=3)
    assert [decided(world, user_id)[0]["action"] for user_id in ("bob", "eve")] == ["none", "send"]
    assert world.scorer.curves == []


class Refusing(MemoryLedger):
    """Somebody else sent the message before, as it turns out."""

    theirs = None

    def commit(self, product, commit):
        if self.theirs is None and commit.contact is not None:
            self.theirs = replace(commit.contact, decision_id="theirs", at_us=commit.as_of_us - 2 * 86_400_000_000)
            super().commit(product, replace(commit, decision_id="theirs", contact=self.theirs, caps=()))
            return CommitResult(committed=False, refused_by=f"cooldown:{commit.contact.message_id}")
        return super().commit(product, commit)


def test_what_is_sent_after_a_refusal_is_asked_for_anew(onboarding, shipped_policy, world):
    """The ledger knows of a push that nobody saw: an e-mail goes, and its curve is its own."""
    world = patient(onboarding, shipped_policy, world.scorer, said_curve=trial_of(silence=0.0, push_come_back=0.1))
    world.ledger = Refusing()
    world.service = world.service_with(world.service.policy)
    world.person("ada", push_opt_in=True, app_installed=True)
    output, inputs = decided(world)
    assert world.ledger.theirs.message_id == "push_come_back"
    assert [names[0] for names in world.scorer.curves] == ["push_come_back", "we_kept_your_place"]
    assert output["message"]["id"] == inputs["timing_of"] == "we_kept_your_place"
    assert (when(output), expected(output)) == ((AT_ONCE, "no_better_time_than_now"), [0.1, 0.1])


def test_a_receipt_from_before_curves_had_a_message_replays_as_it_was(onboarding, shipped_policy, world):
    world = patient(onboarding, shipped_policy, world.scorer, said_curve=curve(0.1))
    content = orjson.loads(world.answer("ada").receipt)
    del content["inputs"]["timing_of"]
    report = Replayer(archive=world.archive).replay(orjson.dumps(content, option=orjson.OPT_SORT_KEYS))
    assert report.decision.outcome is Outcome.SAME


def test_under_another_policy_another_message_goes_as_early_as_it_may(onboarding, shipped_policy, world):
    world = patient(onboarding, shipped_policy, world.scorer, said_curve=curve(0.1))
    policy = world.service.policy
    other = with_hash(replace(policy, switched_off=replace(policy.switched_off, messages=("we_kept_your_place", "your_week"))))
    output = orjson.loads(Replayer(archive=world.archive).replay(world.answer("ada").receipt, policy=other).output)
    assert output["message"]["id"] == "checking_in"
    assert (when(output), expected(output)) == ((AT_ONCE, "not_enough_data"), [None, None])
