"""A ledger that reads and never writes: for "what would be decided"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from serving.decision.values import Contact, Permit
from serving.ports import Commit, CommitResult, Ledger, LedgerError


@dataclass(frozen=True, slots=True)
class ForgetfulLedger:
    """Shows another ledger's contacts and agrees to every proposal without making it.

    Examples
    --------
    >>> from serving.adapters.memory_ledger import MemoryLedger
    >>> inner = MemoryLedger()
    >>> commit = Commit(decision_id="d1", user_id="ada", receipt=b"{}", timeline_hash="", timeline=b"")
    >>> ForgetfulLedger(inner).commit("onboarding", commit).committed, inner.receipt("onboarding", "d1")
    (True, None)
    """

    inner: Ledger

    def contacts(self, product: str, user_id: str, *, since_us: int) -> tuple[Contact, ...]:
        """Contacts of the other ledger."""
        return self.inner.contacts(product, user_id, since_us=since_us)

    def commit(self, product: str, commit: Commit) -> CommitResult:  # noqa: ARG002 - nothing is kept
        """Agree, and forget."""
        return CommitResult(committed=True, receipt=commit.receipt)

    def commit_many(self, product: str, commits: Sequence[Commit]) -> list[CommitResult | LedgerError]:
        """Agree to each, and forget."""
        return [self.commit(product, commit) for commit in commits]

    def without_room(self, product: str, windows: Sequence[Permit]) -> list[Permit]:
        """Windows of rate limits without a place left in the other ledger."""
        return self.inner.without_room(product, windows)

    def receipt(self, product: str, decision_id: str) -> bytes | None:
        """Receipt of the other ledger."""
        return self.inner.receipt(product, decision_id)

    def timeline(self, product: str, user_id: str, timeline_hash: str) -> bytes | None:
        """Timeline of the other ledger."""
        return self.inner.timeline(product, user_id, timeline_hash)

    def outbox(self, product: str) -> list[bytes]:
        """Outbox of the other ledger."""
        return self.inner.outbox(product)
