"""Many Redis commands in one round trip, with less around them than a client's pipeline has."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import hiredis
import redis

Command: TypeAlias = tuple[str | bytes | int, ...]
Reply: TypeAlias = Any
"""Whatever Redis answers, as its client's parser gives it; of a command that was refused, the `redis.ResponseError`."""

_kept: WeakKeyDictionary[redis.ConnectionPool, deque[Any]] = WeakKeyDictionary()
"""Connections taken from each client's pool and in nobody's hands: as many as threads ever asked at the same time.

The pool's own taking and giving back costs as much as sending and reading. A connection that is kept here stays one of the pool's: closing
the client closes it.
"""


def pipelined(client: redis.Redis, commands: Sequence[Command]) -> list[Reply]:
    """Replies in the order of the commands; the retries and deadlines are those of the client's connections.

    Raises
    ------
    redis.RedisError
        If Redis could not be reached or did not answer in time; then any of the commands may have been carried out.
    """
    if not commands:
        return []
    # In one piece: the client sends each few kilobytes by themselves, and Redis would wake up for each.
    packed = [b"".join([hiredis.pack_command(command) for command in commands])]  # type: ignore[arg-type]  # tuples of any length
    kept = _kept.setdefault(client.connection_pool, deque())
    connection = _taken(kept, client.connection_pool)

    def ask() -> list[Reply]:
        connection.send_packed_command(packed)
        return [_reply(connection) for _ in commands]

    try:
        replies: list[Reply] = connection.retry.call_with_retry(ask, lambda _: connection.disconnect())
    except BaseException:
        connection.disconnect()  # replies may still be on their way, and would be taken for the next ones
        raise
    finally:
        kept.append(connection)
    return replies


def _taken(kept: deque[Any], pool: redis.ConnectionPool) -> Any:
    """A connection that nobody else uses; none of those that a parent process opened before it forked."""
    while kept:
        try:
            connection = kept.pop()  # atomic, as append is
        except IndexError:
            break
        if connection.pid == os.getpid():
            return connection
    return pool.get_connection()


def _reply(connection: Any) -> Reply:
    try:
        return connection.read_response()
    except redis.ResponseError as refusal:
        return refusal
