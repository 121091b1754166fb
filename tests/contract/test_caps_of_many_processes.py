"""R1 and R3: caps, rolling windows, classes and rate limits are exact under many processes; and a naive cap is not, in the same crowd."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import repeat

import orjson
import pytest

from features.core.event import from_us
from serving.adapters.redis_ledger import RedisLedger, connect
from serving.decision.policy import MessageClass
from tests.contract.cap_attempts import (
    AT_US,
    HOUR_US,
    SPAN_US,
    Attempt,
    attempted,
    commit_of,
    crowd,
    granted_by_one_process,
    granted_in_rounds,
)

pytestmark = pytest.mark.timeout(240)

SHORT = (4, 150)  # processes, attempts of each
LONG = (16, 600)
sizes = pytest.mark.parametrize(("n_processes", "attempts"), [SHORT, pytest.param(*LONG, marks=pytest.mark.faults)])


def tried_by(n_processes, redis_url, kind, k, attempts):
    """All attempts of a crowd, and whether each was granted."""
    with crowd(n_processes) as pool:
        of_each = pool.map(
            attempted,
            *(repeat(one, n_processes) for one in (redis_url, kind, k)),
            range(n_processes),
            repeat(attempts, n_processes),
        )
        return [one for of_process in of_each for one in of_process]


def has_room(granted_us, at_us, k):
    """Counted the slow way: whether no interval that holds the moment has ``k`` contacts already."""
    ends = [at_us, *(one for one in granted_us if at_us <= one < at_us + SPAN_US)]
    return all(sum(end - SPAN_US < one <= end for one in granted_us) < k for end in ends)


@sizes
@pytest.mark.parametrize("k", [1, 3])
def test_r1_no_interval_has_more_than_a_rolling_cap_and_nobody_is_refused_who_had_room(redis_url, n_processes, attempts, k):
    tried = tried_by(n_processes, redis_url, "rolling", k, attempts)
    granted_us = sorted(one.at_us for one, is_granted in tried if is_granted)
    assert len(granted_us) > k
    assert all(sum(end - SPAN_US < at_us <= end for at_us in granted_us) <= k for end in granted_us)
    refused_us = {one.at_us for one, is_granted in tried if not is_granted}
    assert not [at_us for at_us in refused_us if has_room(granted_us, at_us, k)]


@sizes
def test_r1_each_class_gets_exactly_its_cap(redis_url, n_processes, attempts):
    tried = tried_by(n_processes, redis_url, "classes", 5, attempts)
    assert Counter(one.message_class for one, is_granted in tried if is_granted) == dict.fromkeys(MessageClass, 5)
    with connect(redis_url, timeout_ms=5_000) as client:
        ledger = RedisLedger(client=client)
        assert len(ledger.contacts("onboarding", "ada", since_us=0)) == len(ledger.outbox("onboarding")) == 10


@sizes
def test_r1_each_window_of_a_rate_limit_gets_exactly_its_places(redis_url, n_processes, attempts):
    """Though every second attempt takes a place, is refused by its user's own cap, and gives the place back."""
    limit = 20
    tried = tried_by(n_processes, redis_url, "rate", limit, attempts)
    granted = Counter(one.permit_since_us for one, is_granted in tried if is_granted)
    assert granted == dict.fromkeys((AT_US + window * HOUR_US for window in range(3)), limit)
    with connect(redis_url, timeout_ms=5_000) as client:
        assert [client.scard(key) for key in client.keys("*:rates}:*")] == [limit] * 3


@pytest.mark.faults
def test_r1_fifty_crowds_of_sixteen_each_get_exactly_the_cap(redis_url):
    k, attempts, n_crowds = 3, 40, 50
    with crowd(16) as pool:
        for _ in range(n_crowds):
            with connect(redis_url, timeout_ms=5_000) as client:
                client.flushdb()
            granted = pool.map(granted_by_one_process, repeat(redis_url, 16), repeat(k, 16), range(16), repeat(attempts, 16))
            assert sum(granted) == k


def most_in_one_round(redis_url, how, *, n_processes, k, n_rounds):
    """The same attempts at the same time, whatever decides; most that were granted in one round, and in how many rounds it was above k."""
    with crowd(n_processes) as pool:
        of_each = pool.map(
            granted_in_rounds,
            *(repeat(one, n_processes) for one in (redis_url, how, k)),
            range(n_processes),
            repeat(n_rounds, n_processes),
        )
        granted = [sum(of_round) for of_round in zip(*of_each, strict=True)]
    return max(granted), min(granted), sum(one > k for one in granted)


@pytest.mark.parametrize(("n_processes", "n_rounds"), [(4, 100), pytest.param(16, 100, marks=pytest.mark.faults)])
def test_r3_control_the_naive_cap_lets_too_many_through_where_the_ledger_does_not(redis_url, n_processes, n_rounds):
    """GET, compare, INCR. The crowd that the ledger holds to the cap in every round breaks this one, so the tests above would notice."""
    crowd_of = {"n_processes": n_processes, "k": 1, "n_rounds": n_rounds}
    most, _, n_over = most_in_one_round(redis_url, "naive", **crowd_of)
    assert most > 1
    assert n_over > 0
    assert most_in_one_round(redis_url, "ledger", **crowd_of) == (1, 1, 0)


def test_r1_a_retry_takes_no_place_in_the_window_in_which_it_comes(redis_url):
    """The decision was made for a moment of the window before; there its place stays taken."""
    at = from_us(AT_US).isoformat()
    receipts = [orjson.dumps({"output": {"moment": {"send_at": at}}, "try": number}) for number in range(2)]
    windows = [Attempt(user_id="ada", at_us=AT_US, permit_since_us=AT_US + window * HOUR_US) for window in range(2)]
    with connect(redis_url, timeout_ms=5_000) as client:
        ledger = RedisLedger(client=client)
        for receipt, attempt in zip(receipts, windows, strict=True):
            result = ledger.commit("onboarding", replace(commit_of(1, attempt, 1), receipt=receipt))
            assert (result.committed, result.receipt) == (True, receipts[0])
        others = [replace(commit_of(2 + place, one, 1), user_id="bob") for place, one in enumerate(windows)]
        assert [ledger.commit("onboarding", one).committed for one in others] == [False, True]


def test_r1_four_processes_together_never_get_more_than_the_cap(redis_url):
    with crowd(4) as pool:
        granted = list(pool.map(granted_by_one_process, [redis_url] * 4, [3] * 4, range(4), [200] * 4))
    assert sum(granted) == 3


@pytest.mark.faults
@pytest.mark.parametrize("k", [1, 3, 100])
def test_r1_sixteen_processes_together_never_get_more_than_the_cap(redis_url, k):
    with crowd(16) as pool:
        granted = list(pool.map(granted_by_one_process, [redis_url] * 16, [k] * 16, range(16)))
    assert sum(granted) == k


def test_r3_control_reading_before_counting_up_lets_two_callers_through(redis_url):
    """The naive cap, with the interleaving that breaks it written out: both read before either counts."""
    with connect(redis_url) as first, connect(redis_url) as second:
        seen = [int(client.get("naive") or 0) for client in (first, second)]
        granted = [client.incr("naive") for client, count in zip((first, second), seen, strict=True) if count < 1]
    assert len(granted) == 2
