"""Thousands of receipts at once: what is counted, and what another policy would have done."""

from __future__ import annotations

from dataclasses import replace

import orjson

from serving.policy_file.document import with_hash
from serving.replay import Replayer
from serving.replay_many import replay_all


def replayers(world):
    return lambda version: Replayer(archive=world.archive, ledger=world.ledger, scorer=world.scorer, program=world.program)


def test_everything_comes_out_the_same_under_the_policies_that_decided(world, receipts):
    summary = replay_all(receipts, replayers(world))
    assert summary.is_same
    assert (summary.receipts, summary.outcomes["decision"]["same"], summary.moves.total()) == (3, 3, 0)
    assert summary.outcomes["features"]["same"] == 3


def test_another_policy_shows_what_it_would_have_done(world, receipts, shipped_policy):
    strict = with_hash(replace(shipped_policy, risk_threshold=0.99, segment_thresholds={}))
    summary = replay_all(receipts, replayers(world), policy=strict)
    assert not summary.is_same
    assert summary.moves == {("send we_kept_your_place by email", "none (risk_below_threshold)"): 1}
    assert {"action", "message"} <= summary.paths.keys()
    assert "versions.policy" not in summary.paths


def test_a_policy_that_differs_in_one_title_differs_where_it_is_sent(world, receipts, shipped_policy):
    messages = tuple(replace(one, title="Other words") if one.id == "we_kept_your_place" else one for one in shipped_policy.messages)
    summary = replay_all(receipts, replayers(world), policy=with_hash(replace(shipped_policy, messages=messages)))
    assert summary.outcomes["decision"] == {"same": 2, "different": 1}
    assert summary.paths == {"message.title": 1}


def test_a_policy_in_another_order_decides_the_same(world, receipts, shipped_policy):
    turned = with_hash(replace(shipped_policy, channels=shipped_policy.channels[::-1], caps=shipped_policy.caps[::-1]))
    summary = replay_all(receipts, replayers(world), policy=turned)
    assert (turned.hash != shipped_policy.hash, summary.is_same) == (True, True)


def test_what_is_no_receipt_is_counted_and_costs_no_other_its_answer(world, receipts):
    other = orjson.dumps({**orjson.loads(receipts[0]), "versions": {"model": None, "policy": "unknown", "features": "f"}})
    summary = replay_all([b"?", *receipts, b"{}", other], replayers(world))
    assert (summary.receipts, summary.unreadable, summary.is_same) == (3, 3, False)
    assert any("the archive has no policy" in fault for fault in summary.faults)
