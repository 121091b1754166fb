"""Two releases work on one Redis while the timelines' format changes: nothing is lost, nothing is doubled."""

from __future__ import annotations

import random
import threading
import time
from datetime import timedelta

import numpy as np
import pytest

from features.adapters.feast_online_store import ConditionalWrite
from features.adapters.feast_store import FeastTimelineStore
from features.adapters.raw_log import ParquetRawLog
from features.core.event import Event, to_us
from features.core.timeline import NewerTimelineFormatError, Timeline, merge, pack, timeline_from_events, unpack
from features.ports import StoredTimeline
from serving.adapters.event_stream import RedisEventStream
from serving.adapters.redis_ledger import connect
from serving.api.events import stream_body
from serving.worker import Worker
from tests.formats import v1
from tests.formats.other import as_version
from tests.serving_world import NOON
from tests.unified_world import UnifiedWorld

pytestmark = pytest.mark.timeout(120)

USERS = [f"user-{n}" for n in range(40)]


class FirstRelease(FeastTimelineStore):
    """The timelines as a process that knows only version 1 reads and writes them."""

    def _attempt(self, updates, unreadable):
        writes = {}
        for user_id, row in zip(updates, self._read_versioned(list(updates)), strict=True):
            try:
                stored = read(row.packed)
            except v1.NewerError as exc:
                unreadable[user_id] = NewerTimelineFormatError(str(exc))
                continue
            merged = merge(stored, updates[user_id], self._kinds)
            packed = v1.write(*([tuple(one) for one in part.T.tolist()] for part in (merged.events, merged.let_go)))
            if packed != row.packed:
                writes[user_id] = ConditionalWrite(packed=packed, expected=row.version, version_us=row.version_us + 1)
        done = self._write(list(writes), list(writes.values()))
        return [user_id for user_id, was_done in zip(writes, done, strict=True) if not was_done]


def read(packed):
    rows, let_go = v1.read(packed)
    return Timeline(events=np.array(rows, np.int64).reshape(-1, 8).T, let_go=np.array(let_go, np.int64).reshape(-1, 3).T)


def items(chance, n):
    """Events of all users, interleaved, some more than a kind keeps, some sent twice."""
    one_user = ["user-0"] * (n // 4)
    sent = [
        {
            "event_id": f"e{chance.randrange(10**9)}",
            "user_id": user_id,
            "kind": "login",
            "occurred_at": (NOON - timedelta(seconds=chance.randrange(10**6))).isoformat(),
        }
        for user_id in [*USERS * (n // len(USERS)), *one_user]
    ]
    sent += sent[::5]
    chance.shuffle(sent)
    return sent


def event(item):
    return Event(
        event_id=item["event_id"],
        user_id=item["user_id"],
        kind=item["kind"],
        occurred_at=NOON.fromisoformat(item["occurred_at"]),
        received_at=NOON,
    )


@pytest.fixture
def releases(redis_url, feature_store, onboarding, tmp_path):
    """An old and a new worker on one Redis and one raw log; either takes over what was taken 50 ms ago."""
    raw_log = ParquetRawLog(tmp_path / "raw")
    with connect(redis_url, timeout_ms=5_000) as client:

        def worker(name, store_class):
            return Worker(
                product=onboarding,
                stream=RedisEventStream(client, product=onboarding.name, partitions=4, consumer=name),
                timelines=store_class(feature_store, kinds=onboarding.catalogue.kinds, clock_us=lambda: to_us(NOON)),
                profiles=None,
                raw_log=raw_log,
                exporter=None,
                now_us=lambda: time.monotonic_ns() // 1000,
                log_delay_us=0,
                claim_every_us=20_000,
                abandoned_after_ms=50,
            )

        yield worker("old", FirstRelease), worker("new", FeastTimelineStore)


def publish(stream, some):
    stream.publish([(item["user_id"], stream_body(item, to_us(NOON))) for item in some])


def stored(worker, user_id):
    return worker.timelines.read([user_id])[0].packed


def drained(worker):
    """Let the worker go on until everything that was accepted is done."""
    deadline_s = time.monotonic() + 60
    while worker.stream.backlog() and time.monotonic() < deadline_s:
        worker.step(block_ms=5)
    worker.finish()


def check_everything(worker, sent, onboarding):
    kinds = onboarding.catalogue.kinds
    for user_id in USERS:
        expected = timeline_from_events([event(item) for item in sent if item["user_id"] == user_id], kinds)
        assert stored(worker, user_id) == pack(expected), user_id
    logged = worker.raw_log.scan().select(["user_id", "event_id"]).to_pylist()
    assert sorted((row["user_id"], row["event_id"]) for row in logged) == sorted({(item["user_id"], item["event_id"]) for item in sent})
    assert worker.stream.dead_letters() == []
    assert worker.stream.backlog() == 0


def test_an_old_worker_leaves_newer_timelines_to_the_newer_worker_and_serves_all_others(releases, onboarding):
    old, new = releases
    chance = random.Random(5)
    first, second, third = (items(chance, 40) for _ in range(3))
    publish(old.stream, first)
    old.step(block_ms=5)
    old.step(block_ms=5)
    assert {stored(old, user_id)[3] for user_id in USERS} == {1}
    upgraded = [item for item in second if item["user_id"] in USERS[:20]]
    publish(new.stream, upgraded)
    new.step(block_ms=5)
    assert [stored(old, user_id)[3] for user_id in USERS] == [2] * 20 + [1] * 20
    before = [stored(old, user_id) for user_id in USERS]
    publish(old.stream, third)
    old.step(block_ms=5)
    old.finish()
    assert [stored(old, user_id) == bytes_before for user_id, bytes_before in zip(USERS, before, strict=True)] == [True] * 20 + [False] * 20
    assert old.stream.backlog() == sum(item["user_id"] in USERS[:20] for item in third)
    drained(new)
    # What nobody sent an event of since is still as the old release wrote it, and as good; the next event brings it along.
    assert [stored(new, user_id)[3] for user_id in USERS] == [2] * 20 + [1] * 20
    publish(new.stream, [item for item in third if item["user_id"] in USERS[20:]])
    drained(new)
    check_everything(new, [*first, *upgraded, *third], onboarding)


@pytest.mark.parametrize("seed", [1, 2])
def test_both_at_once_and_the_old_one_killed_in_the_middle_lose_and_double_nothing(releases, onboarding, seed):
    old, new = releases
    old.log_delay_us = 10**12  # it merges, and never comes to acknowledge anything
    sent = items(random.Random(seed), 600)
    killed = threading.Event()

    def old_works():
        while not killed.is_set():
            old.step(block_ms=1)

    for worker, part in ((old, sent[:150]), (new, sent[150:200]), (old, sent[200:250])):
        publish(worker.stream, part)
        worker.step(block_ms=5)
    assert old._is_outdated
    thread = threading.Thread(target=old_works)
    thread.start()
    for start in range(250, 450, 10):
        publish(new.stream, sent[start : start + 10])
        new.step(block_ms=1)
    killed.set()
    thread.join()
    for start in range(450, len(sent), 50):
        publish(new.stream, sent[start : start + 50])
    drained(new)
    check_everything(new, sent, onboarding)


def test_what_leads_to_a_newer_timeline_waits_with_it(onboarding):
    world = UnifiedWorld(onboarding)
    rows = world.stored_timelines._store._rows
    login = {"kind": "login", "occurred_at": NOON.isoformat()}
    publish(world.stream, [{**login, "event_id": "e1", "user_id": "ada"}, {**login, "event_id": "e2", "user_id": "phone"}])
    world.worker().step(block_ms=0)
    ours = rows["ada"]
    rows["ada"] = StoredTimeline(packed=as_version(ours.packed, 3), version_us=ours.version_us)
    alias = {"type": "alias", "event_id": "a1", "previous_id": "phone", "user_id": "ada", "occurred_at": NOON.isoformat()}
    for some in ([alias], [{**login, "event_id": "e3", "user_id": "phone"}, {**login, "event_id": "e4", "user_id": "ben"}]):
        publish(world.stream, some)
        world.worker().step(block_ms=0)
    assert (world.stream.backlog(), world.stream.dead_letters(), world.stored_aliases.aliases) == (2, [], [])

    rows["ada"] = ours  # which is what a newer worker would read
    world.worker().recover()
    assert [unpack(world.packed(user_id)).n_events for user_id in ("ada", "phone", "ben")] == [3, 2, 1]
    assert (world.stream.backlog(), world.stream.dead_letters(), len(world.stored_aliases.aliases)) == (0, [], 1)
