"""What another policy is worth depends on when it writes: an outcome after six hours says nothing of writing at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import orjson
import pytest

from features.adapters.raw_log import ParquetRawLog
from features.backfill.columns import read_columns
from features.core.event import Event
from serving.adapters.memory_ledger import MemoryLedger
from serving.cli.policy_command import decisions_frame
from serving.decision.policy import Exploration, MessageClass, QuietHours, TimingRule
from serving.policy_backtest import backtest_policy
from serving.policy_file.document import with_hash
from serving.replay import Replayer
from tests.scenario.situations import gone_quiet, uses_the_app
from tests.serving_world import NOON, FixedScorer, World
from training.policy_value import policy_value

HOUR = timedelta(hours=1)
STAYS = {0.0: 0.9, 6.0: 0.4, None: 0.2}
"""Planted: share of users who stay, by hours to the message; of those who get none."""
N_USERS = 1_000


@pytest.fixture
def lived(onboarding, shipped_policy):
    """A world whose chance chooses moments, and its receipts."""

    def lived(exploration, person=gone_quiet, n_users=N_USERS, **changes):
        policy = with_hash(replace(shipped_policy, holdout=None, exploration=exploration, **{"timing": None, **changes}))
        world = World(onboarding, policy, scorer=FixedScorer(said_risk=0.9, said_contributions={}), ledger=MemoryLedger())
        world.service = world.service_with(policy, entropy=np.random.default_rng(3).bytes)  # the same draws in every run
        return world, [world.answer(person(world, f"user-{number}")).receipt for number in range(n_users)]

    return lived


def with_outcomes(receipts, folder, product):
    """The log of what became of the users."""
    rng, events = np.random.default_rng(5), []
    for receipt in receipts:
        output = orjson.loads(receipt)["output"]
        hours = None if output["message"] is None else output["delays"]["delay_s"] / 3_600
        times = [NOON - timedelta(days=10), *([NOON + timedelta(days=1)] if rng.random() < STAYS[hours] else [])]
        events += [login(output["user_id"], at) for at in times]
    ParquetRawLog(folder).append([*events, login("last", NOON + timedelta(days=60))])
    return read_columns(folder, product)


def login(user_id, at):
    return Event(event_id=f"{user_id}{at}", user_id=user_id, kind="login", occurred_at=at, received_at=at)


def again(world, receipts, policy):
    return backtest_policy(receipts, policy, policies=Replayer(archive=world.archive))


def test_writing_at_once_is_worth_what_became_of_those_who_were_written_to_at_once(lived, shipped_policy, onboarding, tmp_path):
    world, receipts = lived(Exploration(arm_share=0.3, delay_share=1.0, delays=(0 * HOUR, 6 * HOUR)))
    at_once = with_hash(replace(shipped_policy, holdout=None))
    found = again(world, receipts, at_once)
    worth = policy_value(decisions_frame(found.redecided), with_outcomes(receipts, tmp_path / "raw", onboarding), onboarding)
    assert (worth.rows, worth.unsupported) == (N_USERS, 0)
    assert worth.other.low < STAYS[0.0] < worth.other.high
    assert worth.other.low > 0.8  # were moments not told apart: (0.9 + 0.4) / 2
    logged = 0.85 * (STAYS[0.0] + STAYS[6.0]) / 2 + 0.15 * STAYS[None]
    assert worth.logged.low < logged < worth.logged.high


def test_a_moment_that_was_never_drawn_cannot_be_valued_whatever_was_done(lived, shipped_policy):
    """Quiet hours until 20:00: of those who were sent nothing, too, nothing is learned about such a policy."""
    world, receipts = lived(Exploration(arm_share=0.5), n_users=40)
    evening = (QuietHours(start_minute=0, end_minute=20 * 60, classes=(MessageClass.OUTREACH,)),)
    found = again(
        world, receipts, with_hash(replace(shipped_policy, exploration=Exploration(arm_share=0.5), quiet_hours=evening, timing=None))
    )
    assert {one.arm for one in found.redecided} == {"outreach/email", "none"}
    for one in found.redecided:
        assert one.chances["outreach/email, at a moment that could not be"] == 0.75
        assert "outreach/email, at a moment that could not be" not in one.logged


def test_chances_are_those_of_the_receipt_and_of_the_same_policy_the_same(lived):
    world, receipts = lived(Exploration(arm_share=0.5, delay_share=0.5, delays=(0 * HOUR, 6 * HOUR)), uses_the_app, n_users=60)
    found = again(world, receipts, world.service.policy)
    for one, receipt in zip(found.redecided, receipts, strict=True):
        output = orjson.loads(receipt)["output"]
        arms = {arm["name"]: arm["propensity"] for arm in output["arms"]}
        of_moment = output["delays"]["propensity"] if output["message"] else 1.0
        assert one.logged[one.arm] == pytest.approx(arms[one.arm] * of_moment)
        assert one.logged == one.chances
        assert sum(one.logged.values()) == pytest.approx(1.0)


def test_where_nobody_asked_when_what_was_not_sent_would_have_gone_arms_are_compared_whenever(lived, shipped_policy):
    world, receipts = lived(Exploration(arm_share=0.5), n_users=20, timing=TimingRule(delays=(0 * HOUR, 6 * HOUR)))
    evening = (QuietHours(start_minute=0, end_minute=20 * 60, classes=(MessageClass.OUTREACH,)),)
    found = again(world, receipts, with_hash(replace(shipped_policy, quiet_hours=evening)))
    assert all(one.chances == {"outreach/email": 1.0} for one in found.redecided)
    assert all(one.logged == {"none": 0.25, "outreach/email": 0.75} for one in found.redecided)
