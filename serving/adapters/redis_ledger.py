"""The ledger in Redis: one script decides and writes, so no two callers can ever share the last slot of a cap."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from importlib.resources import files
from typing import Any, Protocol, TypeVar

import orjson
import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError
from redis.retry import Retry

from features.core.event import to_us
from features.ports import Standing
from serving.adapters.receipt_form import stored_form, whole_receipt
from serving.adapters.redis_pipeline import Command, Reply, pipelined
from serving.adapters.redis_rates import RedisRates
from serving.decision.ids import tag_of, user_tag
from serving.decision.policy import MessageClass
from serving.decision.values import CapWindow, Contact, Permit
from serving.ports import Commit, CommitResult, DamagedReceiptError, Delivery, LedgerError

T = TypeVar("T")


class Standings(Protocol):
    """Links and erasures (`features.adapters.redis_identities`)."""

    def standing_commands(self, user_ids: Sequence[str]) -> Sequence[Command]:
        """Commands about all of them together."""

    def standing_of(self, user_ids: Sequence[str], replies: Sequence[Any]) -> dict[str, Standing]:
        """Standing of the ids that are attached or erased."""


_ADOPT = """
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('ZADD', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
"""
"""KEYS: contacts, mark of an erased user. ARGV: ttl of the contacts in milliseconds, then score and contact of each."""
_CONTACTS_PER_CALL = 1_000
_DELIVERY = files("serving.adapters").joinpath("redis_delivery.lua").read_text(encoding="utf-8")
_COMMIT = files("serving.adapters").joinpath("redis_ledger.lua").read_bytes()
_COMMIT_DIGEST = hashlib.sha1(_COMMIT, usedforsecurity=False).hexdigest()  # how Redis names scripts
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
    identities: Standings | None = None  # where they lie in the same Redis: then a commit tells who was attached meanwhile
    keep_receipts: timedelta = timedelta(days=90)
    keep_contacts: timedelta = timedelta(days=90)

    def contacts(self, product: str, user_id: str, *, since_us: int) -> tuple[Contact, ...]:
        """Contacts with at_us >= since_us, oldest first."""
        self.prove_durable()
        (reply,) = self._replies([contacts_command(product, user_id, since_us=since_us)])
        if isinstance(reply, redis.RedisError):
            raise _unanswered(reply) from reply
        return contacts_of(reply)

    def commit(self, product: str, commit: Commit) -> CommitResult:
        """Check every window, reserve, store and hand over: all or nothing, atomically. The same decision id twice is once."""
        (result,) = self.commit_many(product, [commit])
        if isinstance(result, LedgerError):
            raise result
        return result

    def commit_many(self, product: str, commits: Sequence[Commit]) -> list[CommitResult | LedgerError]:
        """`commit` of each, in this order; one round trip unless Redis must be taught the script, one more where rate limits are asked."""
        self.prove_durable()
        without_room = self._rates.take(product, commits) if any(commit.permits for commit in commits) else {}
        granted = [commit for commit in commits if commit.decision_id not in without_room]
        results = dict(zip((commit.decision_id for commit in granted), self._commit_granted(product, granted), strict=True))
        return [without_room.get(commit.decision_id) or results[commit.decision_id] for commit in commits]

    def _commit_granted(self, product: str, commits: Sequence[Commit]) -> list[CommitResult | LedgerError]:
        if not commits:
            return []
        tags = [user_tag(commit.user_id) for commit in commits]
        scripts = [self._commit_command(product, tag, commit) for tag, commit in zip(tags, commits, strict=True)]
        # Before the scripts, not in them: the index lies in another slot. Naming a user whose outbox stays empty does no harm.
        sending = {commit.user_id: tag for tag, commit in zip(tags, commits, strict=True) if commit.contact is not None}
        index: list[Command] = [("SADD", _outbox_index(product), *sending.values())] if sending else []
        asked = self._standing_commands(list(sending))  # after them, for the same reason: an alias of later finds the contact
        replies, standing = self._scripted(index, scripts, asked)
        attached = self._attached(list(sending), standing)
        results = [_result(reply, commit, is_attached=attached.get(commit.user_id)) for reply, commit in zip(replies, commits, strict=True)]
        self._rates.give_back(product, [c for c, result in zip(commits, results, strict=True) if c.permits and _leaves_places(c, result)])
        return results

    def without_room(self, product: str, windows: Sequence[Permit]) -> list[Permit]:
        """Those windows of rate limits that have no place left, in one round trip."""
        self.prove_durable()
        return self._ask(lambda: self._rates.without_room(product, windows))

    def prove_durable(self) -> None:
        """Raise `LedgerError` unless this Redis neither evicts nor forgets; asked until it once did not raise."""
        _ = self._is_durable

    def adopt(self, product: str, previous_id: str, user_id: str) -> None:
        """Copy every contact of the previous id to the user, reservations for good; an erased user gets none."""
        source, target = (user_prefix(product, user_tag(one)) for one in (previous_id, user_id))
        found = contacts_of(self._ask(lambda: self.client.execute_command("ZRANGE", f"{source}:contacts", 0, -1, "WITHSCORES")))
        rows = [(contact.at_us, _member(replace(contact, expires_us=None))) for contact in found]
        for start in range(0, len(rows), _CONTACTS_PER_CALL):
            pairs = [part for row in rows[start : start + _CONTACTS_PER_CALL] for part in row]
            arguments = [self.keep_contacts // _MILLISECOND, *pairs]
            self._ask(lambda arguments=arguments: self._adopt(keys=[f"{target}:contacts", f"{target}:erased"], args=arguments))  # type: ignore[misc]

    def receipt(self, product: str, decision_id: str) -> bytes | None:
        """The stored receipt, or None; `DamagedReceiptError` where what is stored is none."""
        tag = tag_of(decision_id)
        stored = self._get(f"{user_prefix(product, tag)}:receipt:{decision_id}") if tag else None
        return None if stored is None else whole_receipt(stored, decision_id)

    def timeline(self, product: str, user_id: str, timeline_hash: str) -> bytes | None:
        """The stored timeline version, or None."""
        return self._get(f"{user_prefix(product, user_tag(user_id))}:timeline:{timeline_hash}")

    def outbox(self, product: str) -> list[bytes]:
        """Every delivery order there is, told of or not: a sender takes them out, or they expire; each user's in the order of commits."""
        tags = sorted(tag.decode() for tag in self._ask(lambda: self.client.smembers(_outbox_index(product))))
        return [order for tag in tags for order in self._orders(product, tag)]

    def confirm(self, product: str, decision_id: str, *, delivered_us: int) -> Delivery:
        """The decision's contact was delivered at this instant: it counts for good, from then on."""
        return self._deliver(product, decision_id, "confirm", delivered_us)

    def release(self, product: str, decision_id: str) -> Delivery:
        """The decision's contact was not and will not be delivered: it takes no place any more. A confirmed one stays."""
        return self._deliver(product, decision_id, "release", 0)

    def _deliver(self, product: str, decision_id: str, news: str, at_us: int) -> Delivery:
        tag = tag_of(decision_id)
        if tag is None:
            return Delivery.UNKNOWN
        prefix = user_prefix(product, tag)
        arguments = [decision_id, news, at_us, self.keep_contacts // _MILLISECOND]
        said = self._ask(lambda: self._delivery(keys=[f"{prefix}:{part}" for part in ("contacts", "released", "erased")], args=arguments))
        return Delivery(said.decode())

    def _orders(self, product: str, tag: str) -> list[bytes]:
        return list(self._ask(lambda: self.client.lrange(f"{user_prefix(product, tag)}:outbox", 0, -1)))

    def _standing_commands(self, user_ids: Sequence[str]) -> Sequence[Command]:
        return self.identities.standing_commands(user_ids) if self.identities is not None and user_ids else []

    def _attached(self, user_ids: Sequence[str], replies: Sequence[Reply]) -> dict[str, bool]:
        """Whether each is attached to another user; empty where that was not asked or could not be read."""
        if self.identities is None or not replies or any(isinstance(reply, Exception) for reply in replies):
            return {}
        standing = self.identities.standing_of(user_ids, replies)
        return {user_id: user_id in standing and standing[user_id].link is not None for user_id in user_ids}

    def _scripted(self, before: list[Command], scripts: list[Command], after: Sequence[Command]) -> tuple[list[Reply], list[Reply]]:
        """Replies to the scripts and to the commands after them; scripts that Redis did not know are taught and run again."""
        replies = self._replies([*before, *scripts, *after])[len(before) :]
        done, last = replies[: len(scripts)], replies[len(scripts) :]
        unknown = [place for place, reply in enumerate(done) if isinstance(reply, NoScriptError)]
        if unknown:  # nothing of these was run
            self._ask(lambda: self.client.script_load(_COMMIT))
            again = self._replies([*(scripts[place] for place in unknown), *after])
            last = again[len(unknown) :]
            for place, reply in zip(unknown, again, strict=False):
                done[place] = reply
        return done, last

    def _replies(self, commands: list[Command]) -> list[Reply]:
        return self._ask(lambda: pipelined(self.client, commands))

    @cached_property
    def _is_durable(self) -> bool:
        self.require_durable()  # what raises is not remembered: it is asked again
        return True

    @cached_property
    def _adopt(self) -> Any:
        return self.client.register_script(_ADOPT)

    @cached_property
    def _delivery(self) -> Any:
        return self.client.register_script(_DELIVERY)

    @cached_property
    def _rates(self) -> RedisRates:
        return RedisRates(client=self.client)

    def _get(self, key: str) -> bytes | None:
        value: bytes | None = self._ask(lambda: self.client.get(key))
        return value

    def _commit_command(self, product: str, tag: str, commit: Commit) -> Command:
        prefix, contact = user_prefix(product, tag), commit.contact
        at_us = 0 if contact is None else contact.at_us
        return (
            *("EVALSHA", _COMMIT_DIGEST, 5),
            *(f"{prefix}:contacts", f"{prefix}:receipt:{commit.decision_id}", f"{prefix}:timeline:{commit.timeline_hash}"),
            *(f"{prefix}:outbox", f"{prefix}:erased"),
            *(stored_form(commit.receipt), self.keep_receipts // _MILLISECOND, commit.timeline),
            *(
                "" if contact is None else _member(contact),
                at_us,
                min(at_us, commit.as_of_us or at_us) - self.keep_contacts // _MICROSECOND,
            ),
            *(self.keep_contacts // _MILLISECOND, commit.outbox, commit.as_of_us),
            *(argument for window in commit.caps for argument in _window_arguments(window)),
        )

    def _ask(self, command: Callable[[], T]) -> T:
        try:
            return command()
        except redis.RedisError as exc:
            raise _unanswered(exc) from exc


def user_prefix(product: str, tag: str) -> str:
    """What all ledger keys of one user begin with."""
    return f"stillhere:{{{product}:{tag}}}"


def _outbox_index(product: str) -> str:
    return f"stillhere:{product}:outbox_users"


def _member(contact: Contact) -> str:
    expiry = () if contact.expires_us is None else (str(contact.expires_us),)
    return _SEPARATOR.join((contact.channel, contact.message_class.value, contact.message_id, contact.decision_id, *expiry))


def contacts_command(product: str, user_id: str, *, since_us: int) -> Command:
    """What asks Redis for the contacts of a user from ``since_us`` on."""
    return ("ZRANGEBYSCORE", f"{user_prefix(product, user_tag(user_id))}:contacts", since_us, "+inf", "WITHSCORES")


def contacts_of(reply: Sequence[bytes]) -> tuple[Contact, ...]:
    """Contacts, oldest first, of the reply to `contacts_command`: members and scores in turn."""
    return tuple(_contact(member, float(at_us)) for member, at_us in zip(reply[::2], reply[1::2], strict=True))


def _contact(member: bytes, at_us: float) -> Contact:
    channel, message_class, message_id, decision_id, *expiry = member.decode().split(_SEPARATOR)
    return Contact(
        decision_id=decision_id,
        channel=channel,
        message_class=MessageClass(message_class),
        message_id=message_id,
        at_us=int(at_us),
        expires_us=int(expiry[0]) if expiry else None,
    )


def _result(reply: Reply, commit: Commit, *, is_attached: bool | None) -> CommitResult | LedgerError:
    if isinstance(reply, redis.RedisError):
        return _unanswered(reply)
    committed, refused_by, receipt = reply
    if committed == _ERASED:
        return LedgerError("the user was erased while this was decided, so nothing is remembered and nothing may be sent")
    if not committed:
        return CommitResult(committed=False, refused_by=refused_by.decode())
    try:  # a receipt that was stored now is not sent back
        first = whole_receipt(receipt, commit.decision_id) if receipt else commit.receipt
    except DamagedReceiptError as exc:
        return exc
    return CommitResult(committed=True, receipt=first, is_attached=is_attached)


def _leaves_places(commit: Commit, result: CommitResult | LedgerError) -> bool:
    """Whether its places under rate limits stay empty: refused, or a retry of what was decided for a moment outside these windows."""
    if isinstance(result, LedgerError):
        return False
    if not result.committed:
        return True
    # The same receipt is this very decision. Of another one the moment counts: two callers with one key must not free each other's place.
    sent_us = None if result.receipt == commit.receipt else _sent_us(result.receipt)
    return sent_us is not None and not any(permit.since_us <= sent_us < permit.until_us for permit in commit.permits)


def _sent_us(receipt: bytes) -> int | None:
    """The moment for which a receipt sends; None where it names none."""
    moment = (orjson.loads(receipt).get("output") or {}).get("moment")
    return None if moment is None else to_us(datetime.fromisoformat(moment["send_at"]))


def _unanswered(cause: redis.RedisError) -> LedgerError:
    return LedgerError(f"the ledger in Redis did not answer ({type(cause).__name__}: {cause}); start Redis or correct its address")


def _window_arguments(window: CapWindow) -> tuple[str | int, ...]:
    of = (window.channel or "", window.message_id or "", window.message_class.value if window.message_class else "")
    return window.name, *of, window.since_us, window.until_us, window.limit, window.span_us
