"""The event log as Redis Streams: one stream per partition, one consumer group, removed once acknowledged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis

from features.core.event import text_hash
from serving.ports import EventStreamError, StreamEntry

_GROUP = "timelines"
_BODY = b"body"
_BEGINNING = "0"
_UNREAD = ">"


class RedisEventStream:
    """Accepted messages in Redis, ``stillhere:<product>:events:<partition>``; dead letters in ``stillhere:<product>:dead``.

    An acknowledged entry is deleted, so the length of a stream is its backlog. A user id's messages are all in one partition and therefore
    in order, those of a person with several ids are not unless there is ``one_order``; a worker may read any number of partitions.

    Parameters
    ----------
    client
        Answers bytes (``decode_responses=False``).
    product
        Name of the product.
    partitions
        Number of streams. Changing it while messages wait breaks the order of some users, never their timelines.
    one_order
        Append everybody's messages to the first stream, where they are read in the order in which they came: where a person's answer
        decides about what is told of them under another of their ids. All streams are read as ever.
    consumer
        Name of this reader within the group, for whoever looks into Redis; nothing is read again by name.
    """

    def __init__(self, client: redis.Redis, *, product: str, partitions: int, consumer: str = "worker-0", one_order: bool = False) -> None:
        self._client = client
        self._n_published_to = 1 if one_order else partitions
        self._consumer = consumer
        self._keys = [f"stillhere:{product}:events:{partition}" for partition in range(partitions)]
        self._partition_of_key = {key.encode(): partition for partition, key in enumerate(self._keys)}
        self._dead_key = f"stillhere:{product}:dead"
        self._has_groups = False

    def publish(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Append in one round trip and one transaction: all messages or none."""
        with _wrapped("publish"), self._client.pipeline(transaction=True) as pipeline:
            for user_id, body in messages:
                pipeline.xadd(self._keys[text_hash(user_id) % self._n_published_to], {_BODY: body})
            pipeline.execute()

    def read(self, *, limit: int, block_ms: int) -> list[StreamEntry]:
        """Entries nobody has read yet, of all partitions."""
        with _wrapped("read"):
            self._ensure_groups()
            streams = dict.fromkeys(self._keys, _UNREAD)
            answer = self._client.xreadgroup(_GROUP, self._consumer, streams, count=limit, block=block_ms or None)
        return [entry for key, rows in answer or [] for entry in self._entries(self._partition_of_key[key], rows)]

    def claim(self, *, idle_ms: int, limit: int) -> list[StreamEntry]:
        """Entries left behind by a reader that died or could not apply them, of all partitions (``XAUTOCLAIM``)."""
        self._has_groups = False  # this is asked first after a failure, and a Redis that lost its data lost the groups as well
        with _wrapped("claim"):
            self._ensure_groups()
            return [
                entry for partition in range(len(self._keys)) for entry in self._claim_partition(partition, idle_ms=idle_ms, limit=limit)
            ]

    def acknowledge(self, entries: Sequence[StreamEntry]) -> None:
        """Acknowledge and delete, in one transaction."""
        ids_of_partition: dict[int, list[str]] = defaultdict(list)
        for entry in entries:
            ids_of_partition[entry.partition].append(entry.entry_id)
        with _wrapped("acknowledge"), self._client.pipeline(transaction=True) as pipeline:
            for partition, ids in ids_of_partition.items():
                pipeline.xack(self._keys[partition], _GROUP, *ids)
                pipeline.xdel(self._keys[partition], *ids)
            pipeline.execute()

    def bury(self, entry: StreamEntry, reason: str) -> None:
        """Dead-letter and acknowledge in one transaction: the entry is always in exactly one place."""
        key = self._keys[entry.partition]
        with _wrapped("bury"), self._client.pipeline(transaction=True) as pipeline:
            pipeline.xadd(self._dead_key, {_BODY: entry.body, "reason": reason, "partition": entry.partition, "entry_id": entry.entry_id})
            pipeline.xack(key, _GROUP, entry.entry_id)
            pipeline.xdel(key, entry.entry_id)
            pipeline.execute()

    def backlog(self) -> int:
        """Messages accepted and not yet acknowledged."""
        with _wrapped("backlog"), self._client.pipeline(transaction=False) as pipeline:
            for key in self._keys:
                pipeline.xlen(key)
            return int(sum(pipeline.execute()))

    def dead_letters(self) -> list[tuple[bytes, str]]:
        """``(body, reason)`` of every buried entry, oldest first."""
        with _wrapped("read the dead letters"):
            return [(fields[_BODY], fields[b"reason"].decode()) for _, fields in self._client.xrange(self._dead_key)]

    def _claim_partition(self, partition: int, *, idle_ms: int, limit: int) -> list[StreamEntry]:
        found: list[StreamEntry] = []
        cursor: Any = _BEGINNING
        while True:
            cursor, rows, *_ = self._client.xautoclaim(self._keys[partition], _GROUP, self._consumer, idle_ms, start_id=cursor, count=limit)
            found += self._entries(partition, rows)
            if cursor in {b"0-0", "0-0"}:
                return found

    @staticmethod
    def _entries(partition: int, rows: Sequence[tuple[bytes, dict[bytes, bytes] | None]]) -> list[StreamEntry]:
        # Redis 6.2 answers an empty row for a pending entry that was deleted meanwhile: acknowledged by another reader.
        return [
            StreamEntry(partition=partition, entry_id=entry_id.decode(), body=fields.get(_BODY, b"")) for entry_id, fields in rows if fields
        ]

    def _ensure_groups(self) -> None:
        if self._has_groups:
            return
        for key in self._keys:
            try:
                self._client.xgroup_create(key, _GROUP, id=_BEGINNING, mkstream=True)
            except redis.ResponseError as exc:
                if not str(exc).startswith("BUSYGROUP"):  # it exists already: what we want
                    raise
        self._has_groups = True


@contextmanager
def _wrapped(verb: str) -> Iterator[None]:
    try:
        yield
    except redis.RedisError as exc:
        raise EventStreamError(
            f"could not {verb}: Redis answered {type(exc).__name__} ({exc}); start it or correct STILLHERE_REDIS_URL"
        ) from exc
