"""What a consistency check comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How a duration is spread, in seconds; all None where there is none."""

    p50_s: float | None = None
    p95_s: float | None = None
    max_s: float | None = None


@dataclass(slots=True, kw_only=True)
class Counts:
    """Values of one feature, or of all."""

    values: int = 0
    mismatch: int = 0
    missing: int = 0
    extra: int = 0

    @property
    def differing(self) -> int:
        """Mismatch, missing and extra together."""
        return self.mismatch + self.missing + self.extra

    def add(self, other: Counts) -> None:
        """Count what another counted, too."""
        self.values += other.values
        self.mismatch += other.mismatch
        self.missing += other.missing
        self.extra += other.extra


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One decision whose features are not what the log gives."""

    decision_id: str
    user_id: str
    features: tuple[str, ...]  # "name: as decided -> from the log"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyReport:
    """What came out, over all receipts given."""

    receipts: int
    checked: int
    skipped: Mapping[str, int]  # reason -> receipts
    total: Counts
    by_feature: Mapping[str, Counts]
    examples: tuple[Difference, ...]
    freshness: Spread  # as_of minus the newest event known, over decisions about users of whom anything was known
    lagging: int  # decisions whose features differ by lag alone; not among the counts
    lagging_values: int
    lag: Spread  # as_of minus when each event not merged yet was received

    @property
    def is_consistent(self) -> bool:
        """No value differs for another reason than lag."""
        return self.total.differing == 0


def spread(durations_us: Sequence[int]) -> Spread:
    """Spread of durations given in microseconds.

    Examples
    --------
    >>> spread([1_000_000, 3_000_000])
    Spread(p50_s=2.0, p95_s=2.9, max_s=3.0)
    >>> spread([])
    Spread(p50_s=None, p95_s=None, max_s=None)
    """
    if not durations_us:
        return Spread()
    p50, p95 = np.percentile(durations_us, (50, 95)) / 1e6
    return Spread(p50_s=float(p50), p95_s=float(p95), max_s=max(durations_us) / 1e6)
