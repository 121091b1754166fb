"""All that a decision reads, from one store after the other: the twin, over any stores, of the one that asks Redis once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from features.ingest.persons import Person, whom
from features.ports import IdentityStore, ProfileStore, StoreError, StoreTimeoutError, TimelineStore, UnreadableUsersError
from serving.decision.values import Contact
from serving.ports import Ledger, LedgerError, StoredPerson

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Call:
    """One call waits once: when a store has not answered in time, no other is asked, for they share a server or its trouble."""

    is_lost: bool = False

    def failed(self, exc: StoreError) -> None:
        """Remember a failure."""
        self.is_lost = isinstance(exc, StoreTimeoutError)
        _log.warning("degraded: %s: %s", type(exc).__name__, exc)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeparateStores:
    """Timelines, profiles, contacts and identities, each from its own store, in as many calls for many users as for one."""

    product: str
    timelines: TimelineStore
    profiles: ProfileStore
    ledger: Ledger
    identities: IdentityStore | None = None  # None: every id is a person of its own

    def read(self, user_ids: Sequence[str], *, since_us: int) -> list[StoredPerson]:
        """What is stored of whom each id stands for, in the order asked for, with contacts at_us >= since_us."""
        call = _Call()
        people, is_certain = self._whom(user_ids, call)
        ends = [person.user_id for person in people]
        timelines = _read_each(self.timelines.read, ends, call)
        profiles = _read_each(self.profiles.read, ends, call)
        contacts = self._contacts(people, since_us, call) if is_certain else {}
        return [
            StoredPerson(
                user_id=person.user_id,
                is_erased=person.is_erased,
                timeline=None if stored is None else stored.packed,
                profile=profile,
                contacts=contacts.get(person.user_id),
                previous_ids=person.previous_ids,
            )
            for person, stored, profile in zip(people, timelines, profiles, strict=True)
        ]

    def _whom(self, user_ids: Sequence[str], call: _Call) -> tuple[list[Person], bool]:
        """Whom the ids stand for, and whether that is certain; otherwise nobody can tell whose caps would count."""
        strangers = [Person(user_id=user_id, is_erased=False) for user_id in user_ids]
        if self.identities is None:
            return strangers, True
        try:
            return whom(self.identities, user_ids), True
        except StoreError as exc:
            call.failed(exc)
            return strangers, False

    def _contacts(self, people: Sequence[Person], since_us: int, call: _Call) -> dict[str, tuple[Contact, ...]]:
        """Contacts by user; of nobody from the first failure on, so that a batch does not wait for a timeout each."""
        found: dict[str, tuple[Contact, ...]] = {}
        for user_id in dict.fromkeys(person.user_id for person in people if not person.is_erased):
            if call.is_lost:
                break
            try:
                found[user_id] = self.ledger.contacts(self.product, user_id, since_us=since_us)
            except LedgerError as exc:
                call.is_lost = True
                _log.warning("degraded: %s", exc)
        return found


def _read_each(read: Callable[[Sequence[str]], Sequence[T]], user_ids: Sequence[str], call: _Call) -> Sequence[T | None]:
    """What is stored of each user; None where it could not be read. A row that cannot be decoded costs nobody else theirs."""
    if call.is_lost:
        return [None] * len(user_ids)
    try:
        return read(user_ids)
    except UnreadableUsersError as exc:
        # Not who they are: a log file is out of an erasure's reach.
        _log.warning("degraded: what is stored of %d users cannot be read", len(exc.user_ids))
        readable = [user_id for user_id in user_ids if user_id not in exc.user_ids]
    except StoreError as exc:
        call.failed(exc)
        return [None] * len(user_ids)
    # Each round leaves somebody out, so this ends; nobody is left to ask when all were to blame.
    rows = dict(zip(readable, _read_each(read, readable, call) if readable else (), strict=True))
    return [rows.get(user_id) for user_id in user_ids]
