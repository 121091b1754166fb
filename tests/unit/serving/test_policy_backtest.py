"""What `stillhere policy backtest` counts: sends, the users they go to, and what was never recorded."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import orjson
import pytest

from serving.adapters.policy_archive import MemoryPolicyArchive
from serving.adapters.receipt_export import SCHEMA, receipt_row
from serving.adapters.receipt_files import receipts_in_order
from serving.cli.policy_command import _as_text, decisions_frame
from serving.decision.policy import Exploration
from serving.policy_backtest import backtest_policy
from serving.policy_file.document import with_hash
from serving.replay import Replayer
from training.policy_value import PolicyValue


def test_a_backtest_counts_sends_by_everything_a_team_asks_for(world, receipts, shipped_policy):
    lax = with_hash(replace(shipped_policy, consent_attribute="email_opt_in"))
    found = backtest_policy([*receipts, b"?"], lax)
    assert (found.decisions, found.users, found.unreadable, found.sent_before, found.sent_after) == (3, 3, 1, 1, 2)
    assert (found.newly_contacted, found.no_longer_contacted) == (["bob"], [])
    assert found.tables()["channel"] == {"email": (1, 2)}
    assert found.moves.total() == 1


def test_a_backtest_keeps_the_chances_of_both_policies(world, receipts, shipped_policy):
    exploring = with_hash(replace(shipped_policy, exploration=Exploration(arm_share=0.5)))
    assert backtest_policy(receipts, exploring, for_value=False).redecided is None
    (ada, *_) = backtest_policy(receipts, exploring, policies=Replayer(archive=world.archive)).redecided
    assert (ada.arm, ada.logged) == ("outreach/email", {"outreach/email": 1.0})
    assert ada.chances == {"outreach/email": 0.75, "none": 0.25}


def test_without_the_policy_that_decided_what_it_might_have_done_is_unknown_and_counted(world, receipts, shipped_policy):
    for policies in (None, Replayer(archive=MemoryPolicyArchive())):
        found = backtest_policy(receipts, shipped_policy, policies=policies)
        assert (found.chances_unknown, len(found.redecided), found.decisions) == (1, 2, 3)
    worth = PolicyValue(rows=0, unsupported=0, left_out={}, why_not="")
    assert "1 are left out: the policy that decided is not in the archive" in _as_text(found, worth)


def hourly(world, hours=36):
    """Ada and Bob, asked about every hour."""
    for user_id in ("ada", "bob"):
        world.person(user_id)
        world.happens(user_id, "login", times=12, ago=timedelta(days=10))
    receipts = []
    for _ in range(hours):
        receipts += [world.answer(user_id).receipt for user_id in ("ada", "bob")]
        world.later(hours=1)
    return receipts


def stricter(policy, threshold):
    return with_hash(replace(policy, risk_threshold=threshold, segment_thresholds={}))


def test_a_lower_threshold_does_not_write_to_the_same_users_every_hour(world, shipped_policy):
    """Whoever is above it hears one e-mail, and is one user newly contacted."""
    world.service = world.service_with(stricter(shipped_policy, 0.95))
    found = backtest_policy(hourly(world), stricter(shipped_policy, 0.10))
    assert (found.decisions, found.sent_before) == (72, 0)
    assert found.sent_after == found.sent_only_after <= 4  # one a day each
    assert found.newly_contacted == ["ada", "bob"]
    assert "Newly contacted: 2 users, ada, bob\n" in _as_text(found, None)
    assert found.to_json()["newly_contacted"] == {"users": 2, "first": ["ada", "bob"]}


def test_messages_whose_cause_was_never_asked_for_are_told_apart(world, shipped_policy):
    world.service = world.service_with(stricter(shipped_policy, 0.95))
    found = backtest_policy(hourly(world), stricter(shipped_policy, 0.10))
    assert found.by_fallback == found.sent_only_after > 0
    assert f"only now: {found.by_fallback}, {found.by_fallback} of them by fallback, since no cause was recorded" in _as_text(found, None)


def test_who_is_no_longer_written_to_is_named(world, shipped_policy):
    receipts = hourly(world)
    found = backtest_policy(receipts, stricter(shipped_policy, 0.95))
    assert (found.sent_after, found.sent_only_before) == (0, found.sent_before)
    assert found.no_longer_contacted == ["ada", "bob"]
    assert found.by_fallback == 0


def test_decisions_in_whole_seconds_and_between_are_valued_alike(world, shipped_policy):
    world.later(microseconds=1)
    found = backtest_policy(
        [*hourly(world, 1), *map(other_instant, hourly(world, 1))], shipped_policy, policies=Replayer(archive=world.archive)
    )
    frame = decisions_frame(found.redecided)
    assert [instant.microsecond for instant in frame["as_of"]] == [1, 1, 0, 0]
    assert list(frame["user_id"]) == ["ada", "bob"] * 2
    assert frame["other"][0].keys() == frame["logged"][0].keys()


def other_instant(receipt):
    content = orjson.loads(receipt)
    content["output"]["as_of"] = "2026-03-02T13:00:00Z"
    return orjson.dumps(content)


@pytest.mark.parametrize("at_once", [1, 7, 1_000])
def test_receipts_are_read_in_order_however_few_fit_in_memory(world, tmp_path, at_once):
    """Files hold them in the order in which they were exported; a share of the users at a time has them in that of their as_of."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    receipts = hourly(world)
    rows = [receipt_row(receipt, orjson.loads(receipt)) for receipt in receipts]
    for number, mixed in enumerate((rows[40:], rows[:44])):  # four of them twice
        for day in {row["as_of"].date() for row in mixed}:
            (tmp_path / f"day={day}").mkdir(exist_ok=True)
            of_day = sorted((row for row in mixed if row["as_of"].date() == day), key=lambda row: row["decision_id"][::-1])
            pq.write_table(pa.Table.from_pylist(of_day, schema=SCHEMA), tmp_path / f"day={day}" / f"part-{number}.parquet")
    read = [orjson.loads(receipt)["output"] for batch in receipts_in_order(tmp_path, at_once=at_once) for receipt in batch]
    for user_id in ("ada", "bob"):
        expected = [orjson.loads(receipt)["output"] for receipt in receipts]
        assert [one for one in read if one["user_id"] == user_id] == [one for one in expected if one["user_id"] == user_id]
