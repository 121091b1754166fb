"""The stores in a dictionary: same contract as over Redis, for tests and for single-process use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from features.core.catalogue import Kind
from features.core.timeline import Timeline, TimelineFormatError, merge, pack, unpack
from features.ports import StoredTimeline, unreadable_timelines


class MemoryTimelineStore:
    """Timelines that end with the process; safe to use from several threads.

    Examples
    --------
    >>> MemoryTimelineStore(kinds=(), clock_us=lambda: 1).read(["nobody"])
    [StoredTimeline(packed=b'', version_us=0)]
    """

    def __init__(self, *, kinds: Sequence[Kind], clock_us: Callable[[], int]) -> None:
        self._kinds = kinds
        self._clock_us = clock_us
        self._lock = threading.Lock()
        self._rows: dict[str, StoredTimeline] = {}

    def read(self, user_ids: Sequence[str]) -> list[StoredTimeline]:
        """Timelines in the order asked for."""
        with self._lock:
            return [self._rows.get(user_id, _UNKNOWN) for user_id in user_ids]

    def merge(self, updates: Mapping[str, Timeline]) -> None:
        """Merge each user's update into the stored timeline; returns once all that can be read are stored."""
        unreadable = self._merge(updates)
        if unreadable:
            raise unreadable_timelines(unreadable)

    def rebuild(self, updates: Mapping[str, Timeline]) -> None:
        """As `merge`, but a stored timeline that cannot be read is replaced by the update."""
        unreadable = self._merge(updates)
        with self._lock:
            for user_id in unreadable:
                self._store(user_id, pack(merge(Timeline(), updates[user_id], self._kinds)))

    def _merge(self, updates: Mapping[str, Timeline]) -> dict[str, TimelineFormatError]:
        """Users whose stored timeline cannot be read, and why."""
        unreadable = {}
        with self._lock:
            for user_id, update in updates.items():
                try:
                    stored = unpack(self._rows.get(user_id, _UNKNOWN).packed)
                except TimelineFormatError as exc:
                    unreadable[user_id] = exc
                else:
                    self._store(user_id, pack(merge(stored, update, self._kinds)))
        return unreadable

    def _store(self, user_id: str, packed: bytes) -> None:
        stored = self._rows.get(user_id, _UNKNOWN)
        if packed != stored.packed:
            self._rows[user_id] = StoredTimeline(packed=packed, version_us=max(stored.version_us + 1, self._clock_us()))

    def erase(self, user_ids: Sequence[str]) -> None:
        """Remove the users' timelines."""
        with self._lock:
            for user_id in user_ids:
                self._rows.pop(user_id, None)


class MemoryProfileStore:
    """Profiles that end with the process: each attribute keeps its newest value, whatever order the changes arrive in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, dict[str, tuple[int, Any]]] = {}

    def read(self, user_ids: Sequence[str], names: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Attributes by name (those of ``names``; None: all), in the order asked for; unknown users and unset attributes are left out."""
        with self._lock:
            known = [self._values.get(user_id, {}) for user_id in user_ids]
            return [
                {name: value for name, (_, value) in values.items() if value is not None and (names is None or name in names)}
                for values in known
            ]

    def write(self, rows: Mapping[str, Mapping[str, Any]], *, changed_us: int) -> None:
        """Set attributes of users (those not named keep their value); None unsets."""
        with self._lock:
            for user_id, attributes in rows.items():
                known = self._values.setdefault(user_id, {})
                for name, value in attributes.items():
                    if name not in known or changed_us >= known[name][0]:
                        known[name] = (changed_us, value)

    def erase(self, user_ids: Sequence[str]) -> None:
        """Remove all attributes of the users."""
        with self._lock:
            for user_id in user_ids:
                self._values.pop(user_id, None)

    def write_history(self, history: Mapping[int, Mapping[str, Mapping[str, Any]]]) -> None:
        """Set attributes as of many instants, as `write` does for one."""
        for changed_us, rows in history.items():
            self.write(rows, changed_us=changed_us)


_UNKNOWN = StoredTimeline(packed=b"", version_us=0)
