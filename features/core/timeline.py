"""A user's timeline: the bounded, mergeable set of their events that every feature is computed from.

Per kind a timeline keeps the newest ``keep`` and the oldest ``keep_first`` events by key (occurred_us as sent, event_hash),
and remembers the newest key it let go. Nothing else decides what is kept, so a timeline is a pure function of the *set* of
events that ever went in: order, duplication and the way they were batched cannot change a byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from features.core.catalogue import Kind
from features.core.columns import EventColumns, Int64s, event_numbers
from features.core.event import Event, text_hash
from features.core.layout import KNOWN, LET_GO_OCCURRED, N_LET_GO, N_PROPERTIES
from features.core.order import group
from features.core.retention import retain
from features.core.timeline_format import NewerTimelineFormatError, TimelineFormatError, decode, encode

__all__ = [
    "NewerTimelineFormatError",
    "Timeline",
    "TimelineFormatError",
    "merge",
    "pack",
    "timeline_from_events",
    "timelines_from_columns",
    "unpack",
]

_OTHER_KINDS = Kind(name="")


def _no_events() -> npt.NDArray[np.int64]:
    return np.empty((N_PROPERTIES, 0), np.int64)


def _no_keys() -> npt.NDArray[np.int64]:
    return np.empty((N_LET_GO, 0), np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timeline:
    """What is kept of one user's events; equal timelines have equal bytes (compare by `pack`).

    Examples
    --------
    >>> Timeline().n_events, Timeline().newest_known_us, Timeline().coverage_start_us
    (0, 0, None)
    """

    events: npt.NDArray[np.int64] = field(default_factory=_no_events)
    """(8, n_events), rows as in `features.core.layout`, in order (kind hash, occurred_us, event_hash)."""
    let_go: npt.NDArray[np.int64] = field(default_factory=_no_keys)
    """(3, n_kinds_that_let_go): kind hash, occurred_us, event_hash of the newest event let go."""

    @property
    def n_events(self) -> int:
        """How many events are kept."""
        return int(self.events.shape[1])

    @property
    def newest_known_us(self) -> int:
        """Greatest known_us of the kept events; 0 when there are none."""
        return int(self.events[KNOWN].max()) if self.n_events else 0

    @property
    def coverage_start_us(self) -> int | None:
        """The instant from which every event of every kind is still here; None: from the beginning."""
        return int(self.let_go[LET_GO_OCCURRED].max()) + 1 if self.let_go.shape[1] else None


def timeline_from_events(events: Iterable[Event], kinds: Sequence[Kind]) -> Timeline:
    """The timeline of one user's events, in any order, duplicates allowed.

    Events of kinds that are not in ``kinds`` are kept too, with the defaults of `Kind`.

    Examples
    --------
    >>> from datetime import UTC, datetime, timedelta
    >>> def login(hour):
    ...     at = datetime(2026, 3, 1, hour, tzinfo=UTC)
    ...     return Event(event_id=str(hour), user_id="ada", kind="login", occurred_at=at, received_at=at)
    >>> kept = timeline_from_events([login(h) for h in (9, 8, 9, 10, 11, 12)], [Kind(name="login", keep=2, keep_first=1)])
    >>> kept.n_events, (kept.coverage_start_us or 0) == login(10).known_us + 1  # 8:00, 11:00 and 12:00 are kept
    (3, True)
    """
    rows = [(text_hash(event.kind), *_in_layout_order(event)) for event in events]
    table = np.array(rows, dtype=np.int64).reshape(-1, N_PROPERTIES)
    return _retained(np.ascontiguousarray(table.T), _no_keys(), _limits(kinds))


def timelines_from_columns(columns: EventColumns, n_users: int, kinds: Sequence[Kind]) -> list[Timeline]:
    """The timelines of all users of a log, by user code; ``columns.kind`` indexes ``kinds``.

    Raises
    ------
    ValueError
        If a code of a user or kind is out of range, or an event was known before it happened.
    """
    columns.check(n_users, len(kinds))
    start, order = group(columns.user, n_users)
    hashes = np.array([text_hash(kind.name) for kind in kinds], dtype=np.int64)
    rows = (
        hashes[columns.kind],
        columns.occurred_us,
        columns.event_hash,
        columns.known_us,
        columns.skew_us,
        columns.subject,
        columns.value,
    )
    by_user = np.stack([row[order] for row in (*rows, columns.session)])
    limits = _limits(kinds)
    return [_retained(np.ascontiguousarray(by_user[:, low:high]), _no_keys(), limits) for low, high in _ranges(start)]


def merge(left: Timeline, right: Timeline, kinds: Sequence[Kind]) -> Timeline:
    """The timeline of the events of both; commutative, associative, idempotent for one and the same ``kinds``.

    Examples
    --------
    >>> pack(merge(Timeline(), Timeline(), [Kind(name="login")]))
    b''
    """
    events = np.concatenate((left.events, right.events), axis=1)
    return _retained(events, np.concatenate((left.let_go, right.let_go), axis=1), _limits(kinds))


def pack(timeline: Timeline) -> bytes:
    """The timeline as bytes of the newest format, at most about 32 per event; ``b""`` when it never held an event."""
    return encode(timeline.events, timeline.let_go)


def unpack(packed: bytes) -> Timeline:
    """The timeline that was packed, by this release or an older one.

    Raises
    ------
    NewerTimelineFormatError
        If the bytes are whole and written by a newer release.
    TimelineFormatError
        If the bytes are truncated, corrupted, or something else.

    Examples
    --------
    >>> unpack(b"").n_events
    0
    """
    events, let_go = decode(packed)
    return Timeline(events=events, let_go=let_go)


def _retained(events: npt.NDArray[np.int64], let_go: npt.NDArray[np.int64], limits: npt.NDArray[np.int64]) -> Timeline:
    kept, newest_let_go = retain(events, let_go, limits)
    return Timeline(events=kept, let_go=newest_let_go)


def _limits(kinds: Sequence[Kind]) -> npt.NDArray[np.int64]:
    """int64[3, n_kinds + 1]: kind hash, keep, keep_first; the defaults for all other kinds come last."""
    rows = [(text_hash(kind.name), kind.keep, kind.keep_first) for kind in (*kinds, _OTHER_KINDS)]
    return np.ascontiguousarray(np.array(rows, dtype=np.int64).T)


def _in_layout_order(event: Event) -> tuple[int, int, int, int, int, int, int]:
    occurred_us, known_us, skew_us, content_hash, subject, value, session = event_numbers(event)
    return occurred_us, content_hash, known_us, skew_us, subject, value, session


def _ranges(start: Int64s) -> Iterable[tuple[int, int]]:
    return zip(start[:-1].tolist(), start[1:].tolist(), strict=True)
