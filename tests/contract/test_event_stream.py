"""One suite over both event streams: what is accepted is kept until acknowledged, and then gone."""

from __future__ import annotations

import pytest

from serving.adapters.event_stream import RedisEventStream
from serving.adapters.memory_event_stream import MemoryEventStream
from serving.adapters.redis_ledger import connect
from serving.ports import EventStreamError

MESSAGES = [(f"user-{number % 7}", f"message {number}".encode()) for number in range(40)]


@pytest.fixture(params=["memory", "redis"])
def stream(request, redis_url):
    if request.param == "memory":
        yield MemoryEventStream()
        return
    with connect(redis_url, timeout_ms=5_000) as client:
        yield RedisEventStream(client, product="onboarding", partitions=4)


def bodies(entries):
    return sorted(entry.body for entry in entries)


def test_everything_published_is_read_once(stream):
    stream.publish(MESSAGES)
    assert bodies(stream.read(limit=100, block_ms=1)) == sorted(body for _, body in MESSAGES)
    assert stream.read(limit=100, block_ms=1) == []


def test_a_users_messages_keep_their_order(stream):
    stream.publish(MESSAGES)
    read = [entry.body for entry in stream.read(limit=100, block_ms=1)]
    for user in range(7):
        sent = [body for user_id, body in MESSAGES if user_id == f"user-{user}"]
        assert [body for body in read if body in sent] == sent


def test_in_one_order_the_messages_of_all_ids_are_read_as_they_came(redis_url):
    with connect(redis_url, timeout_ms=5_000) as client:
        stream, before = (RedisEventStream(client, product="onboarding", partitions=4, one_order=is_one) for is_one in (True, False))
        stream.publish(MESSAGES[:20])
        stream.publish(MESSAGES[20:])
        assert [entry.body for entry in stream.read(limit=100, block_ms=1)] == [body for _, body in MESSAGES]
        before.publish(MESSAGES)  # by a service that was not restarted yet
        assert bodies(stream.read(limit=100, block_ms=1)) == sorted(body for _, body in MESSAGES)


def test_what_is_read_counts_as_backlog_until_acknowledged(stream):
    stream.publish(MESSAGES)
    entries = stream.read(limit=100, block_ms=1)
    assert stream.backlog() == 40
    stream.acknowledge(entries[:30])
    assert stream.backlog() == 10
    stream.acknowledge(entries[30:])
    assert stream.backlog() == 0


def test_what_was_read_and_not_acknowledged_can_be_claimed(stream):
    stream.publish(MESSAGES)
    entries = stream.read(limit=100, block_ms=1)
    stream.acknowledge(entries[:30])
    assert bodies(stream.claim(idle_ms=0, limit=3)) == bodies(entries[30:])


def test_nothing_acknowledged_is_claimed(stream):
    stream.publish(MESSAGES)
    stream.acknowledge(stream.read(limit=100, block_ms=1))
    assert stream.claim(idle_ms=0, limit=100) == []


def test_a_buried_message_is_a_dead_letter_with_its_reason_and_no_backlog(stream):
    stream.publish([("ada", b"?")])
    (entry,) = stream.read(limit=10, block_ms=1)
    stream.bury(entry, "malformed: no JSON")
    assert stream.dead_letters() == [(b"?", "malformed: no JSON")]
    assert stream.backlog() == 0
    assert stream.claim(idle_ms=0, limit=10) == []


def test_publishing_nothing_is_nothing(stream):
    stream.publish([])
    assert stream.backlog() == 0


def test_a_second_reader_gets_other_messages(redis_url):
    with connect(redis_url, timeout_ms=5_000) as client:
        readers = [RedisEventStream(client, product="p", partitions=2, consumer=f"worker-{number}") for number in (0, 1)]
        readers[0].publish(MESSAGES)
        both = [reader.read(limit=5, block_ms=1) for reader in readers]
    assert both[0]
    assert both[1]
    assert not {entry.body for entry in both[0]} & {entry.body for entry in both[1]}


def test_another_readers_messages_can_be_claimed_once_it_died(redis_url):
    with connect(redis_url, timeout_ms=5_000) as client:
        dead, heir = (RedisEventStream(client, product="p", partitions=2, consumer=name) for name in ("dead", "heir"))
        dead.publish(MESSAGES)
        taken = dead.read(limit=100, block_ms=1)
        assert bodies(heir.claim(idle_ms=0, limit=10)) == bodies(taken)
        assert heir.claim(idle_ms=3_600_000, limit=10) == []


def test_a_redis_that_lost_its_data_is_served_on(redis_url):
    with connect(redis_url, timeout_ms=5_000) as client:
        stream = RedisEventStream(client, product="onboarding", partitions=2)
        stream.publish([("ada", b"lost")])
        assert len(stream.read(limit=10, block_ms=1)) == 1
        client.flushall()
        stream.publish([("ada", b"after")])
        with pytest.raises(EventStreamError, match="NOGROUP"):
            stream.read(limit=10, block_ms=1)
        assert stream.claim(idle_ms=0, limit=10) == []
        assert [entry.body for entry in stream.read(limit=10, block_ms=1)] == [b"after"]


def test_two_products_share_no_stream(redis_url):
    with connect(redis_url, timeout_ms=5_000) as client:
        one, other = (RedisEventStream(client, product=name, partitions=2) for name in ("one", "other"))
        one.publish(MESSAGES)
        assert other.read(limit=10, block_ms=1) == []


def test_a_redis_that_is_away_is_a_named_error():
    with connect("redis://127.0.0.1:1/0") as client:
        stream = RedisEventStream(client, product="p", partitions=1)
        with pytest.raises(EventStreamError, match="start it or correct STILLHERE_REDIS_URL"):
            stream.publish(MESSAGES)
