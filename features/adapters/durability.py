"""Whether a Redis may be trusted with what must not be lost."""

from __future__ import annotations

import redis

from features.ports import StoreError

_PROBE, _PROBE_MS = "stillhere:takes_writes", 1_000


class NotDurableError(StoreError):
    """A Redis that may lose caps, receipts or timelines; the message names every setting that is wrong."""


def durability_problems(client: redis.Redis) -> tuple[str, ...]:
    """Why this Redis may lose caps, receipts or timelines; empty when it may be used.

    Reads ``INFO``, not ``CONFIG``, which managed services forbid. Redis 6.2 tells no ``appendfsync`` there, so ``no`` passes.
    """
    try:
        memory, persistence = client.info("memory"), client.info("persistence")
    except redis.RedisError as exc:
        raise StoreError(f"Redis at {_address(client)} does not answer INFO ({exc}); start it or correct its address") from exc
    problems = []
    if (policy := memory.get("maxmemory_policy")) != "noeviction":
        problems.append(f"maxmemory-policy is {policy}, expected noeviction (anything else deletes caps silently)")
    if persistence.get("aof_enabled") != 1:
        problems.append("appendonly is no, expected yes (a restart would forget caps and receipts)")
    return tuple(problems)


def write_problem(client: redis.Redis) -> str | None:
    """Why this Redis refuses to write although it answers: full, a replica, short of replicas, a failed disk; None if it writes.

    Writes one key that is gone a second later: no figure of ``INFO`` covers all of it.
    """
    try:
        client.set(_PROBE, b"", px=_PROBE_MS)
    except redis.ResponseError as exc:
        return str(exc)
    except redis.RedisError as exc:
        raise StoreError(f"Redis at {_address(client)} does not answer SET ({exc}); start it or correct its address") from exc
    return None


def check_durable(client: redis.Redis) -> None:
    """Refuse a Redis that evicts keys or has no append-only file.

    Raises
    ------
    NotDurableError
        Naming every setting that is wrong and what to set.
    StoreError
        If it cannot be asked.
    """
    if problems := durability_problems(client):
        raise NotDurableError(
            f"Redis at {_address(client)} is not durable: {'; '.join(problems)}; change its configuration or use another server"
        )


def _address(client: redis.Redis) -> str:
    settings = client.get_connection_kwargs()
    return f"{settings.get('host')}:{settings.get('port')}" if "host" in settings else str(settings.get("path"))
