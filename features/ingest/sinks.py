"""Where admitted items of an import go, by what the log states: events, profile changes or labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.core.event import Event, text_hash, to_us
from features.core.product import Product
from features.ingest.admission import ProfileChange
from features.ingest.event_table import event_table
from features.ingest.label_rows import StatedLabel, store_labels
from features.ingest.merge_batch import merge_table
from features.ports import ProfileStore, RawLog, TimelineStore

FLUSH_EVENTS = 2_000_000
"""Events held before they are stored, about 300 MB: few and large part files, one merge for most users."""

CHANGES_PER_WRITE = 10_000
"""Profile changes given to the store at once."""

_MIX = np.int64(-7046029254386353131)  # odd; spreads user hashes over the keys of `_keys`

OnStored = Callable[[int, int], None]
"""``on_stored(users done, users)``."""


class BulkRawLog(RawLog, Protocol):
    """A raw log that takes whole tables."""

    def append_table(self, table: pa.Table) -> None:
        """Store a table in the layout of `features.ingest.event_table.SCHEMA`; durable once this returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What a sink took."""

    admitted: int
    distinct: int
    users: int
    first: datetime | None
    last: datetime | None


class Sink(Protocol):
    """Takes the admitted items of one import."""

    def add(self, items: Sequence[Any]) -> None:
        """Take a batch; it may be stored later."""

    def finish(self, on_stored: OnStored) -> Totals:
        """Store what is not stored yet."""


class EventSink:
    """Events: to the raw log first, then merged into the timelines, so that every event of a timeline is in the log."""

    def __init__(self, product: Product, raw_log: BulkRawLog, timelines: TimelineStore, *, flush_events: int = FLUSH_EVENTS) -> None:
        self._product = product
        self._flush_events = flush_events
        self._raw_log = raw_log
        self._timelines = timelines
        self._pending: list[pa.Table] = []
        self._admitted = 0
        self._keys: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._users: set[str] = set()
        self._instants: list[datetime] = []

    def add(self, items: Sequence[Event]) -> None:
        """Take a batch; what is held is stored when it grows to ``flush_events``."""
        if not items:
            return
        self._pending.append(event_table(items))
        self._admitted += len(items)
        if sum(table.num_rows for table in self._pending) >= self._flush_events:
            self._flush(lambda _done, _total: None)

    def finish(self, on_stored: OnStored) -> Totals:
        """Store what is held."""
        self._flush(on_stored)
        first, last = (min(self._instants), max(self._instants)) if self._instants else (None, None)
        return Totals(admitted=self._admitted, distinct=len(self._keys), users=len(self._users), first=first, last=last)

    def _flush(self, on_stored: OnStored) -> None:
        if not self._pending:
            return
        table = pa.concat_tables(self._pending)
        self._pending = []
        self._raw_log.append_table(table)
        merge_table(table, self._product, self._timelines, on_stored)
        self._keys = np.union1d(self._keys, _content_keys(table))
        self._users.update(pc.unique(table["user_id"]).to_pylist())
        self._instants += pc.min_max(table["occurred_at"]).as_py().values()


class ProfileSink:
    """Profile changes, in portions of `CHANGES_PER_WRITE`; the store keeps the newest value whatever order they come in."""

    def __init__(self, profiles: ProfileStore) -> None:
        self._profiles = profiles
        self._changes: list[ProfileChange] = []

    def add(self, items: Sequence[ProfileChange]) -> None:
        """Take a batch."""
        self._changes += items

    def finish(self, on_stored: OnStored) -> Totals:
        """Write everything."""
        for start in range(0, len(self._changes), CHANGES_PER_WRITE):
            self._profiles.write_history(_by_instant(self._changes[start : start + CHANGES_PER_WRITE]))
            on_stored(min(start + CHANGES_PER_WRITE, len(self._changes)), len(self._changes))
        return _totals([(change.user_id, change.changed_at) for change in self._changes])


class LabelSink:
    """Labels: added to the file of their log."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._labels: list[StatedLabel] = []

    def add(self, items: Sequence[StatedLabel]) -> None:
        """Take a batch."""
        self._labels.extend(items)

    def finish(self, on_stored: OnStored) -> Totals:
        """Write the file."""
        if self._labels:
            store_labels(self._labels, self._file)
        on_stored(1, 1)
        return _totals([(label.user_id, label.as_of) for label in self._labels])


def _content_keys(table: pa.Table) -> npt.NDArray[np.int64]:
    """One 64-bit key for (user, content): what makes an event the same event (kind is part of the content)."""
    users = table["user_id"].combine_chunks().dictionary_encode()
    user_hash = np.array([text_hash(user) for user in users.dictionary.to_pylist()], dtype=np.int64)
    by_row = user_hash[users.indices.to_numpy()]
    return np.unique(table["event_hash"].to_numpy() ^ (by_row * _MIX))


def _by_instant(changes: Iterable[ProfileChange]) -> dict[int, dict[str, dict[str, Any]]]:
    """changed_us -> user -> attributes; of two values at one instant the one that comes later in the file counts."""
    history: defaultdict[int, defaultdict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    for change in changes:
        history[to_us(change.changed_at)][change.user_id].update(change.attributes)
    return {changed_us: dict(rows) for changed_us, rows in history.items()}


def _totals(stated: Sequence[tuple[str, datetime]]) -> Totals:
    instants = [instant for _, instant in stated]
    users = {user_id for user_id, _ in stated}
    first, last = (min(instants), max(instants)) if instants else (None, None)
    return Totals(admitted=len(stated), distinct=len(set(stated)), users=len(users), first=first, last=last)
