"""Many Redis commands in one round trip, with less around them than a client's pipeline has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import redis

Command: TypeAlias = tuple[str | bytes | int, ...]
Reply: TypeAlias = Any
"""Whatever Redis answers, as its client's parser gives it; of a command that was refused, the `redis.ResponseError`."""


def pipelined(client: redis.Redis, commands: Sequence[Command]) -> list[Reply]:
    """Replies in the order of the commands; the retries and deadlines are those of the client's connections.

    Raises
    ------
    redis.RedisError
        If Redis could not be reached or did not answer in time; then any of the commands may have been carried out.
    """
    if not commands:
        return []
    pool = client.connection_pool
    connection = pool.get_connection()

    def ask() -> list[Reply]:
        # In one piece: the client sends each few kilobytes by themselves, and Redis would wake up for each.
        connection.send_packed_command([b"".join(connection.pack_commands(commands))])
        return [_reply(connection) for _ in commands]

    try:
        replies: list[Reply] = connection.retry.call_with_retry(ask, lambda _: connection.disconnect())
    finally:
        pool.release(connection)
    return replies


def _reply(connection: Any) -> Reply:
    try:
        return connection.read_response()
    except redis.ResponseError as refusal:
        return refusal
