"""What every TimelineStore promises, over memory and over Feast on Redis."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from features.adapters.feast_store import FeastTimelineStore
from features.adapters.memory import MemoryTimelineStore
from features.core.catalogue import Kind
from features.core.event import Event
from features.core.timeline import pack, timeline_from_events, unpack
from features.ports import TimelineStore

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
