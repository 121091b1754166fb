"""Unified timelines over each pair of stores: writers and aliases that run at once lose nothing."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import redis

from features.adapters.feast_store import FeastTimelineStore
from features.adapters.memory import MemoryTimelineStore
from features.adapters.memory_identities import MemoryIdentityStore
from features.adapters.redis_identities import RedisIdentityStore
from features.core.alias import Alias, attach
from features.core.catalogue import Kind
from features.core.event import Event
from features.core.timeline import merge, pack, timeline_from_events
from features.ingest.unified import UnifiedTimelineStore

KINDS = (Kind(name="login", keep=1000),)
START = datetime(2026, 3, 1, tzinfo=UTC)
CHAIN = (("phone", "laptop"), ("laptop", "tablet"), ("tablet", "ada"))
IDS = ("phone", "laptop", "tablet", "ada")
LATE = timedelta(days=1)


@pytest.fixture(params=["memory", "feast on redis"])
def store(request):
    if request.param == "memory":
        inner = MemoryTimelineStore(kinds=KINDS, clock_us=lambda: 1)
        yield UnifiedTimelineStore(inner=inner, identities=MemoryIdentityStore(), kinds=KINDS)
        return
    inner = FeastTimelineStore(request.getfixturevalue("feature_store"), kinds=KINDS, clock_us=lambda: 1)
    with redis.Redis.from_url(request.getfixturevalue("redis_url")) as client:
        yield UnifiedTimelineStore(inner=inner, identities=RedisIdentityStore(client, product="onboarding"), kinds=KINDS)


def timeline(user_id, number):
    at = START + timedelta(minutes=number)
    return timeline_from_events(
        [Event(event_id=f"{user_id}-{number}", user_id=user_id, kind="login", occurred_at=at, received_at=at)], KINDS
    )


def test_events_and_aliases_of_a_chain_at_once_end_as_if_they_had_come_one_by_one(store):
    start = threading.Barrier(len(IDS) + 2 * len(CHAIN))

    def write(user_id):
        start.wait()
        for number in range(40):
            store.merge({user_id: timeline(user_id, number)})

    def join(link):
        start.wait()
        previous_id, user_id = link
        assert store.identities.claim(Alias(previous_id=previous_id, user_id=user_id, occurred_at=START, received_at=START + LATE)) is None
        store.carry(previous_id)

    with ThreadPoolExecutor(start.parties) as pool:
        done = [pool.submit(write, user_id) for user_id in IDS] + [pool.submit(join, link) for link in (*CHAIN, *CHAIN)]
        for one in done:
            one.result()
    expected = timeline(IDS[-1], 0)
    for user_id in IDS:
        for number in range(40):
            one = timeline(user_id, number)
            expected = merge(expected, one if user_id == "ada" else attach(one, int((START + LATE).timestamp()) * 1_000_000), KINDS)
    assert store.read(["ada"])[0].packed == pack(expected)


def test_attaching_again_and_again_writes_nothing_new(store):
    store.merge({"phone": timeline("phone", 1)})
    for _ in range(3):
        store.identities.claim(Alias(previous_id="phone", user_id="ada", occurred_at=START, received_at=START + LATE))
        store.carry("phone")
    (row,) = store.read(["ada"])
    assert row.version_us == 1
    store.carry("ada")
    assert store.read(["ada"]) == [row]


def test_an_empty_timeline_is_attached_without_a_trace(store):
    store.identities.claim(Alias(previous_id="phone", user_id="ada", occurred_at=START, received_at=START))
    store.carry("phone")
    assert store.read(["ada"])[0].packed == b""
