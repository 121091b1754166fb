"""Whole installations draw the moment of their own outreach: S3.22 (timing windows A/B tested), S0.12 (at once against a later window)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from scipy.stats import chisquare

from features.core.event import to_us
from serving.adapters.memory_ledger import MemoryLedger
from serving.api.schemas import DecisionOut
from serving.decision.canonical import iso
from serving.decision.policy import Exploration, MessageClass, RateLimit
from serving.decision.values import Contact, Permit
from serving.policy_file.document import with_hash
from serving.ports import Commit
from serving.replay import Outcome, Replayer
from tests.scenario.situations import gone_quiet, verdict
from tests.serving_world import DAY_US, HOUR_US, NOON, World

HOUR = timedelta(hours=1)
N_USERS = 400
UNLIKELY = 1e-4


@pytest.fixture
def drawing(onboarding, shipped_policy, world):
    """A world under the shipped policy whose outreach goes at once, or after one of these hours."""

    def drawing(*hours, share=1.0, arm_share=0.0, **changes):
        chance = Exploration(arm_share=arm_share, delay_share=share, delays=tuple(hour * HOUR for hour in (0, *hours)))
        policy = replace(shipped_policy, holdout=None, exploration=chance, **changes)
        return World(onboarding, with_hash(policy), scorer=world.scorer, ledger=MemoryLedger())

    return drawing


def decided(world, n_users=N_USERS, **attributes):
    return [world.decide(gone_quiet(world, f"user-{number}", **attributes)) for number in range(n_users)]


def test_s3_22_windows_of_the_users_own_day_are_tested_against_each_other(drawing):
    """Asked at noon in Berlin: now, five hours later and tomorrow are open; eleven hours later it is night there, and never drawn."""
    outputs = decided(drawing(5, 11, 24), timezone="Europe/Berlin")
    assert {output["action"] for output in outputs} == {"send"}
    drawn = Counter(output["delays"]["delay_s"] / 3_600 for output in outputs)
    assert drawn.keys() == {0.0, 5.0, 24.0}
    assert chisquare(list(drawn.values())).pvalue > UNLIKELY
    for output in outputs:
        codes = {slot["delay_s"] / 3_600: slot["code"] for slot in output["delays"]["slots"]}
        assert codes == {0.0: "ok", 5.0: "ok", 11.0: "quiet_hours", 24.0: "ok"}
        assert output["delays"]["propensity"] == pytest.approx(1 / 3)
        assert output["moment"]["sentence"].endswith("Chance chose the moment, to measure what waiting does.")


def test_s0_12_alerts_at_once_are_tested_against_a_later_window_and_never(drawing):
    """One of ten decisions is drawn; of arm and moment, each chance is recorded, and their product is that of what was done."""
    world = drawing(6, share=0.1, arm_share=0.3)
    done = Counter()
    for output in decided(world, 3 * N_USERS):
        arms = {arm["name"]: arm["propensity"] for arm in output["arms"]}
        arm = "none" if output["message"] is None else f"outreach/{output['message']['channel']}"
        done[arm, output["delays"]["delay_s"]] += 1
        stated = {("none", None): arms.pop("none")}
        for name, propensity in arms.items():
            stated |= {(name, slot["delay_s"]): propensity * slot["propensity"] for slot in output["delays"]["slots"]}
    assert sum(stated.values()) == pytest.approx(1.0)
    possible = [what for what, propensity in stated.items() if propensity > 0.0]
    assert set(done) <= set(possible)
    assert chisquare([done[what] for what in possible], [stated[what] * 3 * N_USERS for what in possible]).pvalue > UNLIKELY


def test_who_is_asked_about_at_night_is_drawn_an_hour_of_the_next_day_or_waits_for_the_morning(drawing):
    """It is 21:00 in Tokyo: the policy's own moment is 8:00, which is none of the list and keeps the rest of the chance."""
    outputs = decided(drawing(12, 14, share=0.5), 60, timezone="Asia/Tokyo")
    stated = {0.0: 0.0, 11.0: 0.5, 12.0: 0.25, 14.0: 0.25}
    assert {output["delays"]["delay_s"] / 3_600 for output in outputs} == {11.0, 12.0, 14.0}
    for output in outputs:
        assert {slot["delay_s"] / 3_600: slot["propensity"] for slot in output["delays"]["slots"]} == stated
        assert [slot["delay_s"] / 3_600 for slot in output["delays"]["slots"] if slot["own"]] == [11.0]
        assert output["delays"]["drawn"] is (output["delays"]["delay_s"] != 11 * 3_600)
        assert verdict(output, "outreach/email", "quiet_hours")["sentence"].endswith("moves to their end at 2026-03-03 08:00.")


def test_help_in_the_session_is_never_delayed(drawing):
    world = drawing(1, 6)
    world.person("ada")
    world.happens("ada", "login_failed", times=3)
    output = world.decide("ada")
    assert (output["message"]["class"], output["moment"]["sentence"]) == ("assist", "Now.")
    assert "delays" not in output


def test_a_drawn_contact_counts_at_its_moment_and_is_let_go_from_there(drawing, shipped_policy):
    """On a channel that delivers within two hours: two hours after its moment, not after the decision."""
    channels = tuple(replace(channel, deliver_within=2 * HOUR) for channel in shipped_policy.channels)
    world = drawing(5, 24, channels=channels)
    for output in decided(world, 40):
        (held,) = world.ledger.contacts("onboarding", output["user_id"], since_us=0)
        assert iso(held.at_us) == output["moment"]["send_at"]
        assert output["moment"]["expires_at"] == iso(held.at_us + 2 * HOUR_US)
        assert held.expires_us >= held.at_us + 2 * HOUR_US


def test_what_chance_drew_is_drawn_again_by_the_receipt(drawing):
    world = drawing(1, 5, 24, share=0.5, arm_share=0.3)
    replayer = Replayer(archive=world.archive)
    seen = set()
    for number in range(60):
        answer = world.answer(gone_quiet(world, f"user-{number}"))
        report = replayer.replay(answer.receipt)
        assert (report.output, report.decision.outcome) == (answer.output, Outcome.SAME)
        assert DecisionOut.model_validate_json(answer.output).delays is not None
        delays = orjson.loads(answer.output)["delays"]
        seen.add((delays["drawn"], delays["delay_s"]))
    assert {(True, 3_600.0), (False, None)} <= seen


def test_without_the_key_nothing_is_drawn_and_nothing_is_added(world):
    assert "delays" not in world.decide(gone_quiet(world))


def test_where_rate_limits_leave_one_moment_nothing_is_drawn_and_nobody_is_dropped(drawing):
    """Tomorrow and the day after have no room: all go as the policy would have it, under no chance."""
    limit = N_USERS
    world = drawing(24, 48, rate_limits=(RateLimit(name="day", limit=limit, per=timedelta(days=1)),))
    today_us = to_us(NOON) // DAY_US * DAY_US
    for day in (1, 2):
        since_us = today_us + day * DAY_US
        permit = Permit("rate:day", since_us, since_us + DAY_US, limit)
        for number in range(limit):
            world.ledger.commit_many(world.product.name, [taken(f"other-{day}-{number}", permit)])
    outputs = decided(world, 60)
    assert {output["action"] for output in outputs} == {"send"}
    assert {output["moment"]["send_at"] for output in outputs} == {iso(to_us(NOON))}
    assert not any("delays" in output for output in outputs)


def taken(user_id, permit):
    contact = Contact(
        decision_id=user_id, channel="email", message_class=MessageClass.OUTREACH, message_id="checking_in", at_us=permit.since_us
    )
    parts = {"receipt": b"{}", "timeline_hash": "h", "timeline": b"", "outbox": b"", "caps": ()}
    return Commit(decision_id=user_id, user_id=user_id, contact=contact, as_of_us=to_us(NOON), permits=(permit,), **parts)
