"""What every TimelineStore promises, over memory and over Feast on Redis."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import redis
from feast.protos.feast.types.Value_pb2 import Value

from features.adapters.feast_store import FeastProfileStore, FeastTimelineStore, entity_key
from features.adapters.memory import MemoryTimelineStore
from features.core.catalogue import Kind
from features.core.event import Event
from features.core.timeline import pack, timeline_from_events, unpack
from features.ports import StoredTimeline, StoreError, TimelineStore, UnreadableUsersError
from tests.formats.other import as_version

KINDS = (Kind(name="login", keep=1000), Kind(name="click", keep=3, keep_first=1))
START = datetime(2026, 3, 1, tzinfo=UTC)


class Clock:
    """Stands still until it is moved."""

    def __init__(self, now_us: int) -> None:
        self.now_us = now_us

    def __call__(self) -> int:
        return self.now_us


@pytest.fixture
def clock() -> Clock:
    return Clock(1_000_000)


@pytest.fixture(params=["memory", "feast"])
def store(request, clock) -> TimelineStore:
    if request.param == "memory":
        return MemoryTimelineStore(kinds=KINDS, clock_us=clock)
    return FeastTimelineStore(request.getfixturevalue("feature_store"), kinds=KINDS, clock_us=clock)


def event(number: int, kind: str = "login") -> Event:
    at = START + timedelta(minutes=number)
    return Event(event_id=str(number), user_id="ada", kind=kind, occurred_at=at, received_at=at)


def timeline(*numbers: int, kind: str = "login"):
    return timeline_from_events([event(number, kind) for number in numbers], KINDS)


def test_an_unknown_user_has_no_bytes_and_version_zero(store):
    (row,) = store.read(["nobody"])
    assert (row.packed, row.version_us) == (b"", 0)


def test_reads_come_in_the_order_asked_for_unknown_and_repeated_users_among_them(store):
    store.merge({"ada": timeline(1), "bob": timeline(1, 2)})
    rows = store.read(["bob", "nobody", "ada", "bob"])
    assert [unpack(row.packed).n_events for row in rows] == [2, 0, 1, 2]


def test_nothing_asked_nothing_written(store):
    store.merge({})
    assert store.read([]) == []


def test_batches_in_any_order_with_repeats_give_the_same_bytes(store):
    for numbers in ((5, 6), (1, 2), (5, 1), (3,)):
        store.merge({"ada": timeline(*numbers)})
    assert store.read(["ada"])[0].packed == pack(timeline(1, 2, 3, 5, 6))


def test_a_merge_keeps_what_the_kinds_of_the_store_say(store):
    store.merge({"ada": timeline(*range(10), kind="click")})
    assert unpack(store.read(["ada"])[0].packed).n_events == 4


def test_the_version_follows_the_clock_and_never_stands_still_or_runs_back(store, clock):
    versions = []
    for number, now_us in enumerate((5_000_000, 5_000_000, 3_000_000, 9_000_000)):
        clock.now_us = now_us
        store.merge({"ada": timeline(number)})
        versions.append(store.read(["ada"])[0].version_us)
    assert versions == [5_000_000, 5_000_001, 5_000_002, 9_000_000]


def test_a_merge_that_changes_nothing_leaves_the_version(store, clock):
    store.merge({"ada": timeline(1)})
    clock.now_us += 1000
    store.merge({"ada": timeline(1)})
    assert store.read(["ada"])[0].version_us == 1_000_000


def test_a_long_id_in_any_script_is_a_user_like_any_other(store):
    name = "Zoë-名前-" * 14
    store.merge({name: timeline(1), name + "x": timeline(1, 2)})
    assert [unpack(row.packed).n_events for row in store.read([name, name + "x"])] == [1, 2]


def test_more_users_than_one_round_trip_holds(store):
    store.merge({f"user-{n}": timeline(n) for n in range(1100)})
    rows = store.read([f"user-{n}" for n in range(1100)])
    assert [row.packed for row in rows] == [pack(timeline(n)) for n in range(1100)]


def test_eight_writers_of_one_user_lose_nothing(store):
    start = threading.Barrier(8)

    def write(writer: int) -> None:
        start.wait()
        for number in range(50):
            store.merge({"ada": timeline(writer * 50 + number)})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert store.read(["ada"])[0].packed == pack(timeline(*range(400)))


def spoil(store, url, user_id, field_value):
    """Put bytes that are no timeline where the store keeps the user's."""
    if isinstance(store, MemoryTimelineStore):
        store._rows[user_id] = StoredTimeline(packed=field_value, version_us=store._rows[user_id].version_us)
        return
    (key,) = store._online._generate_redis_keys_for_entities(store._store.config, [entity_key(user_id)])
    with redis.Redis.from_url(url) as client:
        (field,) = [name for name in client.hkeys(key) if not name.startswith(b"_ts:")]
        client.hset(key, field, field_value)


SPOILT = [Value(bytes_val=b"rubbish").SerializeToString(), b"\xff\xff\xff"]  # no timeline in Feast's value; no value of Feast's


@pytest.mark.parametrize("spoilt", SPOILT)
def test_one_timeline_that_cannot_be_read_costs_nobody_else_their_events(store, redis_url, spoilt):
    users = [f"user-{n}" for n in range(20)]
    store.merge({"ada": timeline(1), **{user_id: timeline(1) for user_id in users}})
    spoil(store, redis_url, "ada", spoilt)
    with pytest.raises(UnreadableUsersError, match="user 'ada' cannot be read; run `stillhere rebuild ada`") as caught:
        store.merge({"ada": timeline(2), **{user_id: timeline(2) for user_id in users}})
    assert isinstance(caught.value, StoreError)
    assert caught.value.user_ids == ("ada",)
    assert [row.packed for row in store.read(users)] == [pack(timeline(1, 2))] * 20


def newer_than_we_are(store, url, *user_ids):
    """Make the stored timelines those of a release to come."""
    for user_id in user_ids:
        newer = as_version(store.read([user_id])[0].packed, 3)
        spoil(store, url, user_id, newer if isinstance(store, MemoryTimelineStore) else Value(bytes_val=newer).SerializeToString())


def test_a_timeline_of_a_newer_version_is_named_left_as_it_is_and_costs_nobody_else_their_events(store, redis_url):
    users = [f"user-{n}" for n in range(20)]
    store.merge({user_id: timeline(1) for user_id in ("ada", "eve", *users)})
    newer_than_we_are(store, redis_url, "ada")
    spoil(store, redis_url, "eve", SPOILT[0])
    before = store.read(["ada"])
    with pytest.raises(UnreadableUsersError) as caught:
        store.merge({user_id: timeline(2) for user_id in ("ada", "eve", *users)})
    assert str(caught.value) == (
        "the stored timeline of user 'eve' cannot be read; run `stillhere rebuild eve`; "
        "the stored timeline of user 'ada' was written by a newer version of Stillhere; upgrade this process"
    )
    assert (caught.value.user_ids, caught.value.newer) == (("ada", "eve"), {"ada"})
    assert store.read(["ada"]) == before
    assert [row.packed for row in store.read(users)] == [pack(timeline(1, 2))] * 20


def test_a_rebuild_goes_back_from_a_newer_version(store, redis_url):
    store.merge({"ada": timeline(1)})
    newer_than_we_are(store, redis_url, "ada")
    store.rebuild({"ada": timeline(1, 2)})
    store.merge({"ada": timeline(3)})
    assert store.read(["ada"])[0].packed == pack(timeline(1, 2, 3))


@pytest.mark.parametrize("spoilt", SPOILT)
def test_a_rebuild_replaces_what_cannot_be_read_and_merges_all_else(store, redis_url, spoilt):
    store.merge({"ada": timeline(1), "bob": timeline(1)})
    spoil(store, redis_url, "ada", spoilt)
    for _ in range(2):
        store.rebuild({"ada": timeline(2), "bob": timeline(2)})
    assert [row.packed for row in store.read(["ada", "bob"])] == [pack(timeline(2)), pack(timeline(1, 2))]


def test_rows_that_are_not_feasts_are_named_by_the_read(feature_store, redis_url, clock):
    store = FeastTimelineStore(feature_store, kinds=KINDS, clock_us=clock)
    store.merge({user_id: timeline(1) for user_id in ("ada", "bob", "eve")})
    spoil(store, redis_url, "bob", b"\xff\xff\xff")
    with pytest.raises(UnreadableUsersError) as caught:
        store.read(["ada", "bob", "eve", "nobody"])
    assert caught.value.user_ids == ("bob",)


def test_a_profile_that_is_not_feasts_is_named_by_the_read(feature_store, onboarding, redis_url):
    profiles = FeastProfileStore(feature_store, onboarding)
    profiles.write({user_id: {"plan": "free"} for user_id in ("ada", "bob")}, changed_us=1)
    (key,) = profiles._online._generate_redis_keys_for_entities(feature_store.config, [entity_key("bob")])
    with redis.Redis.from_url(redis_url) as client:
        for field in client.hkeys(key):
            if not field.startswith(b"_"):
                client.hset(key, field, b"\xff\xff\xff")
    with pytest.raises(UnreadableUsersError, match="the stored profile of user 'bob'") as caught:
        profiles.read(["ada", "bob"])
    assert caught.value.user_ids == ("bob",)
