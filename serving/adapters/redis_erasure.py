"""What one product keeps about users in Redis beside the feature store: finding it by user, and removing it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
import redis

from features.ports import StoreError
from serving.adapters.redis_ledger import user_prefix
from serving.decision.ids import user_tag
from serving.ports import EventStreamError, LedgerError

T = TypeVar("T")

_SCAN_COUNT = 1_000
_ENTRIES_PER_READ = 1_000
_REWRITE_DEADLINE_S = 300.0
_POLL_S = 0.02
_ID_FIELDS = ("user_id", "previous_id", "anonymous_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerOfUsers:
    """The ledger's keys by user. They are found by walking all keys, a millisecond for each thousand: for people, not for decisions."""

    client: redis.Redis
    product: str

    def decision_ids(self, user_ids: Sequence[str]) -> list[str]:
        """Ids of the decisions about the users that have a receipt, oldest first.

        Raises
        ------
        LedgerError
        """
        keys = _ledger(lambda: list(self._keys(user_ids)))
        ids = [key.rpartition(b":receipt:")[2].decode() for key in keys if b":receipt:" in key]
        return sorted(ids, key=lambda decision_id: decision_id.rpartition("-")[2])

    def erase(self, user_ids: Sequence[str]) -> int:
        """Mark the users so that no decision about them is remembered any more, then delete contacts, receipts, timelines and outboxes.

        Raises
        ------
        LedgerError
        """
        return _ledger(lambda: self._erase(user_ids))

    def _erase(self, user_ids: Sequence[str]) -> int:
        tags = [user_tag(user_id) for user_id in user_ids]
        marks = [f"{user_prefix(self.product, tag)}:erased".encode() for tag in tags]
        for mark in marks:
            self.client.set(mark, b"1")
        keys = [key for key in self._keys(user_ids) if key not in marks]
        for key in keys:
            self.client.delete(key)
        self.client.srem(f"stillhere:{self.product}:outbox_users", *tags)
        return len(keys)

    def _keys(self, user_ids: Sequence[str]) -> Iterator[bytes]:
        prefixes = tuple(f"{user_prefix(self.product, user_tag(user_id))}:".encode() for user_id in user_ids)
        keys = self.client.scan_iter(match=f"stillhere:{{{_escaped(self.product)}:*", count=_SCAN_COUNT)
        return (key for key in dict.fromkeys(keys) if key.startswith(prefixes))


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOfUsers:
    """Messages of users that wait for the worker, and dead letters."""

    client: redis.Redis
    product: str
    group: str = "timelines"

    def erase(self, user_ids: Sequence[str]) -> int:
        """Delete every entry that names one of the users; a worker that holds one already finds its users erased.

        Raises
        ------
        EventStreamError
        """
        try:
            keys = [f"stillhere:{self.product}:dead".encode(), *self.client.scan_iter(match=f"stillhere:{_escaped(self.product)}:events:*")]
            return sum(self._erase_in(key, user_ids) for key in keys)
        except redis.RedisError as exc:
            raise EventStreamError(f"could not erase waiting messages: {type(exc).__name__} ({exc}); start Redis and erase again") from exc

    def _erase_in(self, key: bytes, user_ids: Sequence[str]) -> int:
        named = [entry_id for entry_id, fields in self._entries(key) if _names(fields, user_ids)]
        if named:
            if not key.endswith(b":dead"):
                self.client.xack(key, self.group, *named)
            self.client.xdel(key, *named)
        return len(named)

    def _entries(self, key: bytes) -> Iterator[tuple[bytes, dict[bytes, bytes]]]:
        start = "-"
        while rows := self.client.xrange(key, min=start, count=_ENTRIES_PER_READ):
            yield from rows
            start = f"({rows[-1][0].decode()}"


def compact(client: redis.Redis, *, deadline_s: float = _REWRITE_DEADLINE_S) -> None:
    """Rewrite the append-only file, which otherwise holds deleted values until Redis rewrites it by itself; returns when it is done.

    Raises
    ------
    StoreError
        If Redis does not rewrite it in time, or is not allowed to.
    """
    try:
        if not client.info("persistence")["aof_enabled"]:
            return
        _await_no_rewrite(client, deadline_s)
        client.bgrewriteaof()
        _await_no_rewrite(client, deadline_s)
    except redis.RedisError as exc:
        raise StoreError(
            f"all is deleted, but Redis did not rewrite its append-only file ({type(exc).__name__}: {exc}), which may hold deleted values; "
            "run BGREWRITEAOF there"
        ) from exc


def _await_no_rewrite(client: redis.Redis, deadline_s: float) -> None:
    until_s = time.monotonic() + deadline_s
    while _is_rewriting(client.info("persistence")):
        if time.monotonic() > until_s:
            raise StoreError(
                f"Redis has not rewritten its append-only file within {deadline_s:g} s; it may hold deleted values until it has"
            )
        time.sleep(_POLL_S)


def _is_rewriting(state: dict[str, Any]) -> bool:
    return bool(state["aof_rewrite_in_progress"] or state["aof_rewrite_scheduled"])


def _names(fields: dict[bytes, bytes], user_ids: Sequence[str]) -> bool:
    """Whether a message names one of the users; one that cannot be read does if their id is anywhere in it."""
    body = fields.get(b"body", b"")
    try:
        item = orjson.loads(body)["item"]
        return any(item.get(field) in user_ids for field in _ID_FIELDS)
    except (orjson.JSONDecodeError, TypeError, KeyError, AttributeError):
        return _holds([body, *fields.values()], user_ids)


def _holds(texts: Iterable[bytes], user_ids: Sequence[str]) -> bool:
    return any(user_id.encode() in text for text in texts for user_id in user_ids)


def _ledger(command: Callable[[], T]) -> T:
    try:
        return command()
    except redis.RedisError as exc:
        raise LedgerError(f"the ledger in Redis did not answer ({type(exc).__name__}: {exc}); start Redis or correct its address") from exc


def _escaped(name: str) -> str:
    """Redis' glob characters taken literally."""
    return "".join(f"\\{char}" if char in "*?[]^\\" else char for char in name)
