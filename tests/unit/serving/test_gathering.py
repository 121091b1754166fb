from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from serving.api.errors import ApiError
from serving.api.gathering import LIST_AT_ONCE, Gatherer


@dataclass
class Said:
    output: bytes
    labels: tuple = ("none", "no_consent", ())


class Decider:
    """Answers with the user's own id; waits at its gate, and fails for those it is told to."""

    def __init__(self, *, breaks_for=()):
        self.steps, self.seeds = [], []
        self.begun, self.gate = threading.Event(), threading.Event()
        self.gate.set()
        self.breaks_for = set(breaks_for)

    def decide_many(self, user_ids, *, now_us, seeds=None):
        self.steps.append(list(user_ids))
        self.seeds.append(dict(zip(user_ids, seeds, strict=True)))
        self.begun.set()
        assert self.gate.wait(timeout=30)
        if not self.breaks_for.isdisjoint(user_ids):
            raise ZeroDivisionError("our mistake")
        return [Said(user_id.encode()) for user_id in user_ids]


@pytest.fixture
def thread():
    with ThreadPoolExecutor(max_workers=1) as pool:
        yield pool


def gatherer(decider, pool, *, steps_at_once=1, **changes):
    return Gatherer(decider=decider, now_us=lambda: 1, pool=pool, steps_at_once=steps_at_once, **changes)


async def behind_a_closed_gate(gathered, decider, *requests):
    """The first request is being decided while the others come; what each of them gets."""
    decider.gate.clear()
    first = asyncio.ensure_future(gathered.decide(("first",)))
    await asyncio.to_thread(decider.begun.wait, 30)
    others = [asyncio.ensure_future(gathered.decide(request)) for request in requests]
    await asyncio.sleep(0)  # they are queued
    decider.gate.set()
    return await asyncio.gather(first, *others, return_exceptions=True)


def outputs(answers):
    return [answer.output.decode() for answer in answers]


def test_a_lone_request_waits_for_nobody(thread):
    decider = Decider()
    assert outputs(asyncio.run(gatherer(decider, thread).decide(("ada", "bob")))) == ["ada", "bob"]
    assert decider.steps == [["ada", "bob"]]


def test_what_comes_while_one_step_is_made_is_the_next_step(thread):
    decider = Decider()
    gathered = gatherer(decider, thread)
    results = asyncio.run(behind_a_closed_gate(gathered, decider, ("ada",), ("bob", "cyd"), ("ada",)))
    assert decider.steps == [["first"], ["ada", "bob", "cyd", "ada"]]
    assert [outputs(result) for result in results] == [["first"], ["ada"], ["bob", "cyd"], ["ada"]]
    assert outputs(asyncio.run(gathered.decide(("later",)))) == ["later"]


def test_a_request_that_fails_costs_no_other_its_answer(thread):
    decider = Decider(breaks_for={"bob"})
    first, ada, bob, cyd = asyncio.run(behind_a_closed_gate(gatherer(decider, thread), decider, ("ada",), ("bob",), ("cyd",)))
    assert [outputs(result) for result in (first, ada, cyd)] == [["first"], ["ada"], ["cyd"]]
    assert isinstance(bob, ZeroDivisionError)


def test_what_is_decided_again_after_a_failure_is_the_same_decision(thread):
    """A step may fail after it was committed: under another id its messages would go out twice."""
    decider = Decider(breaks_for={"bob"})
    asyncio.run(behind_a_closed_gate(gatherer(decider, thread), decider, ("ada",), ("bob",), ("cyd",)))
    assert decider.steps[1:] == [["ada", "bob", "cyd"], ["ada"], ["bob"], ["cyd"]]
    together, *alone = decider.seeds[1:]
    assert {user_id: seed.entropy for user_id, seed in together.items()} == {
        user_id: seed.entropy for each in alone for user_id, seed in each.items()
    }
    assert len({seed.entropy for seed in together.values()}) == len(together)
    assert all(seed.is_new for seed in together.values())  # nothing to look for
    assert not any(seed.is_new for each in alone for seed in each.values())


def test_past_its_limit_the_queue_says_when_to_come_back_and_nothing_is_decided(thread):
    decider = Decider()
    full = gatherer(decider, thread, max_waiting=2)
    first, ada, bob, refused = asyncio.run(behind_a_closed_gate(full, decider, ("ada",), ("bob",), ("cyd",)))
    assert [outputs(result) for result in (first, ada, bob)] == [["first"], ["ada"], ["bob"]]
    assert isinstance(refused, ApiError)
    answer = refused.answer()
    assert (refused.code, answer.status_code, answer.headers["retry-after"]) == ("overloaded", 503, "1")
    assert decider.steps == [["first"], ["ada", "bob"]]


def test_whose_turn_comes_too_late_is_told_so_and_is_not_decided_about(thread):
    decider = Decider()
    with pytest.raises(ApiError, match="did not come within"):
        asyncio.run(gatherer(decider, thread, wait_s=-1.0).decide(("ada",)))
    assert decider.steps == []


@pytest.mark.parametrize("steps_at_once", [1, 2, 3])
def test_of_a_list_that_is_told_to_come_back_nobody_was_decided_about(steps_at_once):
    decider = Decider()
    users = [f"user-{number}" for number in range(4 * LIST_AT_ONCE)]
    with ThreadPoolExecutor(max_workers=steps_at_once) as pool, pytest.raises(ApiError, match="nothing was decided"):
        asyncio.run(gatherer(decider, pool, steps_at_once=steps_at_once, wait_s=-1.0).decide(users))
    assert decider.steps == []


def test_a_long_list_lets_others_between_and_is_brought_to_its_end(thread):
    decider = Decider()
    users = [f"user-{number}" for number in range(2 * LIST_AT_ONCE + 1)]
    _, whole, ada = asyncio.run(behind_a_closed_gate(gatherer(decider, thread, max_waiting=LIST_AT_ONCE + 1), decider, users, ("ada",)))
    assert outputs(whole) == users
    assert outputs(ada) == ["ada"]
    assert decider.steps[1] == [*users[:LIST_AT_ONCE], "ada"]
    assert [len(step) for step in decider.steps[2:]] == [LIST_AT_ONCE, 1]


def test_a_caller_who_has_gone_is_nobodys_problem(thread):
    decider = Decider()
    gathered = gatherer(decider, thread)

    async def leave():
        decider.gate.clear()
        gone = asyncio.ensure_future(gathered.decide(("ada",)))
        await asyncio.to_thread(decider.begun.wait, 30)
        gone.cancel()
        stays = asyncio.ensure_future(gathered.decide(("bob",)))
        await asyncio.sleep(0)
        decider.gate.set()
        return await stays

    assert outputs(asyncio.run(leave())) == ["bob"]


class Slow(Decider):
    """Only the first step waits at the gate."""

    def decide_many(self, user_ids, *, now_us, seeds=None):
        answers = super().decide_many(user_ids, now_us=now_us, seeds=seeds) if "first" in user_ids else None
        return answers or [Said(user_id.encode()) for user_id in user_ids]


def test_while_one_step_waits_for_redis_another_one_decides():
    decider = Slow()

    async def overtaking(gathered):
        decider.gate.clear()
        first = asyncio.ensure_future(gathered.decide(("first",)))
        await asyncio.to_thread(decider.begun.wait, 30)
        others = [await gathered.decide((name,)) for name in ("ada", "bob")]
        assert not first.done()
        decider.gate.set()
        return [await first, *others]

    with ThreadPoolExecutor(max_workers=2) as pool:
        answers = asyncio.run(overtaking(gatherer(decider, pool, steps_at_once=2)))
    assert [outputs(answer) for answer in answers] == [["first"], ["ada"], ["bob"]]


@pytest.mark.parametrize("steps_at_once", [1, 2, 3])
def test_the_parts_of_a_long_list_come_back_in_order(steps_at_once):
    users = [f"user-{number}" for number in range(5 * LIST_AT_ONCE + 7)]
    decider = Decider()
    with ThreadPoolExecutor(max_workers=steps_at_once) as pool:
        assert outputs(asyncio.run(gatherer(decider, pool, steps_at_once=steps_at_once).decide(users))) == users
    assert sorted(user for step in decider.steps for user in step) == sorted(users)


def test_the_same_requests_of_many_callers_are_all_answered_whatever_the_steps():
    """No request is left behind between a step that ends and one that begins."""
    decider = Decider()

    async def callers(gathered):
        async def caller(number):
            return [outputs(await gathered.decide((f"{number}-{turn}",)))[0] for turn in range(200)]

        return await asyncio.gather(*[caller(number) for number in range(8)])

    with ThreadPoolExecutor(max_workers=2) as pool:
        answers = asyncio.run(callers(gatherer(decider, pool, steps_at_once=2)))
    assert answers == [[f"{number}-{turn}" for turn in range(200)] for number in range(8)]
