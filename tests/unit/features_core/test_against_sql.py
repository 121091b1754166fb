"""An oracle in another language: window features of a fixed sample, recomputed by SQLite."""

import random
import sqlite3
from datetime import UTC, datetime, timedelta

import numpy as np

from features.core.catalogue import Aggregation, Catalogue, Feature, Kind
from features.core.columns import columns_from_events
from features.core.event import Event, to_us
from features.core.kernel import batch_vectors
from features.core.program import compile_program

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY_US = 86_400_000_000
WINDOWS = (1, 3, 7)
KINDS = ("login", "click")
SQL = {
    Aggregation.COUNT: "count(*)",
    Aggregation.SUM: "coalesce(sum(value), 0)",
    Aggregation.DISTINCT_SUBJECTS: "count(DISTINCT subject)",
    Aggregation.SECONDS_SINCE_LAST: "(:as_of - max(occurred)) / 1e6",
    Aggregation.SECONDS_SINCE_FIRST: "(:as_of - min(occurred)) / 1e6",
    Aggregation.ACTIVE_DAYS: f"count(DISTINCT occurred / {DAY_US})",
    Aggregation.SESSION_COUNT: "count(DISTINCT session)",
}
"""Every session here has an id, and streaks are no aggregate: both are left to the Python oracle."""


def sample() -> list[Event]:
    chance = random.Random(11)
    events = []
    for i in range(400):
        occurred_at = START + timedelta(seconds=chance.randrange(10 * 86_400))
        events.append(
            Event(
                event_id=str(i),
                user_id=f"user {chance.randrange(8)}",
                kind=chance.choice(KINDS),
                occurred_at=occurred_at,
                received_at=occurred_at + timedelta(seconds=chance.choice((0, 5, 90_000))),
                subject=chance.choice((None, "a", "b", "c")),
                value=chance.choice((None, 3, 1_000, -20)),
                session_id=f"s{chance.randrange(30)}",
            )
        )
    return events


def test_window_features_equal_those_of_sqlite() -> None:
    events = sample()
    features = tuple(
        Feature(aggregation=a, of=kind, kinds=(kind,), window=timedelta(days=w)) for a in SQL for kind in KINDS for w in WINDOWS
    )
    catalogue = Catalogue(kinds=tuple(Kind(name=kind, keep=500) for kind in KINDS), features=features)
    columns, user_ids = columns_from_events(events, catalogue.kinds)
    rows = [(code, to_us(START + timedelta(days=day))) for code in range(len(user_ids)) for day in (2, 5, 10)]
    spine_user, as_of_us = np.array(rows, np.int64).T.copy()
    found = batch_vectors(columns, len(user_ids), spine_user, as_of_us, compile_program(catalogue))
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE TABLE event (user, kind, occurred INTEGER, known INTEGER, subject, value INTEGER, session)")
        database.executemany(
            "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(e.user_id, e.kind, to_us(e.occurred_at), e.known_us, e.subject, e.value, e.session_id) for e in events],
        )
        expected = [[in_sql(database, feature, user_ids[code], as_of) for feature in features] for code, as_of in rows]
    database.close()
    assert np.array_equal(found, np.array(expected, dtype=np.float64), equal_nan=True)


def in_sql(database: sqlite3.Connection, feature: Feature, user_id: str, as_of_us: int) -> float:
    where = "user = :user AND kind = :kind AND known <= :as_of AND occurred > :as_of - :window"
    window_us = feature.window // timedelta(microseconds=1)
    (answer,) = database.execute(
        f"SELECT {SQL[feature.aggregation]} FROM event WHERE {where}",
        {"user": user_id, "kind": feature.kinds[0], "as_of": as_of_us, "window": window_us},
    ).fetchone()
    return float("nan") if answer is None else answer
