"""Policy and model follow their sources: what is new is taken as a whole, and whatever is wrong with it, the old one goes on."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import orjson
import pytest

from features.core.event import to_us
from serving.policy_file import policy_from_document
from serving.policy_file.document import with_hash
from serving.use_case import CurrentDecider, Followed, Follower
from tests.serving_world import NOON, FixedScorer, World, golden_policy


@dataclass
class Shelf:
    """A source that holds what the test put there; an exception is raised when it is loaded."""

    holds: object
    loads: int = 0

    def identity(self):
        return repr(self.holds)

    def load(self):
        self.loads += 1
        if isinstance(self.holds, Exception):
            raise self.holds
        return self.holds


class Unreadable(Shelf):
    def identity(self):
        raise FileNotFoundError("policy.yaml is gone")


class Restless(Shelf):
    """Changes whenever it is looked at."""

    def identity(self):
        self.loads += 1
        return str(self.loads)


def changed_policy(policy, **changes):
    return with_hash(replace(policy, **changes))


@pytest.fixture
def world(onboarding):
    return World(onboarding, with_hash(golden_policy()), scorer=FixedScorer(said_risk=0.1))


@pytest.fixture
def shelves(world):
    return Shelf(world.service.policy), Shelf(world.scorer)


@pytest.fixture
def follower(world, shelves):
    policies, scorers = shelves
    return Follower(
        decider=CurrentDecider(world.service),
        policy=Followed.begin("policy", policies, lambda: world.service.policy),
        scorer=Followed.begin("model", scorers, lambda: None),
    )


def answered(follower):
    (answer,) = follower.decider.decide_many(["ada"], now_us=to_us(NOON))
    return orjson.loads(answer.output)


def test_while_nothing_changes_nothing_is_loaded_and_the_same_service_decides(follower, shelves):
    before = follower.decider.service
    assert not follower.look()
    assert follower.decider.service is before
    assert [shelf.loads for shelf in shelves] == [1, 1]


def test_a_new_policy_and_a_new_model_are_served_together(world, follower, shelves):
    policies, scorers = shelves
    world.person()
    world.happens("ada", "login", times=12)
    assert (answered(follower)["threshold"], answered(follower)["versions"]["model"]) == (0.6, "onboarding/1")
    policies.holds = changed_policy(policies.holds, risk_threshold=0.9)
    scorers.holds = FixedScorer(version="onboarding/2", said_risk=0.7)
    assert follower.look()
    output = answered(follower)
    assert (output["threshold"], output["risk"]) == (0.9, 0.7)
    assert output["versions"] == {**output["versions"], "model": "onboarding/2", "policy": policies.holds.hash}


def test_the_new_policy_is_in_the_archive_before_it_decides(world, follower, shelves):
    policies, _ = shelves
    first, second = policies.holds, changed_policy(policies.holds, risk_threshold=0.9)
    policies.holds = second
    follower.look()
    assert [policy_from_document(world.archive.load(policy.hash)) for policy in (first, second)] == [first, second]


def test_what_is_wrong_is_told_until_another_was_taken_though_it_was_only_written_anew(world):
    good = world.service.policy
    shelf = Shelf(good)
    followed = Followed.begin("policy", shelf, lambda: good, rests=True)
    faults = []
    for holds in (ValueError("half written"), ValueError("wrong"), changed_policy(good, risk_threshold=0.9)):
        shelf.holds = holds
        for _ in range(2):  # it rests, and is taken
            followed.look()
            faults.append(followed.fault)
    assert faults == [None, "ValueError: half written", "ValueError: half written", "ValueError: wrong", "ValueError: wrong", None]


def test_a_policy_that_cannot_be_used_leaves_the_old_one_and_is_said_once(follower, shelves, caplog):
    policies, scorers = shelves
    before = follower.decider.service.policy
    policies.holds = ValueError("caps.week is -1")
    scorers.holds = FixedScorer(version="onboarding/2")
    with caplog.at_level(logging.WARNING):
        assert follower.look()  # the model all the same
        assert not follower.look()
        assert not follower.look()
    assert follower.decider.service.policy is before
    assert follower.decider.service.versions["model"] == "onboarding/2"
    assert follower.faults == {"policy": "ValueError: caps.week is -1"}
    assert [record.message for record in caplog.records] == ["the policy stays as it was: ValueError: caps.week is -1"]
    policies.holds = before
    follower.look()
    assert follower.faults == {}


def test_a_model_that_is_withdrawn_is_not_served_any_more_and_may_come_back(follower, shelves):
    _, scorers = shelves
    champion, scorers.holds = scorers.holds, None
    assert follower.look()
    assert "model_missing" in answered(follower)["degraded"]
    scorers.holds = champion
    assert follower.look()
    assert answered(follower)["versions"]["model"] == "onboarding/1"


def test_an_archive_that_fails_keeps_the_old_policy_until_it_works_again(world, follower, shelves, monkeypatch):
    policies, _ = shelves
    before = follower.decider.service
    policies.holds = changed_policy(policies.holds, risk_threshold=0.9)

    def full(*_):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(type(world.archive), "save", full)
        assert not follower.look()
        assert not follower.look()
    assert follower.decider.service is before
    assert follower.faults == {"policy": "OSError: no space left"}
    assert follower.look()
    assert (follower.decider.service.policy, follower.faults) == (policies.holds, {})


def test_a_policy_that_cannot_decide_is_not_served(follower, shelves):
    policies, _ = shelves
    before = follower.decider.service
    policies.holds = changed_policy(policies.holds, default_timezone="Nowhere/At_all")
    follower.look()
    assert follower.decider.service is before
    assert "Nowhere/At_all" in follower.faults["policy"]


def test_a_source_that_cannot_be_read_at_the_start_leaves_what_is_at_hand():
    followed = Followed.begin("policy", Unreadable("new"), lambda: "at hand")
    assert (followed.value, followed.fault) == ("at hand", "FileNotFoundError: policy.yaml is gone")


def test_what_may_be_half_written_is_taken_when_two_looks_found_the_same():
    shelf = Shelf("whole")
    followed = Followed.begin("policy", shelf, lambda: "", rests=True)
    shelf.holds = "hal"
    followed.look()
    shelf.holds = "half"
    followed.look()
    shelf.holds = "another whole"
    followed.look()
    assert (followed.value, shelf.loads) == ("whole", 1)
    followed.look()
    assert followed.value == "another whole"


def test_what_changes_while_it_is_read_is_left_for_the_next_look():
    followed = Followed(what="policy", source=Restless("new"), value="old", identity=None)
    followed.look()
    assert (followed.value, followed.fault) == ("old", None)


def test_decisions_on_their_way_end_with_what_they_began_with(world, follower, shelves):
    """A swap in the middle of a step, at its worst place: between the risk and the decision."""
    policies, scorers = shelves
    world.person()
    world.happens("ada", "login", times=12)
    old = scorers.holds
    policies.holds = changed_policy(policies.holds, risk_threshold=0.9)
    scorers.holds = FixedScorer(version="onboarding/2", said_risk=0.2)
    ordinary, follower_looked = old.risk, []

    def swapping(*arguments):
        follower_looked.append(follower.look())
        return ordinary(*arguments)

    old.risk = swapping
    before, after = answered(follower), answered(follower)
    assert follower_looked == [True]
    assert (before["threshold"], before["risk"], before["versions"]["model"]) == (0.6, 0.1, "onboarding/1")
    assert (after["threshold"], after["risk"], after["versions"]["model"]) == (0.9, 0.2, "onboarding/2")
