"""The compare-and-set writer: nothing is lost between a read and a write, whoever comes in between."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
import redis
from feast import RepoConfig
from feast.infra.online_stores.redis import RedisOnlineStore
from feast.protos.feast.types.Value_pb2 import Value

from features.adapters.feast_online_store import PACKED, TimelineOnlineStore, TimelineOnlineStoreConfig, user_keys
from features.adapters.feast_store import FeastTimelineStore, entity_key, open_store
from features.core.catalogue import Kind
from features.core.event import Event, from_us
from features.core.timeline import pack, timeline_from_events, unpack
from features.home import Home
from features.ports import StoreError

KINDS = (Kind(name="login", keep=1000),)
START = datetime(2026, 3, 1, tzinfo=UTC)
NOW_US = 1_772_000_000_000_000
DEADLINE_S = 30


def timeline(*numbers: int):
    events = [
        Event(event_id=str(n), user_id="ada", kind="login", occurred_at=START + timedelta(minutes=n), received_at=START + timedelta(days=9))
        for n in numbers
    ]
    return timeline_from_events(events, KINDS)


def timeline_store(feature_store, kind=FeastTimelineStore, **options):
    return kind(feature_store, kinds=KINDS, clock_us=lambda: NOW_US, **options)


class PausingStore(FeastTimelineStore):
    """Says when its first write has been prepared, and goes on when told to."""

    def __init__(self, *arguments, **options) -> None:
        super().__init__(*arguments, **options)
        self.has_read, self.may_write = threading.Event(), threading.Event()
        self.attempts = 0

    def _write(self, user_ids, writes):
        self.attempts += 1
        if self.attempts == 1:
            self.has_read.set()
            assert self.may_write.wait(DEADLINE_S)
        return super()._write(user_ids, writes)


class NaivePausingStore(PausingStore):
    """The control: the same read and merge, written the way Feast's own Redis store writes."""

    def _write(self, user_ids, writes):
        super()._write([], [])  # the pause alone
        rows = [
            (entity_key(user_id), {PACKED: Value(bytes_val=write.packed)}, from_us(write.version_us + 1), None)
            for user_id, write in zip(user_ids, writes, strict=True)
        ]
        RedisOnlineStore.online_write_batch(self._online, self._store.config, self._view, rows, None)
        return [True] * len(rows)


def write_between_read_and_write(slow: PausingStore, fast: FeastTimelineStore) -> set[int]:
    """How many events are stored when `fast` writes 25 while `slow`, with 25 others, has read and not yet written."""
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(slow.merge, {"ada": timeline(*range(25))})
        assert slow.has_read.wait(DEADLINE_S)
        fast.merge({"ada": timeline(*range(25, 50))})
        slow.may_write.set()
        writing.result(DEADLINE_S)
    return unpack(fast.read(["ada"])[0].packed).n_events


@pytest.mark.parametrize("before", [(), (100,)], ids=["new user", "known user"])
def test_a_writer_paused_between_read_and_write_loses_nothing(feature_store, before):
    fast, slow = timeline_store(feature_store), timeline_store(feature_store, PausingStore)
    fast.merge({"ada": timeline(*before)})
    assert write_between_read_and_write(slow, fast) == 50 + len(before)
    assert fast.read(["ada"])[0].packed == pack(timeline(*range(50), *before))
    assert slow.attempts == 2


def test_the_same_pause_makes_a_plain_write_lose_events(feature_store):
    assert write_between_read_and_write(timeline_store(feature_store, NaivePausingStore), timeline_store(feature_store)) == 25


class RecordingStore(PausingStore):
    """Notes which users each write was for."""

    def __init__(self, *arguments, **options) -> None:
        super().__init__(*arguments, **options)
        self.written = []

    def _write(self, user_ids, writes):
        self.written.append(list(user_ids))
        return super()._write(user_ids, writes)


def test_only_the_users_that_lost_are_written_again(feature_store):
    fast, slow = timeline_store(feature_store), timeline_store(feature_store, RecordingStore)
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(slow.merge, {name: timeline(1) for name in ("ada", "bob", "eve")})
        assert slow.has_read.wait(DEADLINE_S)
        fast.merge({"bob": timeline(2)})
        slow.may_write.set()
        writing.result(DEADLINE_S)
    assert slow.written == [["ada", "bob", "eve"], ["bob"]]
    assert [unpack(row.packed).n_events for row in fast.read(["ada", "bob", "eve"])] == [1, 2, 1]


class UnluckyStore(FeastTimelineStore):
    """Another writer comes first, every time."""

    n_writes = 0

    def _write(self, user_ids, writes):
        self.n_writes += 1
        timeline_store(self._store).merge({"ada": timeline(self.n_writes)})
        return super()._write(user_ids, writes)


def test_a_writer_that_always_comes_second_gives_up_with_a_clear_error(feature_store):
    pauses_s = []
    with pytest.raises(StoreError, match=r"1 timelines not stored: lost against other writers \d+ times; retry"):
        timeline_store(feature_store, UnluckyStore, pause_s=pauses_s.append).merge({"ada": timeline(0)})
    assert max(pauses_s) <= 0.02


class CountingOnlineStore(TimelineOnlineStore):
    """Notes each round trip and how many users it was for."""

    def __init__(self) -> None:
        super().__init__()
        self.round_trips = []

    def _read_hash_fields(self, config, commands):
        self.round_trips.append(("read", len(commands)))
        return super()._read_hash_fields(config, commands)

    def _run_script(self, config, script, arguments):
        self.round_trips.append(("write", len(arguments)))
        return super()._run_script(config, script, arguments)


def test_five_hundred_users_take_one_read_and_one_write(feature_store):
    store = timeline_store(feature_store)
    store._online = CountingOnlineStore()
    store.merge({f"user-{n}": timeline(n) for n in range(500)})
    assert store._online.round_trips == [("read", 500), ("write", 500)]


def test_a_redis_that_forgot_the_script_is_taught_it_again(feature_store, redis_url):
    store = timeline_store(feature_store)
    store.merge({"ada": timeline(1)})
    with redis.Redis.from_url(redis_url) as client:
        client.script_flush()
    store.merge({"ada": timeline(2)})
    assert unpack(store.read(["ada"])[0].packed).n_events == 2


def test_feast_itself_refuses_to_write_timelines(feature_store):
    store = timeline_store(feature_store)
    store.merge({"ada": timeline(1, 2, 3)})
    before = store.read(["ada"])
    row = pd.DataFrame({"user_id": ["ada"], PACKED: [pack(timeline(1))], "event_timestamp": [pd.Timestamp(START + timedelta(days=999))]})
    with pytest.raises(ValueError, match="'timeline' has no batch_source"):
        feature_store.write_to_online_store("timeline", row)
    with pytest.raises(ValueError, match="timeline is not configured to be served online"):
        feature_store.materialize(START, START + timedelta(days=1), feature_views=["timeline"])
    assert store.read(["ada"]) == before


def test_a_feast_that_would_let_timelines_through_meets_the_store(feature_store):
    store = timeline_store(feature_store)
    store.merge({"ada": timeline(1, 2, 3)})
    before = store.read(["ada"])
    rows = [(entity_key("ada"), {PACKED: Value(bytes_val=pack(timeline(1)))}, START + timedelta(days=999), None)]
    config, provider = feature_store.config, feature_store.provider
    with pytest.raises(StoreError, match="the view 'timeline' is written by merging alone, got 1 rows"):
        provider.online_write_batch(config, store._view, rows, None)
    with pytest.raises(StoreError, match="the view 'timeline' is written by merging alone"):
        asyncio.run(provider.online_write_batch_async(config, store._view, rows, None))
    assert store.read(["ada"]) == before


def test_unregistering_the_view_deletes_nobodys_timeline(feature_store):
    store = timeline_store(feature_store)
    store.merge({"ada": timeline(1)})
    store._online.update(feature_store.config, [store._view], [], [], [], partial=False)
    assert unpack(store.read(["ada"])[0].packed).n_events == 1


def test_bytes_that_are_no_timeline_are_an_error_that_names_the_user(feature_store, redis_url):
    store = timeline_store(feature_store)
    store.merge({"ada": timeline(1)})
    with redis.Redis.from_url(redis_url) as client:
        (key,) = client.keys()
        (field,) = [name for name in client.hkeys(key) if not name.startswith(b"_ts:")]
        client.hset(key, field, Value(bytes_val=b"rubbish").SerializeToString())
    with pytest.raises(StoreError, match="the stored timeline of user 'ada' cannot be read; run `stillhere rebuild ada`"):
        store.merge({"ada": timeline(2)})


def test_a_redis_that_is_away_is_a_store_error(onboarding, tmp_path):
    store = timeline_store(open_store(onboarding, Home(tmp_path), "redis://127.0.0.1:1/0"))
    with pytest.raises(StoreError, match=r"could not read timelines: .*; is Redis running"):
        store.read(["ada"])
    with pytest.raises(StoreError, match="could not read timelines"):
        store.merge({"ada": timeline(1)})


def test_users_expire_when_a_time_to_live_is_set(onboarding, tmp_path, redis_url):
    store = timeline_store(open_store(onboarding, Home(tmp_path), redis_url, key_ttl_s=3600))
    store.merge({"ada": timeline(1)})
    with redis.Redis.from_url(redis_url) as client:
        (key,) = client.keys()
        assert 3500 < client.ttl(key) <= 3600


def test_the_store_finds_the_bundled_redis_of_a_directory_or_says_that_there_is_none(redis_server, tmp_path):
    variable = "${STILLHERE_REDIS_URL}"  # what an unset variable of feature_store.yaml stays
    found = TimelineOnlineStoreConfig(redis_url=variable, bundled_dir=str(redis_server.directory))
    assert found.address() == redis_server.url
    with pytest.raises(StoreError, match=r"no Redis runs over .*; start one"):
        TimelineOnlineStoreConfig(redis_url=variable, bundled_dir=str(tmp_path)).address()


def test_keys_are_made_as_feast_makes_them() -> None:
    config = RepoConfig(project="onboarding", provider="local", registry="none.db", entity_key_serialization_version=3)
    users = ["ada", "", "Zoë 😀", "x" * 128]
    expected = RedisOnlineStore()._generate_redis_keys_for_entities(config, [entity_key(user) for user in users])
    assert user_keys(config, users) == expected
