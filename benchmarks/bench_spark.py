"""The Spark executor in local mode beside the batch kernel: equal results, and what Spark costs.

python -m benchmarks.bench_spark [--events N] [--users N] [--rows N]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks import report
from benchmarks.feature_sample import DAY, KINDS, SIXTY, catalogue, simulated_log, simulated_spine
from features.adapters.raw_log import ParquetRawLog
from features.adapters.spark import local_session, spark_vectors
from features.backfill.snapshots import build_snapshots
from features.core.product import Label, Product
from features.ingest.event_table import SCHEMA

_INSTANT = pa.timestamp("us", tz="UTC")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=40_000)
    asked = parser.parse_args()
    product = Product(name="bench", description="", catalogue=catalogue(SIXTY), causes=(), label=Label(activity=(), horizon=DAY))
    with tempfile.TemporaryDirectory() as folder:
        raw_dir, spine_file = Path(folder) / "raw", Path(folder) / "spine.parquet"
        ParquetRawLog(raw_dir).append_table(_raw(simulated_log(asked.events, asked.users)))
        spine = _spine(simulated_spine(asked.rows, asked.users))
        pq.write_table(spine, spine_file)
        build_snapshots(raw_dir, product, spine.slice(0, 10))  # compiles
        started = time.perf_counter()
        expected = build_snapshots(raw_dir, product, spine)
        batch_s = time.perf_counter() - started
        first_s, spark_s, found = _on_spark(raw_dir, spine_file, product, folder)
    rows = [
        report.row("spark equals batch", float(_equal(found, expected, product)), reference="1: every value ==", at_least=1),
        report.row("batch s", batch_s, "s"),
        report.row("spark s", spark_s, "s", reference="local mode, second run"),
        report.row("spark first run s", first_s, "s", reference="with the start of the JVM and of the workers"),
        report.row("spark overhead", spark_s / batch_s, "times", reference="batch"),
    ]
    note = f"{asked.events:,} events, {asked.rows:,} rows, {len(product.catalogue.features)} features, {os.cpu_count()} cores"
    return 0 if report.write("spark", rows, notes=[note]) else 1


def _raw(log: pa.Table) -> pa.Table:
    """The simulated log in the raw log's layout; texts, of which the kernel sees the hashes alone, are left empty."""
    n_rows, text = log.num_rows, pa.string()
    columns = {
        "event_id": pa.array(np.arange(n_rows)).cast(text),
        "user_id": _user_ids(log["user"]),
        "kind": pa.array(KINDS).take(log["kind"].combine_chunks().cast(pa.int64())),
        "occurred_at": log["occurred_us"].cast(_INSTANT),
        "received_at": log["known_us"].cast(_INSTANT),
        "subject": pa.nulls(n_rows, text),
        "value": log["value"],
        "session_id": pa.nulls(n_rows, text),
        "event_hash": log["event_hash"],
        "subject_hash": log["subject"],
        "session_hash": log["session"],
    }
    return pa.table(columns).cast(SCHEMA)


def _spine(spine: pa.Table) -> pa.Table:
    return pa.table({"user_id": _user_ids(spine["user"]), "as_of": spine["as_of_us"].cast(_INSTANT)})


def _user_ids(codes: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.binary_join_element_wise("u", codes.cast(pa.string()), "")


def _on_spark(raw_dir: Path, spine_file: Path, product: Product, folder: str) -> tuple[float, float, pa.Table]:
    started = time.perf_counter()
    with local_session(cores=os.cpu_count() or 1, spark__local__dir=folder, spark__log__level="ERROR") as spark:
        seconds = []
        for _ in range(2):
            found = spark_vectors(spark, raw_dir, spark.read.parquet(str(spine_file)), product).toArrow()
            seconds.append(time.perf_counter() - started)
            started = time.perf_counter()
    return seconds[0], seconds[1], found


def _equal(found: pa.Table, expected: pa.Table, product: Product) -> bool:
    order = [("user_id", "ascending"), ("snapshot_as_of", "ascending")]
    found, expected = found.sort_by(order), expected.sort_by(order)
    same_rows = found["user_id"].to_pylist() == expected["user_id"].to_pylist()
    return same_rows and all(
        np.array_equal(found[name].to_numpy(), expected[name].to_numpy(), equal_nan=True) for name in product.catalogue.feature_names
    )


if __name__ == "__main__":
    sys.exit(main())
