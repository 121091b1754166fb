"""Lag: whether a difference is nothing but events that had been received and were not merged into the timeline yet.

It counts as lag only if that is proven: the features follow from the timeline that the decision read, and that timeline together with what
the log knew by then gives what the log gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cached_property

import numpy as np
import numpy.typing as npt

from features.backfill.columns import RawColumns
from features.core.catalogue import Kind
from features.core.columns import EventColumns, Int64s
from features.core.event import text_hash
from features.core.kernel import vector
from features.core.layout import HASH, KIND, LET_GO_HASH, LET_GO_KIND, LET_GO_OCCURRED
from features.core.order import group
from features.core.program import Program
from features.core.timeline import Timeline, TimelineFormatError, merge, pack, timelines_from_columns, unpack
from serving.consistency.receipts import Logged

Float64s = npt.NDArray[np.float64]

StoredTimeline = Callable[[str, str], bytes | None]
"""(user_id, timeline hash) to the timeline that a decision read; None: it is gone."""


class Histories:
    """The raw log by user, ordered when first asked."""

    def __init__(self, raw: RawColumns) -> None:
        self._raw = raw

    @cached_property
    def _by_user(self) -> tuple[Int64s, npt.NDArray[np.integer]]:
        start, order = group(self._raw.columns.user, len(self._raw.user_ids))
        return start, order

    def known(self, user_id: str, as_of_us: int) -> EventColumns:
        """Events that the log knew by then of whom the id stood for by then, under the user code 0."""
        ids, columns = self._raw.user_ids, self._raw.columns
        code = int(np.searchsorted(ids, user_id))
        positions = np.empty(0, np.int64)
        if code < len(ids) and ids[code] == user_id:
            (code,) = self._raw.attachments.whom(np.array([code]), as_of_us).tolist()
            start, order = self._by_user
            positions = order[start[code] : start[code + 1]].astype(np.int64)
            positions = positions[columns.known_us[positions] <= as_of_us]
        taken = {field.name: getattr(columns, field.name)[positions] for field in fields(EventColumns)}
        return EventColumns(**(taken | {"user": np.zeros(len(positions), np.int64)}))


def late_us(
    one: Logged, decided: Float64s, recomputed: Float64s, *, histories: Histories, stored: StoredTimeline, program: Program
) -> list[int] | None:
    """For how long each event that was not merged yet had been received, in microseconds; None: the difference is not lag alone."""
    packed = stored(one.user_id, one.timeline_hash)
    if packed is None or not _gives(packed, one.as_of_us, program, decided):
        return None
    kinds = program.catalogue.kinds
    known = histories.known(one.user_id, one.as_of_us)
    timeline = unpack(packed)
    both = merge(timeline, timelines_from_columns(known, 1, kinds)[0], kinds)
    if not _gives(pack(both), one.as_of_us, program, recomputed):
        return None  # the timeline holds what the log does not
    late = not_merged(timeline, known, kinds)
    return [int(lag_us) for lag_us in one.as_of_us - known.known_us[late]]


def not_merged(timeline: Timeline, known: EventColumns, kinds: Sequence[Kind]) -> Int64s:
    """Positions in ``known`` of the events that the timeline should hold and does not; those it has let go are not among them."""
    held = set(zip(timeline.events[KIND].tolist(), timeline.events[HASH].tolist(), strict=True))
    let_go = (timeline.let_go[row].tolist() for row in (LET_GO_KIND, LET_GO_OCCURRED, LET_GO_HASH))
    newest_gone = {kind: (occurred_us, event_hash) for kind, occurred_us, event_hash in zip(*let_go, strict=True)}
    hashes = np.array([text_hash(kind.name) for kind in kinds], dtype=np.int64)[known.kind]
    rows = zip(hashes.tolist(), known.occurred_us.tolist(), known.event_hash.tolist(), strict=True)
    late = [
        position
        for position, (kind, occurred_us, event_hash) in enumerate(rows)
        if (kind, event_hash) not in held and (kind not in newest_gone or (occurred_us, event_hash) > newest_gone[kind])
    ]
    return np.array(late, dtype=np.int64)


def _gives(packed: bytes, as_of_us: int, program: Program, expected: Float64s) -> bool:
    """Whether a timeline has these features; bytes that are no timeline have none."""
    try:
        return bool(np.array_equal(vector(packed, as_of_us, program), expected, equal_nan=True))
    except TimelineFormatError:
        return False
