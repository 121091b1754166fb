"""What bench_features measures on: a simulated log of a typical product, a spine, and catalogues of typical features."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from features.core.catalogue import Aggregation, Catalogue, Feature, Kind
from features.core.columns import EventColumns
from features.core.event import to_us

DAY = timedelta(days=1)
DAY_US = 86_400_000_000
START_US = to_us(datetime(2026, 1, 1, tzinfo=UTC))
SPAN_DAYS = 60
SESSIONS = 40
KEEP = 512
"""Above any kind's count of any user here, so that the query beside the kernel need not rank events (a kindness to it)."""

KINDS = ("login", "view", "click", "submit", "help", "error")
SHARES = (0.12, 0.4, 0.25, 0.1, 0.03, 0.1)
GROUPS = {**{name: (name,) for name in KINDS}, "any": KINDS, "work": ("click", "submit")}

Spec = tuple[Aggregation, tuple[str, ...], tuple[int | None, ...]]
SIXTY: tuple[Spec, ...] = (
    (Aggregation.COUNT, KINDS, (1, 7, 30)),
    (Aggregation.COUNT, ("any",), (1, 7, 14, 30, None)),
    (Aggregation.COUNT, ("work",), (7, 30)),
    (Aggregation.SUM, ("click", "submit"), (1, 7, 30)),
    (Aggregation.DISTINCT_SUBJECTS, ("view", "work"), (7, 30, None)),
    (Aggregation.SECONDS_SINCE_LAST, (*KINDS, "any", "work"), (None,)),
    (Aggregation.SECONDS_SINCE_FIRST, ("login", "submit", "any"), (None,)),
    (Aggregation.ACTIVE_DAYS, ("login", "any"), (7, 30, None)),
    (Aggregation.SESSION_COUNT, ("any",), (1, 7, 30, None)),
    (Aggregation.STREAK_DAYS, ("any", "login"), (30, None)),
)
"""62 features."""
EIGHTY: tuple[Spec, ...] = (
    *SIXTY,
    (Aggregation.COUNT, KINDS, (3, None)),
    (Aggregation.SUM, ("any",), (7, 30)),
    (Aggregation.ACTIVE_DAYS, ("work",), (7, 30, None)),
    (Aggregation.STREAK_DAYS, ("work",), (None,)),
)
"""80 features."""


def catalogue(specs: tuple[Spec, ...], *, keep: int = KEEP) -> Catalogue:
    """The features as a catalogue."""
    features = tuple(
        Feature(aggregation=aggregation, of=of, kinds=GROUPS[of], window=None if days is None else days * DAY)
        for aggregation, groups, windows in specs
        for of in groups
        for days in windows
    )
    return Catalogue(kinds=tuple(Kind(name=name, keep=keep) for name in KINDS), features=features)


def simulated_log(n_events: int, n_users: int, *, evenly: bool = False, seed: int = 7) -> pa.Table:
    """A raw log in order of arrival, as it is stored, with user and kind coded and texts hashed; without duplicates.

    Activity per user is skewed, or ``evenly`` spread; a fiftieth of the events arrives hours late; a fifth carries no session id.
    """
    random = np.random.default_rng(seed)
    weight = random.lognormal(0, 0.5, n_users).clip(0.2, 3)
    user = np.arange(n_events) % n_users if evenly else random.choice(n_users, n_events, p=weight / weight.sum())
    session = random.integers(0, SESSIONS, n_events)
    begin_us = random.integers(0, SPAN_DAYS * 86_400, (n_users, SESSIONS))[user, session] * 1_000_000
    occurred_us = START_US + begin_us + random.integers(0, 3_600_000, n_events) * 1_000
    late = random.random(n_events) < 0.02
    delay_us = np.where(late, random.integers(0, 20 * 3_600_000_000, n_events), random.integers(0, 2_000_000, n_events))
    kind = random.choice(len(KINDS), n_events, p=SHARES).astype(np.int16)
    columns = {
        "user": user.astype(np.int64),
        "kind": kind,
        "occurred_us": occurred_us,
        "known_us": occurred_us + delay_us,
        "skew_us": np.zeros(n_events, np.int64),
        "event_hash": random.integers(-(2**63), 2**63 - 1, n_events),
        "subject": np.where(random.random(n_events) < 0.7, _hashed(random.integers(1, 30, n_events)), 0),
        "value": np.where((kind == 2) | (kind == 3), random.integers(0, 60_000, n_events), 0),
        "session": np.where(random.random(n_events) < 0.8, _hashed(user * SESSIONS + session + 1), 0),
    }
    order = np.argsort(columns["known_us"], kind="stable")
    return pa.table({name: column[order] for name, column in columns.items()})


def simulated_spine(n_rows: int, n_users: int, *, seed: int = 8) -> pa.Table:
    """As many instants per user, over the log's whole span, by user and then by instant."""
    random = np.random.default_rng(seed)
    user = np.arange(n_rows, dtype=np.int64) * n_users // n_rows
    as_of_us = START_US + random.integers(1, SPAN_DAYS + 1, n_rows) * DAY_US
    as_of_us = as_of_us[np.lexsort((as_of_us, user))]
    return pa.table({"row": np.arange(n_rows, dtype=np.int64), "user": user, "as_of_us": as_of_us})


def columns_of(log: pa.Table) -> EventColumns:
    """What the kernel reads, of a log as `simulated_log` makes it."""
    return EventColumns(**{name: log[name].to_numpy() for name in log.column_names})


def _hashed(codes: np.ndarray) -> np.ndarray:
    return codes.astype(np.int64) * np.int64(-7_046_029_254_386_353_131)
