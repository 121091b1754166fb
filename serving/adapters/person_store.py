"""All that a decision reads of stores, in one round trip: standing, timeline, profile and contacts of everybody asked about."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import redis

from features.ports import Standing
from serving.adapters.redis_ledger import RedisLedger, Standings, contacts_command, contacts_of
from serving.adapters.redis_pipeline import Command, Reply, pipelined
from serving.decision.values import Contact
from serving.ports import LedgerError, StoredPerson

_NOBODY = Standing()
_USERS_PER_ROUND_TRIP = 500

_log = logging.getLogger(__name__)


class Rows(Protocol):
    """Timelines and profiles (`features.adapters.feast_rows`)."""

    @property
    def client(self) -> redis.Redis:
        """Where to ask."""

    def commands(self, user_ids: Sequence[str]) -> Sequence[Command]:
        """One command for each user."""

    def timeline(self, reply: Any) -> bytes | None:
        """Packed timeline; None where it cannot be read."""

    def profile(self, reply: Any) -> dict[str, Any] | None:
        """Attributes; None where they cannot be read."""


class _Found(NamedTuple):  # one for each user: a frozen dataclass takes five times as long
    """What is stored under one id, as it stands."""

    standing: Standing | None = None  # None where it cannot be told
    timeline: bytes | None = None
    profile: dict[str, Any] | None = None
    contacts: tuple[Contact, ...] | None = None


@dataclass(slots=True)
class _Call:
    """One call; waits once: after a timeout it asks nobody again."""

    is_lost: bool = False
    found: dict[str, _Found] = field(default_factory=dict)

    def ask(self, client: redis.Redis, commands: Sequence[Command]) -> list[Reply] | None:
        """Replies; None when Redis did not answer."""
        if self.is_lost:
            return None
        try:
            return pipelined(client, commands)
        except redis.RedisError as exc:
            self.is_lost = isinstance(exc, redis.TimeoutError)
            _log.warning("degraded: %s: %s", type(exc).__name__, exc)
            return None


@dataclass(frozen=True, kw_only=True)
class RedisPersonStore:
    """One round trip where timelines and ledger share a Redis, two where they do not; again for ids that stand for another user."""

    product: str
    identities: Standings
    ledger: RedisLedger
    rows: Rows

    def read(self, user_ids: Sequence[str], *, since_us: int) -> list[StoredPerson]:
        """What is stored of whom each id stands for, in the order asked for, with contacts at_us >= since_us."""
        call, asked = _Call(), list(dict.fromkeys(user_ids))
        while asked:
            for start in range(0, len(asked), _USERS_PER_ROUND_TRIP):
                self._read(call, asked[start : start + _USERS_PER_ROUND_TRIP], since_us)
            links = (standing.link for one in asked if (standing := call.found[one].standing) is not None)
            asked = list(dict.fromkeys(link.user_id for link in links if link is not None and link.user_id not in call.found))
        return [_person(call, user_id) for user_id in user_ids]

    @cached_property
    def _is_one_server(self) -> bool:
        """Whether timelines and ledger share a Redis."""
        left, right = (client.connection_pool.connection_kwargs for client in (self.ledger.client, self.rows.client))
        return all(left.get(name) == right.get(name) for name in ("host", "port", "path", "db", "username"))

    def _read(self, call: _Call, user_ids: Sequence[str], since_us: int) -> None:
        """Add what is stored under the ids. Whom they stand for is read first: an alias is recorded before anything is moved."""
        standing, rows = list(self.identities.standing_commands(user_ids)), list(self.rows.commands(user_ids))
        ledger = [*standing, *(contacts_command(self.product, user_id, since_us=since_us) for user_id in user_ids)]
        if self._is_one_server:
            replies = call.ask(self.ledger.client, [*ledger, *rows])
            of_ledger, of_rows = (None, None) if replies is None else (replies[: len(ledger)], replies[len(ledger) :])
        else:
            of_ledger, of_rows = call.ask(self.ledger.client, ledger), call.ask(self.rows.client, rows)
        standings = self._standings(user_ids, None if of_ledger is None else of_ledger[: len(standing)])
        contacts = self._contacts(call, None if of_ledger is None else of_ledger[len(standing) :])
        for place, user_id in enumerate(user_ids):
            row = None if of_rows is None else of_rows[place]
            call.found[user_id] = _Found(
                standing=None if standings is None else standings.get(user_id, _NOBODY),
                timeline=None if row is None else self.rows.timeline(row),
                profile=None if row is None else self.rows.profile(row),
                contacts=None if standings is None or contacts is None else contacts[place],
            )

    def _standings(self, user_ids: Sequence[str], replies: list[Reply] | None) -> dict[str, Standing] | None:
        refusal = next((reply for reply in replies or () if isinstance(reply, Exception)), None)
        if refusal is not None:
            _log.warning("degraded: aliases cannot be read: %s", refusal)
        return None if replies is None or refusal is not None else self.identities.standing_of(user_ids, replies)

    def _contacts(self, call: _Call, replies: list[Reply] | None) -> list[tuple[Contact, ...] | None] | None:
        if replies is None or call.is_lost:
            return None
        try:
            self.ledger.prove_durable()
        except LedgerError as exc:
            _log.warning("degraded: %s", exc)
            return None
        return [None if isinstance(reply, Exception) else contacts_of(reply) for reply in replies]


def _person(call: _Call, user_id: str) -> StoredPerson:
    """Follow the links from one id; where the chain breaks off nobody can tell whose caps count, so there are no contacts."""
    end, found = user_id, call.found[user_id]
    is_erased = _is_erased(found)
    previous_ids: list[str] = []
    while found.standing is not None and found.standing.link is not None:
        previous_ids.append(end)
        end = found.standing.link.user_id
        found = call.found[end]
    return StoredPerson(
        user_id=end,
        is_erased=is_erased or _is_erased(found),
        timeline=found.timeline,
        profile=found.profile,
        contacts=None if call.is_lost else found.contacts,
        previous_ids=tuple(previous_ids),
    )


def _is_erased(found: _Found) -> bool:
    return found.standing is not None and found.standing.is_erased
