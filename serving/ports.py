"""What serving a decision needs from the outside world."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from models.timing.benefit import Curve, When
from serving.decision.values import CapWindow, Contact, Permit

FloatArray = npt.NDArray[np.float64]


class LedgerError(Exception):
    """The ledger could not be reached; nothing may be sent. The cause is chained."""


class DamagedReceiptError(LedgerError):
    """What is stored under a decision is no receipt any more; asking again does not help, restoring Redis from a copy does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A decision to be made durable in one atomic step."""

    decision_id: str
    user_id: str
    receipt: bytes  # canonical JSON
    timeline_hash: str  # 16 hex digits; b"" timelines included
    timeline: bytes  # stored once per hash
    contact: Contact | None = None  # what to reserve; None for "do nothing"
    caps: tuple[CapWindow, ...] = ()
    outbox: bytes = b""  # delivery order, canonical JSON; appended only when the contact is reserved
    as_of_us: int = 0  # of the decision: reservations that expired by then take no place
    permits: tuple[Permit, ...] = ()  # places under rate limits that the contact takes


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitResult:
    """What the ledger did."""

    committed: bool  # False: a cap refused; nothing was written
    refused_by: str | None = None  # the window's name: a cap's, a cooldown's or a rate limit's
    receipt: bytes = b""  # the stored receipt; of the first commit when the decision id was already there
    is_attached: bool | None = None  # whether the user was attached to another by the time of the commit; None: not asked


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPerson:
    """What is stored of whom an id stands for; a part that could not be read is None."""

    user_id: str  # the end of the chain of aliases; the id itself where that cannot be told
    is_erased: bool
    timeline: bytes | None  # b"" when no event is known
    profile: Mapping[str, Any] | None  # unset attributes are left out
    contacts: tuple[Contact, ...] | None  # oldest first; None too where it cannot be told whose caps count
    previous_ids: tuple[str, ...] = ()  # along the chain of aliases, the id asked about first; none where it stands for itself


class Delivery(StrEnum):
    """What the ledger did with the news of a delivery."""

    CONFIRMED = "confirmed"  # the contact counts for good, from the moment it was delivered
    RELEASED = "released"  # it was not delivered: its place is free again
    KNOWN = "known"  # the same was told before; nothing changed
    UNKNOWN = "unknown"  # no such contact is remembered


class PersonStore(Protocol):
    """All that a decision reads of stores, of many users at once."""

    def read(self, user_ids: Sequence[str], *, since_us: int) -> list[StoredPerson]:
        """What is stored of whom each id stands for, in the order asked for, with contacts at_us >= since_us.

        Never raises: what could not be read is missing, and costs nobody else what is stored of them. Waits for a silent store once.
        """


class Ledger(Protocol):
    """Contacts, receipts and outbox of each user; never lets a cap be exceeded."""

    def contacts(self, product: str, user_id: str, *, since_us: int) -> tuple[Contact, ...]:
        """Contacts with at_us >= since_us, oldest first.

        Raises
        ------
        LedgerError
        """

    def commit(self, product: str, commit: Commit) -> CommitResult:
        """Check every cap, reserve, store the receipt and append to the outbox: all or nothing, atomically.

        Raises
        ------
        LedgerError
        """

    def commit_many(self, product: str, commits: Sequence[Commit]) -> list[CommitResult | LedgerError]:
        """`commit` of each, in this order; what is wrong with one is its own result.

        Raises
        ------
        LedgerError
            If the ledger could not be reached; then any of them may have been committed, or none.
        """

    def without_room(self, product: str, windows: Sequence[Permit]) -> list[Permit]:
        """Those windows of rate limits that have no place left; takes none, and promises nothing of the moment of the commit.

        Raises
        ------
        LedgerError
        """

    def receipt(self, product: str, decision_id: str) -> bytes | None:
        """The stored receipt, or None.

        Raises
        ------
        LedgerError
            `DamagedReceiptError` where what is stored is none.
        """

    def timeline(self, product: str, user_id: str, timeline_hash: str) -> bytes | None:
        """The stored timeline version, or None."""

    def outbox(self, product: str) -> list[bytes]:
        """Every delivery order there is, told of or not: a sender takes them out, or they expire; each user's in the order of commits."""


class Deliveries(Protocol):
    """Takes the news of what became of reserved contacts."""

    def confirm(self, product: str, decision_id: str, *, delivered_us: int) -> Delivery:
        """The decision's contact was delivered at this instant: it counts for good, from then on.

        Also when its reservation expired or was released meanwhile: what reached a person counts, and later caps see it.

        Raises
        ------
        LedgerError
        """

    def release(self, product: str, decision_id: str) -> Delivery:
        """The decision's contact was not and will not be delivered: it takes no place any more. A confirmed one stays.

        Raises
        ------
        LedgerError
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """What the ids of one request's decisions follow from, so that asking again asks about the same decisions."""

    now_us: int
    entropy: bytes
    is_lost: bool = False  # nobody can say what the key was used for before: nothing may be sent
    is_new: bool = False  # made this instant: nothing can have been decided under it before

    def of_place(self, place: int) -> Seed:
        """The seed of one user of a list."""
        if self.is_lost:
            return self
        entropy = hashlib.sha256(self.entropy + place.to_bytes(4, "big")).digest()[: len(self.entropy)]
        return Seed(now_us=self.now_us, entropy=entropy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What was first asked under an idempotency key."""

    fingerprint: str  # of the body
    seed: Seed


class IdempotencyKeys(Protocol):
    """Remembers for 24 hours what was first asked under each key."""

    def claim(self, product: str, key: str, claim: Claim) -> Claim:
        """The claim that counts for the key: the first; of two at once one is first for both.

        Raises
        ------
        LedgerError
        """


class ContactBook(Protocol):
    """Hands contacts on from one id of a person to another."""

    def adopt(self, product: str, previous_id: str, user_id: str) -> None:
        """Copy every contact of the previous id to the user; doing it again changes nothing, and an erased user gets none.

        Raises
        ------
        LedgerError
        """


class PolicyArchive(Protocol):
    """Every policy that ever decided, by the hash of its content; so that replay finds the one that a receipt names."""

    def save(self, policy_hash: str, document: bytes) -> None:
        """Keep the document (see `serving.policy_file.policy_document`); saving it again changes nothing."""

    def load(self, policy_hash: str) -> bytes | None:
        """The document, or None."""


class Scorer(Protocol):
    """A loaded model bundle."""

    @property
    def version(self) -> str:
        """Registry version, "onboarding/3"."""

    @property
    def feature_fingerprint(self) -> str:
        """Fingerprint of the features it was trained on."""

    @property
    def min_cause_lead(self) -> float:
        """Log-odds by which the top cause must lead to pick the message; 0 where stability was not measured."""

    @property
    def min_cause_leads(self) -> Mapping[str, float]:
        """The same by cause, for those causes that the model measured by themselves."""

    def risk(self, vectors: FloatArray, profiles: Sequence[dict[str, object]]) -> FloatArray:
        """Calibrated P(dropout), shape (n_users,), for vectors of shape (n_users, n_features).

        Profiles hold the ages of their instants at as_of, too (`features.core.ages`).
        """

    def segments(self, vectors: FloatArray) -> Sequence[str] | None:
        """Learned segment of each user, by its stable id, for vectors of shape (n_users, n_features); None where it learned none."""

    def timing_curve(
        self, vector: FloatArray, profile: dict[str, object], *, when: When, delays_s: Sequence[float], names: Sequence[str]
    ) -> Curve | None:
        """What acting after each delay, the first of which is 0, is expected to bring; None where no timing was learned.

        ``names``: what a trial's action may be called that is what would be sent, the best name first; of another one no effect is told.
        """

    def contributions(self, vector: FloatArray, profile: dict[str, object]) -> dict[str, float]:
        """TreeSHAP log-odds by cause for one user; with ``"base"``, the sum is the raw score."""


class EventStreamError(Exception):
    """The event stream could not be reached; nothing was accepted or acknowledged. The cause is chained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEntry:
    """One accepted message of one user on its way to the timelines."""

    partition: int
    entry_id: str
    body: bytes


class EventStream(Protocol):
    """Accepted messages, kept until acknowledged; one user's messages keep their order (one partition per user).

    Every method raises `EventStreamError` when the stream cannot be reached.
    """

    def publish(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Append ``(user_id, body)`` pairs; all are durable once this returns, none where it raises before the first write."""

    def read(self, *, limit: int, block_ms: int) -> list[StreamEntry]:
        """Entries nobody has read yet, at most about ``limit`` of each partition; waits up to ``block_ms`` for the first."""

    def claim(self, *, idle_ms: int, limit: int) -> list[StreamEntry]:
        """Entries that a reader took at least ``idle_ms`` ago and never acknowledged; they count as taken now."""

    def acknowledge(self, entries: Sequence[StreamEntry]) -> None:
        """Forget entries: their effect is durable."""

    def bury(self, entry: StreamEntry, reason: str) -> None:
        """Move one entry that can never be applied to the dead letters, with the reason."""

    def backlog(self) -> int:
        """Messages accepted and not yet acknowledged."""
