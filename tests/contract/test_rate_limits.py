"""One suite over every ledger: places under rate limits, which all users of a product share."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving.adapters.redis_ledger import RedisLedger, connect
from serving.ports import LedgerError
from tests.contract.ledger_commits import AT_US, commit, permit, window
from tests.serving_world import HOUR_US


def test_a_rate_limit_is_shared_by_all_users_and_opens_again_with_its_next_window(ledger):
    for user_id in ("ada", "bob"):
        assert ledger.commit("onboarding", commit(user_id, permits=(permit(),))).committed
    late = commit("eve", permits=(permit(9, name="rate:roomy"), permit()))
    result = ledger.commit("onboarding", late)
    assert (result.committed, result.refused_by) == (False, "rate:spring")
    assert ledger.receipt("onboarding", late.decision_id) is None
    assert ledger.commit("onboarding", commit("eve", permits=(permit(since_us=AT_US + HOUR_US),))).committed
    assert ledger.commit("mooc", commit("eve", permits=(permit(),))).committed


def test_windows_without_room_are_told_before_anything_is_proposed_and_asking_takes_no_place(ledger):
    full, half, empty = permit(1), permit(2, name="rate:half"), permit(1, since_us=AT_US + HOUR_US)
    assert ledger.commit("onboarding", commit(permits=(full, half))).committed
    for _ in range(2):
        assert ledger.without_room("onboarding", [empty, full, half]) == [full]
    assert ledger.without_room("mooc", [full]) == []
    assert ledger.without_room("onboarding", [full._replace(limit=2), permit(0, name="rate:closed")]) == [permit(0, name="rate:closed")]
    assert ledger.commit("onboarding", commit("bob", permits=(half, empty))).committed
    assert ledger.without_room("onboarding", [empty, full, half]) == [empty, full, half]


def test_a_retry_and_a_refusal_by_the_users_own_cap_take_no_place_under_a_rate_limit(ledger):
    first = commit(permits=(permit(1),))
    for _ in range(2):
        assert ledger.commit("onboarding", first).committed
    other = [permit(1, name="rate:other")]
    assert ledger.commit("onboarding", commit(caps=[window()], permits=tuple(other))).refused_by == "cap:daily"
    assert ledger.commit("onboarding", commit("bob", permits=tuple(other))).committed


def test_sixteen_threads_together_never_get_more_than_a_rate_limit(ledger):
    barrier = threading.Barrier(16)

    def attempts(number):
        barrier.wait()
        return sum(ledger.commit("onboarding", commit(f"user-{number}-{i}", permits=(permit(5),))).committed for i in range(10))

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(attempts, range(16))) == 5


def test_a_window_that_cannot_be_told_of_is_left_to_the_commit_and_a_server_that_is_away_is_an_error(redis_url):
    with connect(redis_url, timeout_ms=5_000) as client, socket.create_server(("127.0.0.1", 0)) as listener:
        ledger, full, broken = RedisLedger(client=client), permit(1), permit(1, name="rate:broken")
        ledger.commit("onboarding", commit(permits=(full,)))
        client.set(f"stillhere:{{onboarding:rates}}:broken:{AT_US}", "no set")
        assert ledger.without_room("onboarding", [broken, full]) == [full]
        with pytest.raises(LedgerError, match="did not answer"):
            ledger.commit("onboarding", commit(permits=(broken,)))
        with connect(f"redis://127.0.0.1:{listener.getsockname()[1]}/0", timeout_ms=50) as silent, pytest.raises(LedgerError):
            RedisLedger(client=silent).without_room("onboarding", [full])
