"""One suite over both places where idempotency keys are kept."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving.adapters.idempotency import MemoryIdempotencyKeys, RedisIdempotencyKeys
from serving.adapters.redis_ledger import connect
from serving.ports import Claim, LedgerError, Seed


@pytest.fixture(params=["memory", "redis"])
def keys(request, redis_url):
    if request.param == "memory":
        yield MemoryIdempotencyKeys()
        return
    with connect(redis_url, timeout_ms=5_000) as client:
        yield RedisIdempotencyKeys(client=client)


def claim(number):
    return Claim(fingerprint=f"{number:032x}", seed=Seed(now_us=number, entropy=number.to_bytes(10, "big")))


def test_the_first_claim_counts_and_products_are_apart(keys):
    assert keys.claim("onboarding", "k", claim(1)) == claim(1)
    assert keys.claim("onboarding", "k", claim(2)) == claim(1)
    assert keys.claim("onboarding", "other", claim(2)) == claim(2)
    assert keys.claim("mooc", "k", claim(3)) == claim(3)


def test_of_many_at_once_one_is_first_for_all(keys):
    barrier = threading.Barrier(16)

    def ask(number):
        barrier.wait()
        return keys.claim("onboarding", "k", claim(number))

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(ask, range(16)))) == 1


def test_a_key_is_forgotten_after_a_day_and_holds_no_plain_text(redis_url):
    with connect(redis_url, timeout_ms=5_000) as client:
        RedisIdempotencyKeys(client=client).claim("onboarding", "secret-of-ada", claim(1))
        (name,) = client.keys("*idempotency*")
        assert 86_390_000 < client.pttl(name) <= 86_400_000
        assert b"ada" not in name


def test_a_redis_that_is_away_is_a_ledger_error():
    with connect("redis://127.0.0.1:1/0", timeout_ms=50) as client, pytest.raises(LedgerError, match="start Redis"):
        RedisIdempotencyKeys(client=client).claim("onboarding", "k", claim(1))


def test_places_of_a_list_have_seeds_of_their_own():
    seed = claim(7).seed
    assert len({seed.of_place(place) for place in range(100)} | {seed}) == 101
    assert seed.of_place(3) == seed.of_place(3)


def test_a_key_that_redis_refuses_to_store_is_nobodys(redis_url):
    """Else a retry would be given another claim: two decisions under one key, should Redis take writes again in between."""
    with connect(redis_url, timeout_ms=5_000) as client:
        keys = RedisIdempotencyKeys(client=client)
        keys.claim("onboarding", "before", claim(1))
        client.config_set("maxmemory", "1")
        try:
            with pytest.raises(LedgerError, match="cannot be stored"):
                keys.claim("onboarding", "refused", claim(2))
            assert keys.claim("onboarding", "before", claim(3)) == claim(1)  # what is known needs no writing
        finally:
            client.config_set("maxmemory", "0")
        assert keys.claim("onboarding", "refused", claim(4)) == claim(4)
