"""The ledger in memory: the twin that tests and trials use; same answers, no expiry of receipts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from threading import Lock

from serving.decision.caps import first_refusal
from serving.decision.ids import tag_of, user_tag
from serving.decision.values import Contact, Permit
from serving.ports import Commit, CommitResult, Delivery, LedgerError


@dataclass(frozen=True, kw_only=True)
class MemoryLedger:
    """One process's ledger; every commit holds the one lock."""

    keep_contacts: timedelta = timedelta(days=90)
    _contacts: dict[tuple[str, str], list[Contact]] = field(default_factory=lambda: defaultdict(list))
    _released: dict[tuple[str, str], Contact] = field(default_factory=dict)  # by decision
    _receipts: dict[tuple[str, str], bytes] = field(default_factory=dict)
    _timelines: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    _outbox: dict[tuple[str, str], list[bytes]] = field(default_factory=lambda: defaultdict(list))
    _rates: dict[tuple[str, str, int], set[str]] = field(default_factory=lambda: defaultdict(set))  # decisions by window
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
            full = self._full_rate(product, commit) or self._full_window(product, commit)
            if full is not None:
                return CommitResult(committed=False, refused_by=full)
            self._receipts[product, commit.decision_id] = commit.receipt
            self._timelines[product, commit.user_id, commit.timeline_hash] = commit.timeline
            if commit.contact is not None:
                self._reserve(product, commit, commit.contact)
            return CommitResult(committed=True, receipt=commit.receipt)

    def commit_many(self, product: str, commits: Sequence[Commit]) -> list[CommitResult | LedgerError]:
        """`commit` of each, in this order."""
        return [self.commit(product, commit) for commit in commits]

    def without_room(self, product: str, windows: Sequence[Permit]) -> list[Permit]:
        """Those windows of rate limits that have no place left."""
        with self._lock:
            return [window for window in windows if len(self._rates.get((product, window.name, window.since_us), ())) >= window.limit]

    def adopt(self, product: str, previous_id: str, user_id: str) -> None:
        """Copy every contact of the previous id to the user, reservations for good."""
        with self._lock:
            adopted = [replace(contact, expires_us=None) for contact in self._contacts.get((product, previous_id), ())]
            moved = {replace(contact, at_us=0) for contact in adopted}  # was adopted before, perhaps for another moment
            kept = [one for one in self._contacts.get((product, user_id), ()) if replace(one, at_us=0) not in moved]
            self._contacts[product, user_id] = sorted([*adopted, *kept], key=_in_time)

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

    def confirm(self, product: str, decision_id: str, *, delivered_us: int) -> Delivery:
        """The decision's contact was delivered at this instant: it counts for good, from then on."""
        with self._lock:
            contacts, contact = self._find(product, decision_id)
            if contact is not None and contact.expires_us is None:
                return Delivery.KNOWN
            found = contact or self._released.pop((product, decision_id), None)
            if found is None or contacts is None:
                return Delivery.UNKNOWN
            kept = [one for one in contacts if one is not contact]
            contacts[:] = sorted([*kept, replace(found, at_us=delivered_us, expires_us=None)], key=_in_time)
            return Delivery.CONFIRMED

    def release(self, product: str, decision_id: str) -> Delivery:
        """The decision's contact was not and will not be delivered: it takes no place any more. A confirmed one stays."""
        with self._lock:
            contacts, contact = self._find(product, decision_id)
            if contact is None or contacts is None:
                return Delivery.KNOWN if (product, decision_id) in self._released else Delivery.UNKNOWN
            if contact.expires_us is None:
                return Delivery.KNOWN
            contacts.remove(contact)
            self._released[product, decision_id] = contact
            return Delivery.RELEASED

    def _find(self, product: str, decision_id: str) -> tuple[list[Contact] | None, Contact | None]:
        """The contacts of whom the decision was about, and its own."""
        tag = tag_of(decision_id)
        for (owner, user_id), contacts in self._contacts.items():
            if owner == product and user_tag(user_id) == tag:
                return contacts, next((contact for contact in contacts if contact.decision_id == decision_id), None)
        return None, None

    def _full_rate(self, product: str, commit: Commit) -> str | None:
        taken = [(permit, self._rates[product, permit.name, permit.since_us]) for permit in commit.permits]
        full = (permit.name for permit, decisions in taken if len(decisions - {commit.decision_id}) >= permit.limit)
        return next(full, None)

    def _full_window(self, product: str, commit: Commit) -> str | None:
        counting = [contact for contact in self._contacts.get((product, commit.user_id), ()) if contact.counts_at(commit.as_of_us)]
        refusal = first_refusal(counting, commit.caps)
        return None if refusal is None else refusal.name

    def _reserve(self, product: str, commit: Commit, contact: Contact) -> None:
        oldest_us = min(contact.at_us, commit.as_of_us or contact.at_us) - self.keep_contacts // timedelta(microseconds=1)
        kept = [old for old in self._contacts[product, commit.user_id] if old.at_us >= oldest_us]
        self._contacts[product, commit.user_id] = sorted([*kept, contact], key=_in_time)
        self._outbox[product, commit.user_id].append(commit.outbox)
        for permit in commit.permits:
            self._rates[product, permit.name, permit.since_us].add(commit.decision_id)


def _in_time(contact: Contact) -> tuple[int, str, str, str, str, str]:
    """Oldest first; contacts of one instant in the order in which Redis keeps them."""
    expiry = "" if contact.expires_us is None else str(contact.expires_us)
    return contact.at_us, contact.channel, contact.message_class.value, contact.message_id, contact.decision_id, expiry
