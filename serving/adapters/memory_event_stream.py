"""The event stream in memory: the shipped twin for tests, with the same promises within one process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from serving.ports import StreamEntry


@dataclass(slots=True)
class MemoryEventStream:
    """Accepted messages in a list; time stands still, so every unacknowledged entry counts as idle for ever.

    Examples
    --------
    >>> stream = MemoryEventStream()
    >>> stream.publish([("ann", b"{}")])
    >>> [entry.body for entry in stream.read(limit=10, block_ms=0)], stream.backlog()
    ([b'{}'], 1)
    """

    unread: list[StreamEntry] = field(default_factory=list)
    taken: list[StreamEntry] = field(default_factory=list)
    dead: list[tuple[bytes, str]] = field(default_factory=list)
    n_published: int = 0

    def publish(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Append, in order."""
        for _, body in messages:
            self.n_published += 1
            self.unread.append(StreamEntry(partition=0, entry_id=f"{self.n_published}-0", body=body))

    def read(self, *, limit: int, block_ms: int) -> list[StreamEntry]:  # noqa: ARG002 - nothing can arrive while we wait
        """Entries nobody has read yet."""
        found, self.unread = self.unread[:limit], self.unread[limit:]
        self.taken += found
        return found

    def claim(self, *, idle_ms: int, limit: int) -> list[StreamEntry]:  # noqa: ARG002 - time stands still
        """Every entry read and not acknowledged."""
        return list(self.taken)

    def acknowledge(self, entries: Sequence[StreamEntry]) -> None:
        """Forget entries."""
        self.taken = [entry for entry in self.taken if entry not in entries]

    def bury(self, entry: StreamEntry, reason: str) -> None:
        """Move to the dead letters."""
        self.dead.append((entry.body, reason))
        self.acknowledge([entry])

    def backlog(self) -> int:
        """Entries not yet acknowledged."""
        return len(self.unread) + len(self.taken)

    def dead_letters(self) -> list[tuple[bytes, str]]:
        """``(body, reason)`` of every buried entry, oldest first."""
        return list(self.dead)
