"""100 million events and 5 million (user, as_of) rows on one machine, from Parquet to Parquet, in bounded memory.

python -m benchmarks.bench_features_large [--events N] [--rows N] [--users N]

The log is written first, in the raw log's own layout (a folder a day), and is not part of what is timed; then a process of its own
computes 80 features for every row, so that its peak memory is nobody else's.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import Progress, track

from benchmarks import report
from benchmarks.feature_sample import DAY_US, EIGHTY, KINDS, SHARES, SPAN_DAYS, START_US, catalogue
from features.backfill.streamed import stream_snapshots
from features.core.product import Label, Product
from features.ingest.event_table import SCHEMA

GIB = 1 << 30
_INSTANT = pa.timestamp("us", tz="UTC")


def main() -> int:
    asked = _arguments()
    if asked.compute is not None:
        print(json.dumps(_compute(asked.compute)))
        return 0
    report.OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=report.OUT, prefix="large-") as folder:
        figures = _run(Path(folder), asked)
    rows = [
        report.row("100M events minutes", figures["seconds"] / 60, "minutes", reference=_shape(asked, figures), at_most=10),
        report.row("100M events peak GiB", figures["peak_gib"], "GiB", reference="of the process that computes", at_most=8),
    ]
    if asked.events < 100_000_000:
        print(f"these are the figures of {asked.events:,} events, not of 100 million: nothing is written")
        print(json.dumps(figures))
        return 0
    notes = [f"{asked.users:,} users; one run; from {figures['in_gib']:.1f} GiB of Parquet to {figures['out_gib']:.1f} GiB"]
    return 0 if report.write("features-large", rows, notes=notes) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000_000)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--compute", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _shape(asked: argparse.Namespace, figures: dict[str, float]) -> str:
    return f"{asked.events:,} events, {figures['n_rows']:,.0f} rows, {len(catalogue(EIGHTY).features)} features"


def _run(folder: Path, asked: argparse.Namespace) -> dict[str, float]:
    for day in track(range(SPAN_DAYS), description="writing the log"):
        write_day(folder / "raw", day, asked.events // SPAN_DAYS + (day < asked.events % SPAN_DAYS), asked.users)
    _write_spine(folder / "spine.parquet", asked.rows, asked.users)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bench_features_large", "--compute", str(folder)], stdout=subprocess.PIPE, text=True, check=True
    )
    figures: dict[str, float] = json.loads(done.stdout)
    if figures["n_rows"] != asked.rows:
        raise SystemExit(f"got {figures['n_rows']:,} rows, expected {asked.rows:,}")
    return figures | {f"{name}_gib": _size(folder / name) / GIB for name in ("raw", "out")} | {"in_gib": _size(folder / "raw") / GIB}


def _compute(folder: Path) -> dict[str, float]:
    label = Label(activity=KINDS, horizon=timedelta(days=7))
    product = Product(name="large", description="", catalogue=catalogue(EIGHTY), causes=(), label=label)
    begin = time.perf_counter()
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("computing")
        n_rows = stream_snapshots(
            folder / "raw",
            product,
            folder / "spine.parquet",
            folder / "out",
            progress=lambda done, of: bar.update(task, completed=done, total=of),
        )
    seconds = time.perf_counter() - begin
    return {"n_rows": n_rows, "seconds": seconds, "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB}


def write_day(raw_dir: Path, day: int, n_events: int, n_users: int) -> None:
    """One day of arrivals; a fiftieth occurred on the day before, a fifth carries no session."""
    random = np.random.default_rng(day)
    user = random.integers(0, n_users, n_events)
    kind = random.choice(len(KINDS), n_events, p=SHARES).astype(np.int8)
    occurred_us = np.sort(START_US + day * DAY_US + random.integers(0, DAY_US // 1000, n_events) * 1000)
    delay_us = np.where(random.random(n_events) < 0.02, random.integers(0, DAY_US, n_events), random.integers(0, 2_000_000, n_events))
    subject, session = random.integers(0, 30, n_events), user * SPAN_DAYS + day
    has_subject, has_session, has_value = random.random(n_events) < 0.7, random.random(n_events) < 0.8, (kind == 2) | (kind == 3)
    columns = [
        _text(np.arange(n_events) + day * n_events),
        _text(user),
        pa.array(np.array(KINDS, object)[kind], pa.string()),
        pa.array(occurred_us - delay_us, _INSTANT),
        pa.array(occurred_us, _INSTANT),
        pc.if_else(pa.array(has_subject), _text(subject), pa.scalar(None, pa.string())),
        pa.array(random.integers(0, 60_000, n_events), mask=~has_value),
        pc.if_else(pa.array(has_session), _text(session), pa.scalar(None, pa.string())),
        pa.array(random.integers(-(2**63), 2**63 - 1, n_events)),
        pa.array(np.where(has_subject, (subject + 1) * np.int64(-7_046_029_254_386_353_131), 0)),
        pa.array(np.where(has_session, (session + 1) * np.int64(-7_046_029_254_386_353_131), 0)),
    ]
    folder = raw_dir / f"day={np.datetime64('2026-01-01') + day}"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_arrays(columns, schema=SCHEMA), folder / "part-0.parquet", compression="snappy")


def _write_spine(file: Path, n_rows: int, n_users: int) -> None:
    random = np.random.default_rng(1)
    as_of_us = START_US + random.integers(1, SPAN_DAYS + 1, n_rows) * DAY_US
    pq.write_table(pa.table({"user_id": _text(np.arange(n_rows) % n_users), "as_of": pa.array(as_of_us, _INSTANT)}), file)


def _text(numbers: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise("u", pc.cast(pa.array(numbers), pa.string()), "")


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*.parquet"))


if __name__ == "__main__":
    sys.exit(main())
