from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import orjson
import pytest

from serving.adapters.policy_archive import MemoryPolicyArchive
from serving.decision.output import RULES_VERSION
from serving.policy_file.document import with_hash
from serving.replay import Outcome, Replayer, ReplayError
from tests.serving_world import FixedScorer


@pytest.fixture
def receipt(world):
    world.person()
    world.happens("ada", "login", times=12, ago=timedelta(days=10))
    return world.answer().receipt


def replayer(world, **changes):
    parts = {"archive": world.archive, "ledger": world.ledger, "scorer": world.scorer, "program": world.program}
    return Replayer(**{**parts, **changes})


def edited(receipt, edit):
    content = orjson.loads(receipt)
    edit(content)
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def test_a_decision_replays_to_the_same_bytes_score_and_features(world, receipt):
    world.later(days=40)
    world.happens("ada", "login", times=5)
    report = replayer(world).replay(receipt)
    assert report.is_same
    assert [part.outcome for part in (report.decision, report.score, report.features)] == [Outcome.SAME] * 3
    assert report.output == orjson.dumps(orjson.loads(receipt)["output"], option=orjson.OPT_SORT_KEYS)


def test_a_decision_whose_cause_was_unstable_replays_whatever_later_models_say(world):
    world.scorer.said_contributions, world.scorer.min_cause_lead = {"silence": 0.5, "skipped_setup": 0.4}, 0.2
    world.person()
    world.happens("ada", "login", times=12, ago=timedelta(days=10))
    receipt = world.answer().receipt
    assert orjson.loads(receipt)["output"]["cause"] is None
    world.scorer.min_cause_lead = 0.0
    assert replayer(world).replay(receipt).decision.outcome is Outcome.SAME


@pytest.mark.parametrize("kind", ["login_failed", "form_failed", None])
def test_every_kind_of_decision_replays(world, kind):
    world.person()
    if kind:
        world.happens("ada", kind, times=3, **({"value": 1, "subject": "kyc"} if kind == "form_failed" else {}))
    for _ in range(3):
        assert replayer(world).replay(world.answer().receipt).decision.outcome is Outcome.SAME


def test_another_policy_gives_a_readable_difference(world, receipt):
    stricter = with_hash(replace(world.service.policy, risk_threshold=0.95))
    report = replayer(world).replay(receipt, policy=stricter)
    assert report.decision.outcome is Outcome.DIFFERENT
    assert not report.is_same
    assert 'action: "send" -> "none"' in report.decision.differences
    assert "threshold: 0.6 -> 0.95" in report.decision.differences
    assert any(line.startswith('message: {"body":') and line.endswith("-> null") for line in report.decision.differences)
    assert report.features.outcome is Outcome.SAME


def test_under_another_policy_arms_and_verdicts_are_compared_by_name(world, receipt):
    policy = world.service.policy
    turned = with_hash(replace(policy, channels=policy.channels[::-1], switched_off=replace(policy.switched_off, channels=("email",))))
    found = replayer(world).replay(receipt, policy=turned).decision.differences
    assert "arms[outreach/email].open: true -> false" in found
    assert any(line.startswith("verdicts[outreach/email switched_off]: nothing -> ") for line in found)
    assert not any(line.startswith(("versions", "arms[outreach/push]")) or "another order" in line for line in found)


def test_under_the_policy_that_decided_the_order_is_compared_too(world, receipt):
    turned = edited(receipt, lambda content: content["output"]["verdicts"].reverse())
    report = replayer(world).replay(turned)
    assert (report.decision.outcome, report.decision.differences) == (Outcome.DIFFERENT, ("verdicts: in another order",))
    assert replayer(world).replay(turned, policy=world.service.policy).decision.outcome is Outcome.DIFFERENT


def test_a_model_that_scores_otherwise_is_told_apart_from_the_decision(world, receipt):
    report = replayer(world, scorer=FixedScorer(said_risk=0.9 + 2e-9)).replay(receipt)
    assert (report.decision.outcome, report.score.outcome) == (Outcome.SAME, Outcome.DIFFERENT)
    assert replayer(world, scorer=FixedScorer(said_risk=0.9 + 5e-10)).replay(receipt).score.outcome is Outcome.SAME


@pytest.mark.parametrize(("scorer", "at_hand"), [(None, "none"), (FixedScorer(version="onboarding/2"), "onboarding/2")])
def test_a_score_is_checked_only_with_the_model_that_made_it(world, receipt, scorer, at_hand):
    part = replayer(world, scorer=scorer).replay(receipt).score
    assert (part.outcome, part.detail) == (Outcome.NOT_CHECKED, f"the model at hand is {at_hand}, the one that scored is onboarding/1")


def test_a_feature_that_comes_out_otherwise_is_named(world, receipt):
    def tamper(content):
        content["inputs"]["features"]["count_login_30d"] = 11.0
        content["inputs"]["features"]["seconds_since_last_key_action"] = 5.0

    part = replayer(world).replay(edited(receipt, tamper)).features
    assert (part.outcome, set(part.differences)) == (
        Outcome.DIFFERENT,
        {"count_login_30d: 11.0 -> 12.0", "seconds_since_last_key_action: 5.0 -> nan"},
    )


@pytest.mark.parametrize("without", [{"ledger": None}, {"program": None}])
def test_features_are_not_checked_without_timeline_or_catalogue(world, receipt, without):
    assert replayer(world, **without).replay(receipt).features.outcome is Outcome.NOT_CHECKED


def test_features_are_not_checked_when_the_timeline_is_gone(world, receipt):
    world.ledger._timelines.clear()
    assert replayer(world).replay(receipt).features.detail == "the timeline is not in the ledger"


def test_features_are_not_checked_against_another_catalogue(world, receipt):
    other = edited(receipt, lambda content: content["versions"].update(features="0" * 16))
    assert replayer(world).replay(other).features.outcome is Outcome.NOT_CHECKED


def test_a_decision_without_features_or_score_still_replays(world):
    class Away:
        def read(self, user_ids):
            from features.ports import StoreError

            raise StoreError("away")

    answer = world.service_with(world.service.policy, timelines=Away()).decide_one("ada", now_us=1)
    report = replayer(world).replay(answer.receipt)
    outcomes = (report.decision.outcome, report.score.outcome, report.features.outcome)
    assert outcomes == (Outcome.SAME, Outcome.NOT_CHECKED, Outcome.NOT_CHECKED)


@pytest.mark.parametrize("bytes_", [b"", b"[]", b"{}", b'{"inputs":{}}', b'{"inputs":{"decision_id":1}}'])
def test_what_is_no_receipt_is_refused(world, bytes_):
    with pytest.raises(ReplayError, match="this is no receipt"):
        replayer(world).replay(bytes_)


def test_a_policy_that_is_not_in_the_archive_is_named(world, receipt):
    with pytest.raises(ReplayError, match=f"the archive has no policy {world.service.policy.hash}"):
        replayer(world, archive=MemoryPolicyArchive()).replay(receipt)


def test_what_differs_under_other_rules_says_so(world, receipt):
    def of_the_first_release(content):
        del content["rules_version"]

    assert replayer(world).replay(edited(receipt, of_the_first_release)).is_same  # most outputs did not change

    def and_differs(content):
        of_the_first_release(content)
        content["output"]["ask_again_at"] = "2026-03-09T12:00:00Z"

    decision = replayer(world).replay(edited(receipt, and_differs)).decision
    assert (decision.outcome, decision.detail) == (Outcome.DIFFERENT, f"decided by version 1 of the rules, replayed by {RULES_VERSION}")
