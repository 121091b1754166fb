from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import orjson
import pytest

from features.core.event import to_us
from features.ports import StoredTimeline, StoreError, StoreTimeoutError, UnreadableUsersError
from serving.adapters.memory_ledger import MemoryLedger
from serving.decision.ids import decision_id, tag_of, user_tag
from serving.policy_file import policy_from_document
from serving.policy_file.document import with_hash
from serving.ports import CommitResult, LedgerError
from tests.formats.other import as_version
from tests.serving_world import NOON, FixedScorer


def quiet_for_ten_days(world, user_id="ada", **attributes):
    world.person(user_id, **attributes)
    world.happens(user_id, "login", times=12, ago=timedelta(days=10))
    return user_id


def receipt_of(answer):
    return orjson.loads(answer.receipt)


class DeadStore:
    def read(self, user_ids):
        raise StoreError("the store is away")


class LedgerThatFails(MemoryLedger):
    """Fails at the calls it is told to."""

    def __init__(self, *, at=("contacts", "commit")):
        super().__init__()
        object.__setattr__(self, "at", at)
        object.__setattr__(self, "calls", [])

    def contacts(self, product, user_id, *, since_us):
        return self._unless_failing("contacts") or super().contacts(product, user_id, since_us=since_us)

    def commit(self, product, commit):
        return self._unless_failing("commit") or super().commit(product, commit)

    def _unless_failing(self, call):
        self.calls.append(call)
        if call in self.at:
            raise LedgerError("the ledger is away")


class LedgerThatLosesReplies(MemoryLedger):
    """Commits, and then fails; fails too when asked for the receipt, if told to."""

    def __init__(self, *, answers_receipts):
        super().__init__()
        object.__setattr__(self, "answers_receipts", answers_receipts)

    def commit(self, product, commit):
        super().commit(product, commit)
        raise LedgerError("the reply is lost")

    def receipt(self, product, decision_id):
        if not self.answers_receipts:
            raise LedgerError("the ledger is away")
        return super().receipt(product, decision_id)


class LedgerInDemand(MemoryLedger):
    """Always somebody else takes the last slot between the reading and the commit."""

    def commit(self, product, commit):
        return CommitResult(committed=False, refused_by=commit.caps[0].name) if commit.contact else super().commit(product, commit)


def test_a_decision_is_answered_stored_and_handed_over(world):
    answer = world.answer(quiet_for_ten_days(world))
    output, receipt = orjson.loads(answer.output), receipt_of(answer)
    assert answer.stored
    assert world.ledger.receipt("onboarding", output["decision_id"]) == answer.receipt
    assert receipt["output"] == output
    assert orjson.dumps(receipt["output"], option=orjson.OPT_SORT_KEYS) == answer.output
    assert world.ledger.timeline("onboarding", "ada", receipt["timeline"]["hash"]) == world.timelines.read(["ada"])[0].packed
    (order,) = world.ledger.outbox("onboarding")
    assert orjson.loads(order)["title"] == output["message"]["title"]
    assert output["versions"] == {
        "model": "onboarding/1",
        "policy": world.service.policy.hash,
        "features": world.product.catalogue.fingerprint,
    }


def test_the_receipt_says_what_was_known_and_how_fresh_it_was(world):
    receipt = receipt_of(world.answer(quiet_for_ten_days(world)))
    assert receipt["timeline"]["freshness_us"] == timedelta(days=10) // timedelta(microseconds=1)
    assert (receipt["timeline"]["n_events"], receipt["timeline"]["coverage_start_us"]) == (12, None)
    assert receipt["inputs"]["features"]["count_login_30d"] == 12.0
    assert receipt["inputs"]["features"]["seconds_since_last_key_action"] is None
    assert receipt["inputs"]["contributions"] == {"silence": 1.0, "base": -2.0}
    assert receipt["inputs"]["segment"] == "team_web"


def test_the_policy_that_decides_is_in_the_archive(world):
    assert policy_from_document(world.archive.load(world.service.policy.hash)) == world.service.policy
    assert world.service_with(world.service.policy, archive=None).decide_one("ada", now_us=to_us(NOON)).stored


def test_an_unknown_user_is_an_ordinary_user(world):
    answer = world.answer("nobody")
    output = orjson.loads(answer.output)
    assert (answer.stored, output["action"], output["reason"]["code"], output["degraded"]) == (True, "none", "no_consent", [])
    assert receipt_of(answer)["timeline"] == {
        "hash": "e3b0c44298fc1c14",
        "n_events": 0,
        "newest_known_us": 0,
        "coverage_start_us": None,
        "freshness_us": None,
    }


def test_as_of_never_lies_before_what_is_known(world):
    world.person()
    world.later(hours=1)
    world.happens("ada", "login")
    world.later(hours=-1)
    assert world.decide()["as_of"] == "2026-03-02T13:00:00Z"


def test_only_an_open_arm_is_explained(world):
    world.scorer.said_risk = 0.1
    world.answer(quiet_for_ten_days(world))
    assert world.scorer.explained == 0
    world.scorer.said_risk = 0.9
    assert world.decide()["cause"] == {"group": "silence", "contribution": 1.0, "sentence": "The product has not been used for a while."}
    assert world.scorer.explained == 1


def test_the_second_of_two_decisions_knows_of_the_first(world):
    quiet_for_ten_days(world)
    first, second = world.service.decide_many(["ada", "ada"], now_us=to_us(NOON))
    assert [orjson.loads(answer.output)["action"] for answer in (first, second)] == ["send", "defer"]


def test_the_same_decision_id_gives_the_first_answer_again(world):
    quiet_for_ten_days(world)
    id_ = decision_id("ada", to_us(NOON), bytes(10))
    first = world.answer(decision_id=id_)
    world.later(days=30)
    assert world.answer(decision_id=id_) == first
    assert len(world.ledger.outbox("onboarding")) == 1


@pytest.mark.parametrize("foreign", [decision_id("bob", 0, bytes(10)), "anything"])
def test_a_decision_id_of_somebody_else_is_refused(world, foreign):
    with pytest.raises(ValueError, match="expected one made for this user"):
        world.answer(decision_id=foreign)


def test_ids_carry_the_users_tag_and_sort_by_time(world):
    world.person()
    ids = []
    for _ in range(5):
        ids.append(world.decide()["decision_id"])
        world.later(seconds=1)
    assert ids == sorted(set(ids))
    assert {tag_of(id_) for id_ in ids} == {user_tag("ada")}


@pytest.mark.parametrize(
    ("missing", "flag", "code"),
    [
        ({"timelines": DeadStore()}, "features_unavailable", "features_unavailable"),
        ({"profiles": DeadStore()}, "profile_unavailable", "profile_unavailable"),
        ({"scorer": None}, "model_missing", "model_missing"),
        ({"scorer": FixedScorer(said_risk=math.nan)}, "model_missing", "model_missing"),
        ({"scorer": FixedScorer(said_risk=1.01)}, "model_missing", "model_missing"),
        ({"ledger": LedgerThatFails()}, "ledger_unavailable", "ledger_unavailable"),
    ],
)
def test_what_is_missing_is_flagged_and_nothing_is_sent(world, missing, flag, code):
    quiet_for_ten_days(world)
    answer = world.service_with(world.service.policy, **missing).decide_one("ada", now_us=to_us(NOON))
    output = orjson.loads(answer.output)
    assert (output["action"], output["reason"]["code"], output["degraded"]) == ("none", code, [flag])
    assert answer.stored is (flag != "ledger_unavailable")


class StoreThatStalls:
    def __init__(self):
        self.asked = 0

    def read(self, user_ids):
        self.asked += 1
        raise StoreTimeoutError("no answer within 0.25 s")


@pytest.mark.parametrize("stalls", ["timelines", "profiles"])
def test_a_call_waits_for_a_stalled_store_once_and_asks_no_other(world, stalls):
    quiet_for_ten_days(world)
    stalled, ledger = StoreThatStalls(), LedgerThatFails()
    stores = {"profiles": stalled, stalls: stalled}
    answers = world.service_with(world.service.policy, ledger=ledger, **stores).decide_many(["ada", "bob"], now_us=to_us(NOON))
    assert (stalled.asked, ledger.calls) == (1, [])
    missing = ["profile_unavailable", "ledger_unavailable"]
    for answer in answers:
        output = orjson.loads(answer.output)
        assert (output["action"], answer.stored) == ("none", False)
        assert output["degraded"] == (["features_unavailable", *missing] if stalls == "timelines" else missing)


def test_the_next_call_asks_again(world):
    quiet_for_ten_days(world)
    stalled = StoreThatStalls()
    service = world.service_with(world.service.policy, timelines=stalled)
    assert [service.decide_one("ada", now_us=to_us(NOON)).stored for _ in range(2)] == [False, False]
    assert stalled.asked == 2


def test_everything_missing_is_still_an_answer(world):
    service = world.service_with(world.service.policy, timelines=DeadStore(), profiles=DeadStore(), scorer=None, ledger=LedgerThatFails())
    output = orjson.loads(service.decide_one("ada", now_us=to_us(NOON)).output)
    assert output["degraded"] == ["features_unavailable", "profile_unavailable", "ledger_unavailable"]
    assert (output["action"], output["reason"]["code"]) == ("none", "ledger_unavailable")


def test_without_a_model_help_still_comes(world):
    world.person()
    world.happens("ada", "login_failed", times=3)
    service = world.service_with(world.service.policy, scorer=None)
    output = orjson.loads(service.decide_one("ada", now_us=to_us(NOON)).output)
    assert (output["message"]["id"], output["degraded"], output["risk"]) == ("secure_reset", ["model_missing"], None)


def test_a_ledger_that_fails_is_asked_once_for_a_whole_batch(world):
    ledger = LedgerThatFails()
    answers = world.service_with(world.service.policy, ledger=ledger).decide_many(["ada", "bob", "cyd"], now_us=to_us(NOON))
    assert ([answer.stored for answer in answers], ledger.calls) == ([False] * 3, ["contacts"])


def test_a_commit_without_an_answer_counts_as_not_made(world):
    quiet_for_ten_days(world)
    answer = world.service_with(world.service.policy, ledger=LedgerThatFails(at=("commit",))).decide_one("ada", now_us=to_us(NOON))
    output = orjson.loads(answer.output)
    assert (answer.stored, output["action"], output["degraded"]) == (False, "none", ["ledger_unavailable"])


def test_a_commit_whose_reply_is_lost_is_answered_by_its_receipt(world):
    quiet_for_ten_days(world)
    ledger = LedgerThatLosesReplies(answers_receipts=True)
    answer = world.service_with(world.service.policy, ledger=ledger).decide_one("ada", now_us=to_us(NOON))
    output = orjson.loads(answer.output)
    assert (answer.stored, output["action"], output["degraded"]) == (True, "send", [])
    assert ledger.receipt("onboarding", output["decision_id"]) == answer.receipt


def test_a_commit_that_nobody_can_tell_of_is_never_contradicted_under_its_id(world):
    quiet_for_ten_days(world)
    ledger = LedgerThatLosesReplies(answers_receipts=False)
    asked = decision_id("ada", to_us(NOON), bytes(10))
    service = world.service_with(world.service.policy, ledger=ledger)
    answer = service.decide_one("ada", now_us=to_us(NOON), decision_id=asked)
    output = orjson.loads(answer.output)
    assert (answer.stored, output["action"], output["degraded"]) == (False, "none", ["ledger_unavailable"])
    assert output["decision_id"] != asked
    assert orjson.loads(MemoryLedger.receipt(ledger, "onboarding", asked))["output"]["action"] == "send"
    assert MemoryLedger.receipt(ledger, "onboarding", output["decision_id"]) is None


def test_a_ledger_that_keeps_refusing_ends_in_none_with_its_cap_named(world):
    quiet_for_ten_days(world)
    answer = world.service_with(world.service.policy, ledger=LedgerInDemand()).decide_one("ada", now_us=to_us(NOON))
    output = orjson.loads(answer.output)
    assert (answer.stored, output["action"], output["reason"]["code"]) == (True, "none", "cap_contended")
    assert "cap:email_per_day" in output["reason"]["sentence"]


def test_one_bad_user_never_costs_another_their_answer(world):
    for user_id in ("ada", "bob", "cyd"):
        quiet_for_ten_days(world, user_id)
    world.profiles.write({"bob": {"plan": "breaks the model"}}, changed_us=to_us(NOON))
    world.timelines._rows["cyd"] = StoredTimeline(packed=b"garbage", version_us=1)
    answers = world.service.decide_many(["ada", "bob", "cyd", "dan"], now_us=to_us(NOON))
    outputs = [orjson.loads(answer.output) for answer in answers]
    assert [output["user_id"] for output in outputs] == ["ada", "bob", "cyd", "dan"]
    assert [output["degraded"] for output in outputs] == [[], ["model_missing"], ["features_unavailable"], []]
    assert [output["action"] for output in outputs] == ["send", "none", "none", "none"]
    assert all(answer.stored for answer in answers)


def test_a_timeline_of_a_newer_version_degrades_its_user_alone_and_says_to_upgrade(world):
    for user_id in ("ada", "bob", "cyd"):
        quiet_for_ten_days(world, user_id)
    newer = as_version(world.timelines.read(["bob"])[0].packed, 3)
    world.timelines._rows["bob"] = StoredTimeline(packed=newer, version_us=1)
    outputs = [orjson.loads(answer.output) for answer in world.service.decide_many(["ada", "bob", "cyd"], now_us=to_us(NOON))]
    assert [output["degraded"] for output in outputs] == [[], ["features_unavailable", "timeline_newer"], []]
    assert [output["action"] for output in outputs] == ["send", "none", "send"]
    assert outputs[1]["reason"] == {
        "code": "timeline_newer",
        "sentence": "The timeline of user 'bob' was written by a newer version of Stillhere: upgrade this process.",
    }


def test_what_is_older_than_the_policy_allows_is_flagged_and_nothing_is_sent(world):
    quiet_for_ten_days(world, "ada")
    world.person("nobody_ever_heard_of")
    at_the_limit = world.service_with(with_hash(replace(world.service.policy, max_feature_age=timedelta(days=10))))
    past_it = world.service_with(with_hash(replace(world.service.policy, max_feature_age=timedelta(days=10) - timedelta(microseconds=1))))
    stale, unknown = (orjson.loads(a.output) for a in past_it.decide_many(["ada", "nobody_ever_heard_of"], now_us=to_us(NOON)))
    assert (stale["action"], stale["degraded"], stale["reason"]["code"]) == ("none", ["features_stale"], "features_stale")
    assert unknown["degraded"] == []
    (fresh,) = (orjson.loads(a.output) for a in at_the_limit.decide_many(["ada"], now_us=to_us(NOON)))
    assert (fresh["action"], fresh["degraded"]) == ("send", [])


class StoreWithBadRows:
    """A store some of whose rows cannot be decoded."""

    def __init__(self, inner, part, *bad):
        self.inner, self.part, self.bad = inner, part, set(bad)

    def read(self, user_ids):
        if found := [user_id for user_id in user_ids if user_id in self.bad]:
            raise UnreadableUsersError(self.part, found)
        return self.inner.read(user_ids)


def test_rows_that_cannot_be_decoded_degrade_their_users_alone(world):
    for user_id in ("ada", "bob", "cyd"):
        quiet_for_ten_days(world, user_id)
    stores = {
        "timelines": StoreWithBadRows(world.timelines, "timeline", "bob"),
        "profiles": StoreWithBadRows(world.profiles, "profile", "cyd"),
    }
    service = world.service_with(world.service.policy, **stores)
    outputs = [orjson.loads(answer.output) for answer in service.decide_many(["ada", "bob", "cyd", "bob"], now_us=to_us(NOON))]
    assert [output["degraded"] for output in outputs] == [[], ["features_unavailable"], ["profile_unavailable"], ["features_unavailable"]]
    assert [output["action"] for output in outputs] == ["send", "none", "none", "none"]


def test_a_model_that_cannot_explain_still_lets_the_message_out(world):
    class Mute(FixedScorer):
        def contributions(self, vector, profile):
            raise RuntimeError("no idea")

    quiet_for_ten_days(world)
    output = orjson.loads(world.service_with(world.service.policy, scorer=Mute(said_risk=0.9)).decide_one("ada", now_us=to_us(NOON)).output)
    assert (output["message"]["id"], output["cause"]) == ("checking_in", None)


def test_contributions_that_are_no_numbers_are_left_out(world):
    world.scorer.said_contributions = {"silence": math.nan, "skipped_setup": 0.5}
    receipt = receipt_of(world.answer(quiet_for_ten_days(world)))
    assert receipt["inputs"]["contributions"] == {"skipped_setup": 0.5}


def test_attributes_become_plain_values_before_they_decide_anything(world):
    quiet_for_ten_days(world, seats=np.int64(5), consent=np.bool_(True), score=math.nan, tags=("a", "b"))
    answer = world.answer()
    profile = receipt_of(answer)["inputs"]["profile"]
    assert (profile["seats"], profile["consent"], profile["tags"], "score" in profile) == (5, True, "('a', 'b')", False)
    assert orjson.loads(answer.output)["action"] == "send"


def test_nobody_asked_about_nobody_answered(world):
    assert world.service.decide_many([], now_us=to_us(NOON)) == []


@pytest.mark.parametrize(
    ("leads", "needed", "cause"),
    [
        ({"silence": 0.1, "skipped_setup": 9.0}, 0.1, "silence"),
        ({"silence": 0.2, "skipped_setup": 0.1}, 0.2, None),
        ({"skipped_setup": 0.1}, 5.0, None),
    ],
)
def test_the_top_cause_must_lead_by_what_the_model_says_of_that_cause(world, leads, needed, cause):
    world.scorer.said_contributions = {"silence": 0.5, "skipped_setup": 0.375, "something no message remedies": 3.0}
    world.scorer.min_cause_lead, world.scorer.min_cause_leads = 5.0, leads
    answer = world.answer(quiet_for_ten_days(world))
    found = orjson.loads(answer.output)["cause"]
    assert ((found and found["group"]), receipt_of(answer)["inputs"]["min_cause_lead"]) == (cause, needed)


@pytest.mark.parametrize(("min_cause_lead", "cause"), [(0.0, "silence"), (0.1, "silence"), (0.2, None)])
def test_a_cause_that_leads_too_little_brings_the_default_message(world, min_cause_lead, cause):
    world.scorer.said_contributions = {"silence": 0.5, "skipped_setup": 0.375}
    world.scorer.min_cause_lead = min_cause_lead
    answer = world.answer(quiet_for_ten_days(world))
    found = orjson.loads(answer.output)["cause"]
    assert (found and found["group"]) == cause
    assert receipt_of(answer)["inputs"].get("min_cause_lead", 0.0) == min_cause_lead
