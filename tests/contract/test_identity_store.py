"""What every IdentityStore promises, in memory and in Redis."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import redis

from features.adapters.memory_identities import MemoryIdentityStore
from features.adapters.redis_identities import RedisIdentityStore
from features.core.alias import Alias
from features.core.event import to_us
from features.ports import AliasRefusal, Link, Standing, StoreError
from tests.serving_world import NOON

NOON_US = to_us(NOON)


@pytest.fixture(params=["memory", "redis"])
def store(request):
    if request.param == "memory":
        yield MemoryIdentityStore()
        return
    with redis.Redis.from_url(request.getfixturevalue("redis_url")) as client:
        yield RedisIdentityStore(client, product="onboarding")


def alias(previous_id, user_id, *, late_us=0):
    return Alias(previous_id=previous_id, user_id=user_id, occurred_at=NOON, received_at=NOON + timedelta(microseconds=late_us))


def link(user_id, *, late_us=0):
    return Standing(link=Link(user_id=user_id, known_us=NOON_US + late_us))


def test_ids_without_aliases_have_no_standing(store):
    assert store.standing(["nobody", "ada"]) == {}
    assert store.standing([]) == {}
    assert store.ids_of("ada") == ("ada",)


def test_an_accepted_alias_is_a_link_and_the_same_again_changes_nothing(store):
    assert store.claim(alias("phone", "ada")) is None
    assert store.claim(alias("phone", "ada", late_us=7)) is None
    assert store.standing(["phone", "ada"]) == {"phone": link("ada")}


def test_of_the_same_alias_the_earliest_counts(store):
    for late_us in (7, 3, 5):
        store.claim(alias("phone", "ada", late_us=late_us))
    assert store.standing(["phone"]) == {"phone": link("ada", late_us=3)}


def test_an_id_belongs_to_the_first_who_claimed_it(store):
    store.claim(alias("phone", "ada"))
    assert store.claim(alias("phone", "ben", late_us=-9)) is AliasRefusal.CONFLICT
    assert store.standing(["phone"]) == {"phone": link("ada")}
    assert store.ids_of("ben") == ("ben",)


@pytest.mark.parametrize("chain", [[("a", "b")], [("a", "b"), ("b", "c")], [("b", "c"), ("a", "b"), ("c", "d")]])
def test_a_circle_is_refused_however_long(store, chain):
    for previous_id, user_id in chain:
        assert store.claim(alias(previous_id, user_id)) is None
    end = ({user for _, user in chain} - {previous for previous, _ in chain}).pop()
    for previous_id, _ in chain:
        assert store.claim(alias(end, previous_id)) is AliasRefusal.CYCLE
    assert end not in store.standing([end])


def test_an_id_cannot_stand_for_itself(store):
    assert store.claim(alias("ada", "ada")) is AliasRefusal.CYCLE


def test_all_ids_of_a_person_are_found_from_any_of_them(store):
    for previous_id, user_id in (("phone", "laptop"), ("laptop", "ada"), ("tablet", "ada"), ("other", "ben")):
        store.claim(alias(previous_id, user_id))
    for user_id in ("phone", "laptop", "tablet", "ada"):
        assert store.ids_of(user_id) == ("ada", "laptop", "tablet", "phone")


def test_ids_in_any_script_with_spaces_and_colons_are_ids_like_any_other(store):
    for previous_id, user_id in (("a b", "Zoë:名前 {x}"), ("12 34", "a b"), ("line\nbreak", "a b")):
        store.claim(alias(previous_id, user_id))
    assert store.ids_of("12 34") == ("Zoë:名前 {x}", "a b", "12 34", "line\nbreak")
    assert store.standing(["12 34"]) == {"12 34": link("a b")}


def test_an_erased_person_is_recognised_by_every_id_and_claims_nothing_any_more(store):
    store.claim(alias("phone", "ada"))
    assert store.mark_erased("phone") == ("ada", "phone")
    assert store.standing(["phone"]) == {"phone": Standing(link=Link(user_id="ada", known_us=NOON_US), is_erased=True)}
    assert store.claim(alias("phone", "ada")) is AliasRefusal.ERASED
    assert store.claim(alias("ada", "ben")) is AliasRefusal.ERASED
    assert store.claim(alias("tablet", "ada")) is AliasRefusal.ERASED


def test_forgetting_removes_the_links_and_keeps_the_marks(store):
    store.claim(alias("phone", "ada"))
    ids = store.mark_erased("ada")
    store.forget(ids)
    store.forget(ids)
    assert store.standing(["ada", "phone"]) == {"ada": Standing(is_erased=True), "phone": Standing(is_erased=True)}
    assert store.ids_of("ada") == ("ada",)


def test_more_ids_than_one_round_trip_holds(store):
    for number in range(20):
        store.claim(alias(f"phone-{number * 100}", "ada"))
    assert len(store.standing([f"phone-{number}" for number in range(2_500)])) == 20


def test_of_eight_who_claim_an_id_at_once_one_gets_it(store):
    start = threading.Barrier(8)

    def claim(number):
        start.wait()
        return [store.claim(alias(f"phone-{phone}", f"user-{number}")) for phone in range(20)]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(claim, range(8)))
    for phone in range(20):
        assert sorted(str(answer[phone]) for answer in answers) == ["None"] + ["alias_conflict"] * 7
        (standing,) = store.standing([f"phone-{phone}"]).values()
        assert answers[int(standing.link.user_id.removeprefix("user-"))][phone] is None


def test_two_aliases_that_would_close_a_circle_together_are_never_both_accepted(store):
    start = threading.Barrier(2)

    def claim(pair):
        start.wait()
        return [store.claim(alias(f"{pair[0]}{number}", f"{pair[1]}{number}")) for number in range(50)]

    with ThreadPoolExecutor(2) as pool:
        left, right = pool.map(claim, (("a", "b"), ("b", "a")))
    assert all({one, other} == {None, AliasRefusal.CYCLE} for one, other in zip(left, right, strict=True))


def test_products_are_apart_and_no_id_can_be_read_from_a_mark(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        store, other = (RedisIdentityStore(client, product=product) for product in ("onboarding", "mooc"))
        store.claim(alias("phone", "ada"))
        store.forget(store.mark_erased("ada"))
        assert other.standing(["ada", "phone"]) == {}
        assert client.keys("*") == [b"stillhere:{onboarding:alias}:erased"]
        assert not any(b"ada" in mark or b"phone" in mark for mark in client.smembers("stillhere:{onboarding:alias}:erased"))


def test_a_redis_that_is_not_there_is_a_store_error():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        with redis.Redis(port=listener.getsockname()[1], retry=None) as client:
            store = RedisIdentityStore(client, product="onboarding")
            for call in (
                lambda: store.claim(alias("a", "b")),
                lambda: store.standing(["a"]),
                lambda: store.ids_of("a"),
                lambda: store.forget(["a"]),
            ):
                with pytest.raises(StoreError, match="start Redis"):
                    call()
