"""What the routes work with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from features.core.alias import Alias
from features.core.event import Event
from features.core.product import Product
from features.ingest.admission import ProfileChange
from features.ingest.rejection import Rejection
from serving.api.metrics import Metrics
from serving.ports import Deliveries, EventStream, IdempotencyKeys, Seed

LONGEST_S = 14.0
"""How long a request may take: a full list while Redis is silent takes a third of this by default. The server's limit is later."""
WAIT_S = 1.0
"""How long a request may wait until its turn comes; past that nobody is listening any more."""


class Answer(Protocol):
    """One decision as `serving.use_case` answers it."""

    @property
    def output(self) -> bytes:
        """Canonical JSON of the decision."""

    @property
    def labels(self) -> tuple[str, str, tuple[str, ...]]:
        """Action, reason code and what was missing: what is counted."""


class Decider(Protocol):
    """Decides and remembers: `serving.use_case.CurrentDecider`, or one `serving.use_case.DecisionService` for good."""

    def decide_many(self, user_ids: Sequence[str], *, now_us: int, seeds: Sequence[Seed | None] | None = None) -> Sequence[Answer]:
        """Decide about several, in the order given; where there is a seed, what was decided under it before is the answer."""


Foresight = Callable[[Sequence[Event | ProfileChange | Alias]], Sequence[Rejection | None]]
"""Of each admitted item: why it is refused after all, or None."""


def nothing_foreseen(items: Sequence[Event | ProfileChange | Alias]) -> Sequence[Rejection | None]:
    """Refuse nothing."""
    return [None] * len(items)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiContext:
    """Everything the routes need, put together by `serving.bootstrap`."""

    product: Product
    decider: Decider
    stream: EventStream
    receipt: Callable[[str], bytes | None]  # by decision id
    metrics: Metrics
    now_us: Callable[[], int]
    deliveries: Deliveries
    idempotency_keys: IdempotencyKeys
    checks: Callable[[], dict[str, str]]  # what /readyz reports: "ok", "missing" or "kept: ..." (degraded), anything else (not ready)
    foreseen: Foresight = nothing_foreseen
    max_body_bytes: int = 1_000_000
    max_events: int = 1_000
    max_decisions: int = 500
    threads: int = 4
    wait_s: float = WAIT_S  # of a request for a decision, until its turn
    longest_s: float = LONGEST_S
    empty_route: bool = False
