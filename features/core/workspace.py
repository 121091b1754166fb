"""Memory for the records of a log, kept from one batch to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from features.core.partition import Matrix, empty_records

_SPARE = 8
"""An eighth more than is asked for, so that the next log, a little larger, fits too; what is not touched is not there."""


class Workspace:
    """Give it to successive calls of `batch_vectors`: the system clears fresh memory before it is used, kept memory it need not.

    It holds 72 bytes for each event of the largest log so far, and answers do not depend on it. One call at a time has it: one that
    meets it in use, in another thread, works in fresh memory of its own.

    Examples
    --------
    >>> workspace = Workspace()
    >>> with workspace.lend() as room:
    ...     room(1000).shape
    (1000, 8)
    """

    __slots__ = ("_in_use", "_records")

    def __init__(self) -> None:
        self._in_use = Lock()
        self._records = empty_records(0)

    @contextmanager
    def lend(self) -> Iterator[Callable[[int], Matrix]]:
        """What gives room for so many records, as `empty_records`; it belongs to the caller until the end of the block."""
        if not self._in_use.acquire(blocking=False):
            yield empty_records
            return
        try:
            yield self._room
        finally:
            self._in_use.release()

    def _room(self, n: int) -> Matrix:
        if len(self._records) < n:
            self._records = empty_records(0)  # first let go of the old memory
            self._records = empty_records(n + n // _SPARE)
        return self._records[:n]
