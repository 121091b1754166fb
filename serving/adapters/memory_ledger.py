"""The ledger in memory: the twin that tests and trials use; same answers, no expiry of receipts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock

from serving.decision.caps import first_refusal
from serving.decision.values import Contact
from serving.ports import Commit, CommitResult, LedgerError


@dataclass(frozen=True, kw_only=True)
class MemoryLedger:
    """One process's ledger; every commit holds the one lock."""

    keep_contacts: timedelta = timedelta(days=90)
    _contacts: dict[tuple[str, str], list[Contact]] = field(default_factory=lambda: defaultdict(list))
    _receipts: dict[tuple[str, str], bytes] = field(default_factory=dict)
    _timelines: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    _outbox: dict[tuple[str, str], list[bytes]] = field(default_factory=lambda: defaultdict(list))
    _lock: Lock = field(default_factory=Lock)

    def contacts(self, product: str, user_id: str, *, since_us: int) -> tuple[Contact, ...]:
        """Contacts with at_us >= since_us, oldest first."""
        with self._lock:
            return tuple(contact for contact in self._contacts.get((product, user_id), ()) if contact.at_us >= since_us)

    def commit(self, product: str, commit: Commit) -> CommitResult:
        """Check every window, reserve, store and hand over: all or nothing. The same decision id twice is once."""
        with self._lock:
            if (stored := self._receipts.get((product, commit.decision_id))) is not None:
                return CommitResult(committed=True, receipt=stored)
            refusal = first_refusal(self._contacts.get((product, commit.user_id), ()), commit.caps)
            if refusal is not None:
                return CommitResult(committed=False, refused_by=refusal.name)
            self._receipts[product, commit.decision_id] = commit.receipt
            self._timelines[product, commit.user_id, commit.timeline_hash] = commit.timeline
            if commit.contact is not None:
                self._reserve(product, commit, commit.contact)
            return CommitResult(committed=True, receipt=commit.receipt)

    def commit_many(self, product: str, commits: Sequence[Commit]) -> list[CommitResult | LedgerError]:
        """`commit` of each, in this order."""
        return [self.commit(product, commit) for commit in commits]

    def adopt(self, product: str, previous_id: str, user_id: str) -> None:
        """Copy every contact of the previous id to the user."""
        with self._lock:
            both = {*self._contacts.get((product, previous_id), ()), *self._contacts.get((product, user_id), ())}
            self._contacts[product, user_id] = sorted(both, key=_in_time)

    def receipt(self, product: str, decision_id: str) -> bytes | None:
        """The stored receipt, or None."""
        return self._receipts.get((product, decision_id))

    def timeline(self, product: str, user_id: str, timeline_hash: str) -> bytes | None:
        """The stored timeline version, or None."""
        return self._timelines.get((product, user_id, timeline_hash))

    def outbox(self, product: str) -> list[bytes]:
        """Delivery orders not yet taken by a sender; each user's in the order of their commits."""
        with self._lock:
            return [order for (owner, _), orders in self._outbox.items() if owner == product for order in orders]

    def _reserve(self, product: str, commit: Commit, contact: Contact) -> None:
        oldest_us = contact.at_us - self.keep_contacts // timedelta(microseconds=1)
        kept = [old for old in self._contacts[product, commit.user_id] if old.at_us >= oldest_us]
        self._contacts[product, commit.user_id] = sorted([*kept, contact], key=_in_time)
        self._outbox[product, commit.user_id].append(commit.outbox)


def _in_time(contact: Contact) -> tuple[int, str, str, str, str]:
    """Oldest first; contacts of one instant in the order in which Redis keeps them."""
    return contact.at_us, contact.channel, contact.message_class.value, contact.message_id, contact.decision_id
