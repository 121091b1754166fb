"""Spark gives what the batch kernel gives, ``==``, however the log and the rows are divided."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from features.adapters.compaction import compact
from features.adapters.raw_log import ParquetRawLog
from features.adapters.spark import spark_vectors
from features.backfill.snapshots import build_snapshots
from features.core.catalogue import Aggregation, Catalogue, Feature, Kind
from features.core.event import FUTURE_TOLERANCE, Event
from features.core.families import PARAMETERS
from features.core.product import Label, Product
from features.ingest.event_table import event_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

START = datetime(2026, 3, 27, tzinfo=UTC)  # two days before clocks change in Europe
HOUR, US = timedelta(hours=1), timedelta(microseconds=1)
WINDOWS = (None, HOUR, timedelta(days=1), timedelta(days=7))
KINDS = ("login", "click", "hover")


def product_of(keep: int, keep_first: int, kinds: Sequence[str] = KINDS) -> Product:
    """Every aggregation that needs no more than kinds and a window, over every kind and all of them, in every window."""
    groups = {**{kind: (kind,) for kind in kinds}, "any": tuple(kinds)}
    features = tuple(
        Feature(aggregation=aggregation, of=of, kinds=members, window=window)
        for aggregation in Aggregation
        if aggregation not in PARAMETERS
        for of, members in groups.items()
        for window in WINDOWS
    )
    declared = tuple(Kind(name=name, keep=keep, keep_first=keep_first) for name in kinds)
    label = Label(activity=tuple(kinds), horizon=timedelta(days=3))
    return Product(name="p", description="", catalogue=Catalogue(kinds=declared, features=features), causes=(), label=label)


def history(n_users: int = 40, seed: int = 3) -> list[Event]:
    """Late, early, repeated and reordered events on a grid of half hours; a flood; kinds that no product declares."""
    draw = random.Random(seed)
    delays = (timedelta(0), US, HOUR / 2, timedelta(days=1), -FUTURE_TOLERANCE, -US)
    events = []
    for number in range(n_users * 25):
        at = START + draw.randrange(6 * 48) * HOUR / 2 + draw.choice((timedelta(0), US, -US))
        event = Event(
            event_id=str(number),
            user_id=f"user {number % n_users} é",
            kind=draw.choice((*KINDS, "unknown")),
            occurred_at=at,
            received_at=at + draw.choice(delays),
            subject=draw.choice((None, "one", "two")),
            value=draw.choice((None, 0, -7, 2**53 + 1, -(2**62))),
            session_id=draw.choice((None, "s1", "s2")),
        )
        events += [event, replace(event, received_at=at + HOUR)] if number % 7 == 0 else [event]
    flood = [START + timedelta(seconds=second) for second in range(300)]
    events += [Event(event_id=f"f{at}", user_id="user 0 é", kind="hover", occurred_at=at, received_at=at) for at in flood]
    draw.shuffle(events)
    return events


def spine_of(n_users: int = 40) -> pa.Table:
    """Rows on the same grid, some users without events, one row twice."""
    rows = [(f"user {user} é", START + step * HOUR / 2) for user in range(n_users + 3) for step in (-1, 0, 1, 47, 48, 49, 200, 400)]
    user_ids, instants = zip(*rows, rows[5], strict=True)
    return pa.table({"user_id": pa.array(user_ids), "as_of": pa.array(instants, pa.timestamp("us", tz="UTC"))})


def frame_of(spark: SparkSession, spine: pa.Table) -> DataFrame:
    return spark.createDataFrame(spine.to_pandas())


def rows_of(table: pa.Table, product: Product) -> tuple[list[tuple[str, datetime, datetime, str]], np.ndarray]:
    """Marks and numbers in an order that both executors share."""
    ordered = table.sort_by([("user_id", "ascending"), ("snapshot_as_of", "ascending")])
    marks = ["user_id", "event_timestamp", "snapshot_as_of", "feature_fingerprint"]
    numbers = np.stack([ordered[name].to_numpy() for name in product.catalogue.feature_names], axis=1)
    return [tuple(row[mark] for mark in marks) for row in ordered.select(marks).to_pylist()], numbers


def assert_equal(found: DataFrame, expected: pa.Table, product: Product) -> None:
    table = found.toArrow()
    assert table.schema.names == expected.schema.names
    (marks, numbers), (expected_marks, expected_numbers) = rows_of(table, product), rows_of(expected, product)
    assert marks == expected_marks
    np.testing.assert_array_equal(numbers, expected_numbers)


@pytest.fixture(scope="module")
def raw_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The history as a raw log of many parts."""
    log = ParquetRawLog(tmp_path_factory.mktemp("spark_raw") / "raw")
    events = history()
    for start in range(0, len(events), 400):
        log.append(events[start : start + 400])
    return log.raw_dir


@pytest.mark.parametrize(("keep", "keep_first"), [(64, 2), (3, 1), (1, 0)])
def test_spark_equals_batch_over_the_raw_log(spark: SparkSession, raw_dir: Path, keep: int, keep_first: int) -> None:
    product = product_of(keep, keep_first)
    found = spark_vectors(spark, raw_dir, frame_of(spark, spine_of()), product)
    assert_equal(found, build_snapshots(raw_dir, product, spine_of()), product)


@pytest.mark.parametrize("rows_per_call", [1, 50, 10_000])
def test_neither_partitions_nor_portions_matter(spark: SparkSession, raw_dir: Path, rows_per_call: int) -> None:
    product = product_of(5, 2, ("login", "hover"))  # a product that does not know clicks
    events = spark.read.parquet(str(raw_dir)).repartition(1 + rows_per_call % 7)
    found = spark_vectors(spark, events, frame_of(spark, spine_of()), product, rows_per_call=rows_per_call)
    assert_equal(found, build_snapshots(raw_dir, product, spine_of()), product)


def test_the_shipped_product_over_a_compact_log(spark: SparkSession, onboarding: Product, tmp_path: Path) -> None:
    draw = random.Random(5)
    kinds = onboarding.catalogue.kinds
    events = []
    for number in range(600):
        kind, at = draw.choice(kinds), START + timedelta(minutes=draw.randrange(20_000))
        event = Event(
            event_id=str(number),
            user_id=f"u{number % 17}",
            kind=kind.name,
            occurred_at=at,
            received_at=at,
            subject=f"s{number % 4}" if kind.subject else None,
            value=number if kind.value_unit else None,
        )
        events.append(event)
    log = ParquetRawLog(tmp_path / "raw")
    log.append(events)
    log.append(events[::3])
    spine = spine_of(3).set_column(0, "user_id", pa.array([f"u{number % 20}" for number in range(spine_of(3).num_rows)]))
    before = build_snapshots(log.raw_dir, onboarding, spine)
    assert len(compact(log.raw_dir, today=date(2026, 4, 3))) == 7
    assert_equal(spark_vectors(spark, log.raw_dir, frame_of(spark, spine), onboarding), before, onboarding)


def test_a_log_without_events_and_a_spine_without_rows(spark: SparkSession, raw_dir: Path, tmp_path: Path) -> None:
    product = product_of(3, 1)
    found = spark_vectors(spark, tmp_path / "nowhere", frame_of(spark, spine_of(1)), product)
    assert_equal(found, build_snapshots(tmp_path / "nowhere", product, spine_of(1)), product)
    nobody = spark.createDataFrame([], "user_id string, as_of timestamp")
    assert spark_vectors(spark, raw_dir, nobody, product).count() == 0


def test_s1_04_spark_reads_the_raw_log_without_our_code(spark: SparkSession, raw_dir: Path) -> None:
    frame = spark.read.parquet(str(raw_dir))
    assert frame.count() == len(history())
    assert dict(frame.dtypes)["occurred_at"] == "timestamp"
    assert dict(frame.dtypes)["day"] == "date"  # the folder's name
    by_id = {row["event_hash"]: row for row in event_table(history()).to_pylist()}
    row = frame.where("subject = 'one' AND session_id = 's1' AND value IS NOT NULL").toArrow().to_pylist()[0]
    original = by_id[row["event_hash"]]
    assert {name: row[name] for name in ("event_id", "user_id", "kind", "occurred_at", "subject", "value", "session_id")} == {
        name: original[name] for name in ("event_id", "user_id", "kind", "occurred_at", "subject", "value", "session_id")
    }
