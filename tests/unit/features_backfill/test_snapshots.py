from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from features.adapters.raw_log import ParquetRawLog
from features.backfill.columns import read_columns
from features.backfill.snapshots import build_snapshots
from features.backfill.spine import log_spine
from features.core.event import Event, to_us
from features.core.kernel import vector
from features.core.product import Product
from features.core.program import compile_program
from features.core.timeline import pack, timeline_from_events

START = datetime(2024, 5, 1, tzinfo=UTC)


def spine(rows: list[tuple[str, datetime]]) -> pa.Table:
    instants = pa.array([as_of for _, as_of in rows], pa.timestamp("us", tz="UTC"))
    return pa.table({"user_id": pa.array([user_id for user_id, _ in rows], pa.string()), "as_of": instants})


def test_a_snapshot_is_the_online_vector_of_what_was_known_then(product: Product, history: list[Event], tmp_path: Path) -> None:
    ParquetRawLog(tmp_path).append(history)
    rows = [(user, START + timedelta(hours=7 * step)) for user in ("ada", "bob", "Zoë", "nobody") for step in range(40)]
    random.Random(7).shuffle(rows)
    table = build_snapshots(tmp_path, product, spine(rows))
    program = compile_program(product.catalogue)
    for (user, as_of), snapshot in zip(rows, table.to_pylist(), strict=True):
        known = [event for event in history if event.user_id == user and event.received_at <= as_of]
        online = vector(pack(timeline_from_events(known, product.catalogue.kinds)), to_us(as_of), program)
        np.testing.assert_array_equal([snapshot[name] for name in product.catalogue.feature_names], online)


def test_a_snapshot_says_of_whom_when_and_by_which_catalogue(product: Product, history: list[Event], tmp_path: Path) -> None:
    ParquetRawLog(tmp_path).append(history)
    as_of = START + timedelta(days=2)
    table = build_snapshots(tmp_path, product, spine([("bob", as_of)]))
    instant = pa.timestamp("us", tz="UTC")
    assert table.schema == pa.schema(
        [("user_id", pa.string()), ("event_timestamp", instant), ("snapshot_as_of", instant), ("feature_fingerprint", pa.string())]
        + [(name, pa.float64()) for name in product.catalogue.feature_names]
    )
    row = table.to_pylist()[0]
    marks = ("user_id", "event_timestamp", "snapshot_as_of", "feature_fingerprint")
    assert [row[name] for name in marks] == ["bob", as_of, as_of, product.catalogue.fingerprint]


def test_the_spine_of_a_log_can_be_snapshot_as_it_is(product: Product, history: list[Event], tmp_path: Path) -> None:
    ParquetRawLog(tmp_path).append(history)
    rows = log_spine(read_columns(tmp_path, product), product)
    assert build_snapshots(tmp_path, product, rows).num_rows == rows.num_rows > 0


def test_no_rows_and_no_log_are_an_empty_table(product: Product, tmp_path: Path) -> None:
    table = build_snapshots(tmp_path / "missing", product, spine([]))
    assert (table.num_rows, table.num_columns) == (0, 4 + len(product.catalogue.features))
