from __future__ import annotations

from datetime import timedelta

import pytest

from features.adapters.memory import MemoryProfileStore, MemoryTimelineStore
from features.adapters.raw_log import MemoryRawLog
from features.core.event import to_us
from features.core.timeline import unpack
from features.ports import StoredTimeline, StoreError
from serving.adapters.memory_event_stream import MemoryEventStream
from serving.api.events import stream_body
from serving.worker import Worker
from tests.formats.other import as_version
from tests.serving_world import NOON

NOW_US = to_us(NOON)


class Clock:
    def __init__(self) -> None:
        self.now_us = NOW_US

    def __call__(self) -> int:
        return self.now_us


class Away:
    """A store that is down until told otherwise."""

    def __init__(self, inner) -> None:
        self.inner = inner
        self.is_down = True

    def __getattr__(self, name):
        if self.is_down:
            raise StoreError(f"{name}: Redis is away")
        return getattr(self.inner, name)


@pytest.fixture
def stream():
    return MemoryEventStream()


@pytest.fixture
def parts(onboarding, stream):
    """A worker's parts, and the clock they share."""
    clock = Clock()
    timelines = MemoryTimelineStore(kinds=onboarding.catalogue.kinds, clock_us=clock)
    stores = {"timelines": timelines, "profiles": MemoryProfileStore(), "raw_log": MemoryRawLog()}
    return {"product": onboarding, "stream": stream, "exporter": None, "now_us": clock, **stores}


def sent(stream, *items):
    stream.publish([(str(item.get("user_id")), stream_body(item, NOW_US)) for item in items])


def login(number=1, user_id="ada"):
    return {"event_id": f"e{number}", "user_id": user_id, "kind": "login", "occurred_at": (NOON - timedelta(seconds=number)).isoformat()}


def n_events(parts, user_id="ada"):
    return unpack(parts["timelines"].read([user_id])[0].packed).n_events


def test_an_event_is_in_the_timeline_after_one_step(parts, stream):
    sent(stream, login(1), login(2), login(1, "ben"))
    Worker(**parts).step(block_ms=0)
    assert (n_events(parts), n_events(parts, "ben")) == (2, 1)


def test_a_profile_change_is_in_the_profile(parts, stream):
    sent(stream, {"type": "identify", "user_id": "ada", "occurred_at": NOON.isoformat(), "traits": {"plan": "free", "consent": True}})
    Worker(**parts).step(block_ms=0)
    assert parts["profiles"].read(["ada"]) == [{"plan": "free", "consent": True}]


def test_nothing_is_acknowledged_before_it_is_in_the_raw_log(parts, stream):
    sent(stream, login())
    worker = Worker(**parts, log_delay_us=1_000_000)
    worker.step(block_ms=0)
    assert (stream.backlog(), parts["raw_log"].scan().num_rows) == (1, 0)
    parts["now_us"].now_us += 1_000_000
    worker.step(block_ms=0)
    assert (stream.backlog(), parts["raw_log"].scan().num_rows) == (0, 1)


def test_an_orderly_stop_leaves_nothing_behind(parts, stream):
    sent(stream, login())
    worker = Worker(**parts, log_delay_us=10**9)
    worker.step(block_ms=0)
    worker.finish()
    assert (stream.backlog(), parts["raw_log"].scan().num_rows) == (0, 1)


@pytest.mark.parametrize("body", [b"?", b"[]", b"{}", b'{"received_us":1e30,"item":{}}', b'{"received_us":1,"item":[]}', b""])
def test_a_poison_message_is_buried_and_nothing_else_is_lost(parts, stream, body):
    sent(stream, login(1))
    stream.publish([("ada", body)])
    sent(stream, login(2))
    worker = Worker(**parts)
    worker.step(block_ms=0)
    worker.finish()
    assert n_events(parts) == 2
    assert [dead for dead, _ in stream.dead_letters()] == [body]
    assert stream.backlog() == 0


def test_a_message_of_a_kind_that_is_no_longer_declared_is_buried_with_its_reason(parts, stream):
    sent(stream, {**login(), "kind": "gone"})
    Worker(**parts).step(block_ms=0)
    ((_, reason),) = stream.dead_letters()
    assert reason.startswith("unknown_kind: kind: got 'gone'")


def test_what_a_dead_worker_had_taken_is_applied_at_the_next_start_and_merging_twice_changes_nothing(parts, stream):
    sent(stream, login(1), login(2))
    Worker(**parts, log_delay_us=10**9).step(block_ms=0)  # dies here: merged, neither logged nor acknowledged
    before = parts["timelines"].read(["ada"])
    assert Worker(**parts).recover() == 2
    assert parts["timelines"].read(["ada"])[0].packed == before[0].packed
    assert parts["raw_log"].scan().num_rows == 2
    assert stream.backlog() == 0


def test_a_store_that_fails_leaves_its_messages_pending(parts, stream):
    away = Away(parts["timelines"])
    sent(stream, login())
    with pytest.raises(StoreError):
        Worker(**{**parts, "timelines": away}).step(block_ms=0)
    away.is_down = False
    assert Worker(**{**parts, "timelines": away}).recover() == 1
    assert n_events(parts) == 1


class StopsLater:
    """A flag that is set after a number of looks; waiting passes no time."""

    def __init__(self, looks: int) -> None:
        self.looks = looks
        self.waited: list[float] = []

    def is_set(self) -> bool:
        self.looks -= 1
        return self.looks < 0

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)


def test_the_worker_outlives_a_store_that_is_away_for_a_while(parts, stream):
    class AwayTwice(Away):
        def __getattr__(self, name):
            self.is_down = len(stop.waited) < 2
            return super().__getattr__(name)

    stop = StopsLater(looks=4)
    sent(stream, login())
    Worker(**{**parts, "timelines": AwayTwice(parts["timelines"])}).run(stop)
    assert len(stop.waited) == 2
    assert n_events(parts) == 1
    assert stream.backlog() == 0


def test_receipts_are_exported_when_due_and_at_the_end(parts):
    class Counts:
        n = 0

        def export(self):
            self.n += 1
            return 0

    exporter = Counts()
    worker = Worker(**{**parts, "exporter": exporter}, export_every_us=5)
    worker.step(block_ms=0)
    worker.step(block_ms=0)
    assert exporter.n == 1
    parts["now_us"].now_us += 5
    worker.step(block_ms=0)
    worker.finish()
    assert exporter.n == 3


def test_one_timeline_that_cannot_be_read_stops_nobody_elses_events(parts, stream):
    users = [f"user-{n}" for n in range(20)]
    parts["timelines"]._rows["ada"] = StoredTimeline(packed=b"rubbish", version_us=1)
    sent(stream, login(1), *(login(1, user_id) for user_id in users), login(2))
    worker = Worker(**parts)
    worker.step(block_ms=0)
    worker.finish()
    assert [n_events(parts, user_id) for user_id in users] == [1] * 20
    assert stream.backlog() == 0
    reasons = [reason for _, reason in stream.dead_letters()]
    assert len(reasons) == 2
    assert reasons[0].startswith("unreadable_timeline: the stored timeline of user 'ada' cannot be read")
    assert parts["raw_log"].scan()["user_id"].to_pylist().count("ada") == 2  # what a rebuild brings back


def test_events_of_a_newer_timeline_stay_pending_and_a_newer_worker_takes_them_over(parts, stream):
    rows, clock = parts["timelines"]._rows, parts["now_us"]
    sent(stream, login(1), login(1, "ben"))
    Worker(**parts).step(block_ms=0)
    stream.acknowledge(stream.claim(idle_ms=0, limit=9))
    ours = rows["ada"]
    rows["ada"] = StoredTimeline(packed=as_version(ours.packed, 3), version_us=ours.version_us)
    sent(stream, login(2), login(2, "ben"))
    outdated = Worker(**parts)
    for _ in range(3):  # it does not take over what it left itself
        clock.now_us += 60_000_000
        outdated.step(block_ms=0)
    outdated.finish()
    assert (n_events(parts, "ben"), stream.backlog(), stream.dead_letters()) == (2, 1, [])
    assert "ada" not in parts["raw_log"].scan()["user_id"].to_pylist()

    rows["ada"] = ours  # which is what a newer worker would read
    newer = Worker(**parts)
    newer.step(block_ms=0)
    newer.finish()
    assert (n_events(parts), stream.backlog(), stream.dead_letters()) == (2, 0, [])
    assert parts["raw_log"].scan()["user_id"].to_pylist().count("ada") == 1


def test_what_another_worker_left_is_taken_over_while_working_and_our_own_is_not_done_again(parts, stream):
    class CountsReads(MemoryRawLog):
        def append(self, events):
            appended.append(len(events))
            super().append(events)

    appended = []
    sent(stream, login(1))
    Worker(**parts, log_delay_us=10**12).step(block_ms=0)  # dies here
    worker = Worker(**{**parts, "raw_log": CountsReads()}, log_delay_us=10**12)
    for _ in range(3):
        worker.step(block_ms=0)
        parts["now_us"].now_us += worker.claim_every_us
    worker.finish()
    assert (appended, stream.backlog()) == ([1], 0)


def test_the_profile_changes_of_one_batch_are_one_write(parts, stream):
    class Counts(MemoryProfileStore):
        n_writes = 0

        def write_history(self, history):
            self.n_writes += 1
            super().write_history(history)

    profiles = Counts()
    identify = {"type": "identify", "occurred_at": NOON.isoformat()}
    sent(stream, *({**identify, "user_id": user_id, "traits": {"plan": plan}} for user_id, plan in (("ada", "free"), ("ben", "team"))))
    sent(stream, {**identify, "user_id": "ada", "traits": {"plan": "team", "consent": True}})
    Worker(**{**parts, "profiles": profiles}).step(block_ms=0)
    assert profiles.n_writes == 1
    assert profiles.read(["ada", "ben"]) == [{"plan": "team", "consent": True}, {"plan": "team"}]
