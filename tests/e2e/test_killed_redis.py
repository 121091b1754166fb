"""R6: Redis killed again and again under load; it comes back over its append-only file, and nothing acknowledged is lost or exceeded."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from features.adapters.embedded_redis import EmbeddedRedis
from serving.adapters.redis_ledger import RedisLedger, connect
from serving.ports import LedgerError
from tests.contract.cap_attempts import AT_US, Attempt, commit_of, rolling
from tests.following_world import until

pytestmark = [pytest.mark.timeout(200)]

CAP = 2
USERS = 60
CALLERS = 8


class Callers:
    """Threads that try to contact everybody until they are told to stop; what was acknowledged, by user."""

    def __init__(self, redis_url):
        self.url, self.ended, self.numbers = redis_url, threading.Event(), count()
        self.granted, self.acknowledged, self.failed = Counter(), set(), 0

    def call(self, _):
        with connect(self.url, timeout_ms=1_000) as client:
            ledger = RedisLedger(client=client)
            while not self.ended.is_set():
                number = next(self.numbers)
                commit = commit_of(number, Attempt(user_id=f"user-{number % USERS}", at_us=AT_US, own_cap=rolling(CAP, AT_US)))
                try:
                    is_granted = ledger.commit("onboarding", commit).committed
                except LedgerError:
                    self.failed += 1
                else:
                    self.acknowledged |= {commit.decision_id} if is_granted else set()
                    self.granted[commit.user_id] += is_granted


@pytest.mark.parametrize("n_rounds", [2, pytest.param(10, marks=pytest.mark.faults)])
def test_r6_redis_killed_under_load_keeps_what_it_acknowledged_and_exceeds_no_cap(tmp_path, n_rounds):
    with EmbeddedRedis(tmp_path / "redis") as server, connect(server.url, timeout_ms=5_000) as client:
        ledger = RedisLedger(client=client)
        for of_round in range(n_rounds):
            client.flushdb()
            callers = Callers(server.url)
            with ThreadPoolExecutor(CALLERS) as pool:
                calls = [pool.submit(callers.call, caller) for caller in range(CALLERS)]
                until(lambda callers=callers, enough=20 + 10 * of_round: len(callers.acknowledged) >= min(enough, USERS))
                server._process.kill()
                server._process.wait()
                until(lambda callers=callers: callers.failed >= CALLERS)
                server.revive()
                until(lambda callers=callers: len(callers.acknowledged) >= USERS)
                callers.ended.set()
                for call in calls:
                    call.result()
            held = {f"user-{number}": ledger.contacts("onboarding", f"user-{number}", since_us=0) for number in range(USERS)}
            assert max(len(contacts) for contacts in held.values()) <= CAP
            assert callers.acknowledged <= {one.decision_id for contacts in held.values() for one in contacts}
            assert max(callers.granted.values()) <= CAP
            orders = Counter(ledger.outbox("onboarding"))
            assert orders == {one.decision_id.encode(): 1 for contacts in held.values() for one in contacts}
