"""The ledger in Redis: one script decides and writes, so no two callers can ever share the last slot of a cap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from importlib.resources import files
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from serving.decision.ids import tag_of, user_tag
from serving.decision.policy import MessageClass
from serving.decision.values import CapWindow, Contact
from serving.ports import Commit, CommitResult, LedgerError

T = TypeVar("T")

_ADOPT = """
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('ZADD', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
"""
"""KEYS: contacts, mark of an erased user. ARGV: ttl of the contacts in milliseconds, then score and contact of each."""
_CONTACTS_PER_CALL = 1_000
_ERASED = 2  # what the script answers about a user who was erased

_SEPARATOR = "\x1f"  # stands in no name: names are letters, digits and underscores
_MICROSECOND, _MILLISECOND = timedelta(microseconds=1), timedelta(milliseconds=1)


def connect(url: str, *, timeout_ms: int = 250) -> redis.Redis:
    """Make a client that gives up fast: a decision without a ledger is an answer, a hanging one is not.

    A connection that the server closed meanwhile (a restart) is replaced once, at once; a silent server is not asked twice.
    """
    timeout_s = timeout_ms / 1000
    retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
    return redis.Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=retry)


@dataclass(frozen=True, kw_only=True)
class RedisLedger:
    """Contacts, receipts, timelines and outbox under ``stillhere:{<product>:<user tag>}:``, one cluster slot per user.

    Use it only on a Redis that neither evicts nor forgets: ``require_durable`` raises `LedgerError` on any other. It is asked before the
    ledger is first used, until it does not raise.
    """

    client: redis.Redis
    require_durable: Callable[[], None] = lambda: None
    keep_receipts: timedelta = timedelta(days=90)
    keep_contacts: timedelta = timedelta(days=90)

    def contacts(self, product: str, user_id: str, *, since_us: int) -> tuple[Contact, ...]:
        """Contacts with at_us >= since_us, oldest first."""
        self._prove_durable()
        key = f"{user_prefix(product, user_tag(user_id))}:contacts"
        rows = self._ask(lambda: self.client.zrangebyscore(key, since_us, "+inf", withscores=True))
        return tuple(_contact(member, at_us) for member, at_us in rows)

    def commit(self, product: str, commit: Commit) -> CommitResult:
        """Check every window, reserve, store and hand over: all or nothing, atomically. The same decision id twice is once."""
        self._prove_durable()
        prefix = user_prefix(product, tag := user_tag(commit.user_id))
        if commit.contact is not None:
            # Before the script, not in it: the index lies in another slot. Naming a user whose outbox stays empty does no harm.
            self._ask(lambda: self.client.sadd(_outbox_index(product), tag))
        keys = [
            f"{prefix}:{part}"
            for part in ("contacts", f"receipt:{commit.decision_id}", f"timeline:{commit.timeline_hash}", "outbox", "erased")
        ]
        committed, refused_by, receipt = self._ask(lambda: self._script(keys=keys, args=self._arguments(commit)))
        if committed == _ERASED:
            raise LedgerError("the user was erased while this was decided, so nothing is remembered and nothing may be sent")
        return CommitResult(committed=bool(committed), refused_by=refused_by.decode() or None, receipt=receipt)

    def adopt(self, product: str, previous_id: str, user_id: str) -> None:
        """Copy every contact of the previous id to the user; an erased user gets none."""
        source, target = (user_prefix(product, user_tag(one)) for one in (previous_id, user_id))
        rows = self._ask(lambda: self.client.zrange(f"{source}:contacts", 0, -1, withscores=True))
        for start in range(0, len(rows), _CONTACTS_PER_CALL):
            pairs = [part for member, at_us in rows[start : start + _CONTACTS_PER_CALL] for part in (int(at_us), member)]
            arguments = [self.keep_contacts // _MILLISECOND, *pairs]
            self._ask(lambda arguments=arguments: self._adopt(keys=[f"{target}:contacts", f"{target}:erased"], args=arguments))  # type: ignore[misc]

    def receipt(self, product: str, decision_id: str) -> bytes | None:
        """The stored receipt, or None."""
        tag = tag_of(decision_id)
        return self._get(f"{user_prefix(product, tag)}:receipt:{decision_id}") if tag else None

    def timeline(self, product: str, user_id: str, timeline_hash: str) -> bytes | None:
        """The stored timeline version, or None."""
        return self._get(f"{user_prefix(product, user_tag(user_id))}:timeline:{timeline_hash}")

    def outbox(self, product: str) -> list[bytes]:
        """Delivery orders not yet taken by a sender; each user's in the order of their commits."""
        tags = sorted(tag.decode() for tag in self._ask(lambda: self.client.smembers(_outbox_index(product))))
        return [order for tag in tags for order in self._orders(product, tag)]

    def _orders(self, product: str, tag: str) -> list[bytes]:
        return list(self._ask(lambda: self.client.lrange(f"{user_prefix(product, tag)}:outbox", 0, -1)))

    def _prove_durable(self) -> None:
        _ = self._is_durable

    @cached_property
    def _is_durable(self) -> bool:
        self.require_durable()  # what raises is not remembered: it is asked again
        return True

    @cached_property
    def _script(self) -> Any:
        return self.client.register_script(files("serving.adapters").joinpath("redis_ledger.lua").read_bytes())

    @cached_property
    def _adopt(self) -> Any:
        return self.client.register_script(_ADOPT)

    def _get(self, key: str) -> bytes | None:
        value: bytes | None = self._ask(lambda: self.client.get(key))
        return value

    def _arguments(self, commit: Commit) -> list[str | bytes | int]:
        contact = commit.contact
        at_us = 0 if contact is None else contact.at_us
        head: list[str | bytes | int] = [
            commit.receipt,
            self.keep_receipts // _MILLISECOND,
            commit.timeline,
            "" if contact is None else _member(contact),
            at_us,
            at_us - self.keep_contacts // _MICROSECOND,
            self.keep_contacts // _MILLISECOND,
            commit.outbox,
        ]
        return head + [argument for window in commit.caps for argument in _window_arguments(window)]

    def _ask(self, command: Callable[[], T]) -> T:
        try:
            return command()
        except redis.RedisError as exc:
            raise LedgerError(
                f"the ledger in Redis did not answer ({type(exc).__name__}: {exc}); start Redis or correct its address"
            ) from exc


def user_prefix(product: str, tag: str) -> str:
    """What all ledger keys of one user begin with."""
    return f"stillhere:{{{product}:{tag}}}"


def _outbox_index(product: str) -> str:
    return f"stillhere:{product}:outbox_users"


def _member(contact: Contact) -> str:
    return _SEPARATOR.join((contact.channel, contact.message_class.value, contact.message_id, contact.decision_id))


def _contact(member: bytes, at_us: float) -> Contact:
    channel, message_class, message_id, decision_id = member.decode().split(_SEPARATOR)
    return Contact(
        decision_id=decision_id, channel=channel, message_class=MessageClass(message_class), message_id=message_id, at_us=int(at_us)
    )


def _window_arguments(window: CapWindow) -> tuple[str | int, ...]:
    return window.name, window.channel or "", window.message_id or "", window.since_us, window.until_us, window.limit
