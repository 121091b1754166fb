"""Compares receipts with the raw log and counts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.backfill.columns import RawColumns
from features.backfill.snapshots import snapshots_of
from features.core.product import Product
from features.core.program import Program, compile_program
from serving.consistency.lag import Float64s, Histories, StoredTimeline, late_us
from serving.consistency.receipts import Logged, Skipped, read_receipt
from serving.consistency.report import ConsistencyReport, Counts, Difference, spread

_INSTANT = pa.timestamp("us", tz="UTC")

MAX_EXAMPLES = 10
"""Differing decisions that are shown in full."""


def _gone(user_id: str, timeline_hash: str) -> bytes | None:  # noqa: ARG001 - the shape of StoredTimeline
    return None


@dataclass(kw_only=True)
class Checker:
    """Compares receipts with the raw log, as many at a time as one likes.

    Parameters
    ----------
    raw
        The whole raw log.
    stored
        Where decisions' timelines are kept. A difference whose timeline is gone cannot be shown to be lag, and counts.
    not_after_us
        Receipts of a later as_of are left out as too recent.
    """

    product: Product
    raw: RawColumns
    stored: StoredTimeline = _gone
    not_after_us: int | None = None
    _receipts: int = 0
    _skipped: Counter[str] = field(default_factory=Counter)
    _by_feature: dict[str, Counts] = field(default_factory=dict)
    _examples: list[Difference] = field(default_factory=list)
    _freshness_us: list[int] = field(default_factory=list)
    _lag_us: list[int] = field(default_factory=list)
    _lagging: int = 0
    _lagging_values: int = 0

    def __post_init__(self) -> None:
        self._program: Program = compile_program(self.product.catalogue)
        self._histories = Histories(self.raw)
        self._by_feature = {name: Counts() for name in self.product.catalogue.feature_names}

    def add(self, receipts: Iterable[bytes]) -> None:
        """Check some more receipts."""
        logged = self._readable(receipts)
        if not logged:
            return
        decided = np.array([list(one.features.values()) for one in logged], dtype=np.float64)
        recomputed = self._recomputed(logged)
        differs = ~((decided == recomputed) | (np.isnan(decided) & np.isnan(recomputed)))
        self._freshness_us += [one.freshness_us for one in logged if one.freshness_us is not None]
        for counts in self._by_feature.values():
            counts.values += len(logged)
        for row in np.flatnonzero(differs.any(axis=1)):
            self._judge(logged[row], decided[row], recomputed[row], differs[row])

    def report(self) -> ConsistencyReport:
        """Say what came out so far."""
        total = Counts()
        for counts in self._by_feature.values():
            total.add(counts)
        return ConsistencyReport(
            receipts=self._receipts,
            checked=self._receipts - self._skipped.total(),
            skipped=dict(self._skipped),
            total=total,
            by_feature=self._by_feature,
            examples=tuple(self._examples),
            freshness=spread(self._freshness_us),
            lagging=self._lagging,
            lagging_values=self._lagging_values,
            lag=spread(self._lag_us),
        )

    def _readable(self, receipts: Iterable[bytes]) -> list[Logged]:
        logged = []
        for receipt in receipts:
            self._receipts += 1
            read = read_receipt(receipt, self.product, not_after_us=self.not_after_us)
            if isinstance(read, Skipped):
                self._skipped[read.value] += 1
            else:
                logged.append(read)
        return logged

    def _recomputed(self, logged: Sequence[Logged]) -> Float64s:
        """Features from the raw log, shape (n_receipts, n_features)."""
        user_ids = pa.array([one.user_id for one in logged], pa.string())
        as_of = pa.array([one.as_of_us for one in logged], pa.int64()).cast(_INSTANT)
        snapshots = snapshots_of(self.raw, self.product, pa.table({"user_id": user_ids, "as_of": as_of}))
        return np.stack([snapshots[name].to_numpy() for name in self.product.catalogue.feature_names], axis=1)

    def _judge(self, one: Logged, decided: Float64s, recomputed: Float64s, differs: npt.NDArray[np.bool_]) -> None:
        late = late_us(one, decided, recomputed, histories=self._histories, stored=self.stored, program=self._program)
        if late is not None:
            self._lagging += 1
            self._lagging_values += int(differs.sum())
            self._lag_us += late
            return
        names = self.product.catalogue.feature_names
        lines = []
        for index in np.flatnonzero(differs):
            _count(self._by_feature[names[index]], float(decided[index]), float(recomputed[index]))
            lines.append(f"{names[index]}: {decided[index]} -> {recomputed[index]}")
        if len(self._examples) < MAX_EXAMPLES:
            self._examples.append(Difference(decision_id=one.decision_id, user_id=one.user_id, features=tuple(lines)))


def _count(counts: Counts, decided: float, recomputed: float) -> None:
    if math.isnan(decided):
        counts.missing += 1
    elif math.isnan(recomputed):
        counts.extra += 1
    else:
        counts.mismatch += 1
