"""The kernel beside one DuckDB query with equal results; and what one user, a batch and an event cost online.

python -m benchmarks.bench_features [--events N] [--users N] [--rows N]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks import feature_reads, report
from benchmarks.feature_pandas import beside_pandas
from benchmarks.feature_sample import (
    DAY,
    EIGHTY,
    KEEP,
    KINDS,
    SPAN_DAYS,
    START_US,
    catalogue,
    columns_of,
    simulated_log,
    simulated_spine,
)
from benchmarks.feature_sql import query
from features.core.kernel import batch_vectors, vector, vectors
from features.core.product import Label, Product
from features.core.program import Program, compile_program
from features.core.timeline import Timeline, pack, timelines_from_columns
from features.core.workspace import Workspace

DAY_US = 86_400_000_000
LAST_US = START_US + (SPAN_DAYS + 1) * DAY_US
ROUNDS, KERNEL_RUNS_A_ROUND = 3, 5


def main() -> int:
    asked = _arguments()
    threads = os.cpu_count() or 1
    print(f"simulating {asked.events:,} events of {asked.users:,} users ...", flush=True)
    log, spine = simulated_log(asked.events, asked.users), simulated_spine(asked.rows, asked.users)
    rows, notes = _beside_duckdb(log, spine, n_users=asked.users, threads=threads)
    rows += beside_pandas()
    rows += _online()
    rows += _reads()
    return 0 if report.write("features", rows, notes=notes) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--rows", type=int, default=80_000)
    return parser.parse_args()


def _beside_duckdb(log: pa.Table, spine: pa.Table, *, n_users: int, threads: int) -> tuple[list[dict[str, object]], list[str]]:
    program = compile_program(catalogue(EIGHTY))
    workspace = Workspace()
    first_s = _seconds(lambda: _kernel(log.slice(0, 1000), spine.slice(0, 10), n_users, program, threads, workspace=workspace))
    _check_equal(_kernel(log, spine, n_users, program, threads, workspace=workspace), _duckdb(log, spine, program, threads), program)
    kernel_runs, fresh_runs, duckdb_runs = [], [], []
    for _ in range(ROUNDS):  # in turns, so that whatever else the machine does meets both
        duckdb_runs.append(_seconds(lambda: _duckdb(log, spine, program, threads)))
        for _ in range(KERNEL_RUNS_A_ROUND):
            kernel_runs.append(_seconds(lambda: _kernel(log, spine, n_users, program, threads, workspace=workspace)))
            fresh_runs.append(_seconds(lambda: _kernel(log, spine, n_users, program, threads)))
        print(f"  DuckDB {duckdb_runs[-1]:.2f} s, kernel {min(kernel_runs):.3f} s at best", flush=True)
    kernel_s, duckdb_s = statistics.median(kernel_runs), statistics.median(duckdb_runs)
    shape = f"{len(log):,} events, {len(spine):,} rows, {program.n_features} features, {threads} threads"
    rows = [
        report.row("kernel batch s", kernel_s, "s", reference=shape),
        report.row("kernel batch s in fresh memory", statistics.median(fresh_runs), "s", reference="without a workspace"),
        report.row("duckdb batch s", duckdb_s, "s", reference="one query, equal results"),
        report.row("duckdb ratio", duckdb_s / kernel_s, "times", reference="one DuckDB query", at_least=50),
    ]
    notes = [
        f"medians of {ROUNDS * KERNEL_RUNS_A_ROUND} and {ROUNDS} runs, in turns",
        f"compilation left out: the first call took {first_s:.1f} s here; it is cached on disk",
        "the kernel keeps the memory of its records from call to call (a workspace), as snapshots of a log in parts do",
        f"both start from the same Arrow tables; equal: counts with ==, floats within 1e-12; DuckDB {duckdb.__version__}",
        f"kindness to the query: no duplicates to remove, and no more than keep = {KEEP} events of a kind to rank",
    ]
    return rows, notes


def _kernel(
    log: pa.Table, spine: pa.Table, n_users: int, program: Program, threads: int, *, workspace: Workspace | None = None
) -> np.ndarray:
    user, as_of_us = (spine[name].to_numpy() for name in ("user", "as_of_us"))
    return batch_vectors(columns_of(log), n_users, user, as_of_us, program, threads=threads, workspace=workspace)


def _duckdb(log: pa.Table, spine: pa.Table, program: Program, threads: int) -> pa.Table:
    with duckdb.connect(config={"threads": threads}) as connection:
        connection.register("log", log)
        connection.register("spine", spine)
        return connection.sql(query(program.catalogue)).to_arrow_table()


def _check_equal(found: np.ndarray, expected: pa.Table, program: Program) -> None:
    for column, feature in enumerate(program.catalogue.features):
        ours, theirs = found[:, column], expected[feature.name].to_numpy()
        tolerance = 1e-12 if feature.name.startswith("seconds_since") else 0.0
        if not np.allclose(ours, theirs, rtol=tolerance, atol=0.0, equal_nan=True):
            different = np.flatnonzero(~np.isclose(ours, theirs, rtol=tolerance, atol=0.0, equal_nan=True))
            raise SystemExit(
                f"{feature.name}: {len(different)} of {len(ours)} rows differ; row {different[0]}: "
                f"kernel {ours[different[0]]}, DuckDB {theirs[different[0]]}"
            )


def _online() -> list[dict[str, object]]:
    program = compile_program(catalogue(EIGHTY))
    packed = {n: _packed_users(n, 500) for n in (10, 100, 200, 500)}
    one_us = [1e6 * _seconds(lambda user=user: vector(user, LAST_US, program)) for _ in range(6) for user in packed[200]][500:]
    as_of_us = np.full(500, LAST_US)
    batch_ms = [1e3 * _seconds(lambda: vectors(packed[200], as_of_us, program)) for _ in range(20)]
    rows = [
        report.row(
            "online one user p50 us", statistics.median(one_us), "us", reference="200 events, 80 features, from packed bytes", at_most=50
        ),
        report.row(
            "batch of 500 ms", statistics.median(batch_ms), "ms", reference="500 users of 200 events, 80 features, one call", at_most=5
        ),
        report.row("bytes per event", _bytes_per_user(packed[200]) / 200, "bytes", reference="users of 200 events", at_most=32),
    ]
    for n, users in packed.items():
        size = _bytes_per_user(users)
        rows.append(
            report.row(
                f"bytes per user of {n} events", size, "bytes", reference=f"{size / n:.1f} an event; {size / 1e3:.2f} GB per million users"
            )
        )
    return rows


def _reads() -> list[dict[str, object]]:
    product = Product(name="bench", description="", catalogue=catalogue(EIGHTY), causes=(), label=Label(activity=KINDS, horizon=7 * DAY))
    return feature_reads.rows(product, _timelines(200, 500))


def _packed_users(n_events: int, n_users: int) -> list[bytes]:
    return [pack(timeline) for timeline in _timelines(n_events, n_users)]


def _timelines(n_events: int, n_users: int) -> list[Timeline]:
    """Timelines of exactly ``n_events`` each."""
    log = simulated_log(n_events * n_users, n_users, evenly=True, seed=n_events)
    return list(timelines_from_columns(columns_of(log), n_users, catalogue(EIGHTY).kinds))


def _bytes_per_user(packed: list[bytes]) -> float:
    return statistics.mean(len(one) for one in packed)


def _seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


if __name__ == "__main__":
    sys.exit(main())
