"""Idempotency keys in Redis, and their twin in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock

import redis

from serving.adapters.redis_pipeline import pipelined
from serving.ports import Claim, LedgerError, Seed

KEPT_FOR = timedelta(hours=24)
_SEPARATOR = ":"


@dataclass(frozen=True, kw_only=True)
class RedisIdempotencyKeys:
    """One key each, ``stillhere:<product>:idempotency:<hash of the key>``, gone after 24 hours. It holds no user's id."""

    client: redis.Redis

    def claim(self, product: str, key: str, claim: Claim) -> Claim:
        """The claim that counts for the key: the first, of whoever made it."""
        name = f"stillhere:{product}:idempotency:{hashlib.sha256(key.encode()).hexdigest()}"
        kept_ms = KEPT_FOR // timedelta(milliseconds=1)
        try:
            stored, first = pipelined(self.client, [("SET", name, _text(claim), "NX", "PX", kept_ms), ("GET", name)])
        except redis.RedisError as exc:
            raise LedgerError(f"idempotency keys in Redis cannot be reached ({type(exc).__name__}: {exc}); start Redis") from exc
        if isinstance(first, redis.RedisError):
            raise LedgerError(f"idempotency keys in Redis cannot be read ({first})") from first
        if first is not None:
            return _claim(first)
        if isinstance(stored, redis.RedisError):  # a retry would be given another claim
            raise LedgerError(f"idempotency keys in Redis cannot be stored ({stored}); see why it refuses to write") from stored
        return claim


@dataclass(frozen=True, kw_only=True)
class MemoryIdempotencyKeys:
    """The twin: remembers for good."""

    _claims: dict[tuple[str, str], Claim] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def claim(self, product: str, key: str, claim: Claim) -> Claim:
        """The claim that counts for the key: the first, of whoever made it."""
        with self._lock:
            return self._claims.setdefault((product, key), claim)


def _text(claim: Claim) -> str:
    return _SEPARATOR.join((claim.fingerprint, str(claim.seed.now_us), claim.seed.entropy.hex()))


def _claim(text: bytes) -> Claim:
    fingerprint, now_us, entropy = text.decode().split(_SEPARATOR)
    return Claim(fingerprint=fingerprint, seed=Seed(now_us=int(now_us), entropy=bytes.fromhex(entropy)))
