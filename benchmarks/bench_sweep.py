"""A sweep: how long it looks for the silent, what its decisions cost Redis, and what callers feel who ask at the same time.

python -m benchmarks.bench_sweep [--events N] [--users N]

The log to look through is written first and not timed. The service is the real one, over the state of bench_decide: simulated, imported,
trained. A caller asks about one user 50 times a second, alone and beside sweeps of two paces in turn; all share the machine's cores.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.progress import track

from benchmarks import report
from benchmarks.bench_features_large import write_day
from benchmarks.decide_services import HOME, forget_long_history, prepare, service
from benchmarks.feature_sample import KINDS, SPAN_DAYS, START_US
from features.backfill.silent import find_silent
from features.core.event import from_us
from serving import bootstrap
from serving.cli.stack import redis_server
from serving.client import Client
from serving.sweep import Pace, SweepReport, sweep

DAY = timedelta(days=1)
ROUNDS, SECONDS, CALLS_PER_S = 5, 8.0, 50
PACES = (0.0, 20.0, 200.0)


def main() -> int:
    asked = _arguments()
    os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{report.OUT}/decide_mlflow.db")
    report.OUT.mkdir(exist_ok=True)
    looked_s, n_silent = _look(asked.events, asked.users)
    settings = bootstrap.settings_from_environment(home=HOME)
    forget_long_history()
    with redis_server(settings) as redis:
        user_ids = prepare(settings, redis.url)
        opened = bootstrap.installation(settings, redis.url)
        with service(settings, redis.url, workers=1) as served:
            measured = Measured(user_ids=user_ids, port=served.port, memory=lambda: int(opened.client.info("memory")["used_memory"]))
            measured.run()
        opened.close()
    reference = f"{asked.events:,} events of {asked.users:,} users, {n_silent:,} silent for a day"
    rows = [report.row("find silent seconds", looked_s, "s", reference=reference), *measured.rows()]
    return 0 if report.write("sweep", rows) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--users", type=int, default=1_000_000)
    return parser.parse_args()


def _look(n_events: int, n_users: int) -> tuple[float, int]:
    """Seconds that it takes to find the silent in a log of two months, and how many they are."""
    end = from_us(START_US) + SPAN_DAYS * DAY
    with tempfile.TemporaryDirectory(dir=report.OUT, prefix="sweep-") as folder:
        for day in track(range(SPAN_DAYS), description="writing the log"):
            write_day(Path(folder) / "raw", day, n_events // SPAN_DAYS, n_users)
        began = time.perf_counter()
        silent = find_silent(Path(folder) / "raw", activity=KINDS, as_of=end, silent_for=DAY, silent_until=90 * DAY)
        return time.perf_counter() - began, len(silent.user_ids)


@dataclass(kw_only=True)
class Measured:
    """A caller beside sweeps, and what a decision takes."""

    user_ids: list[str]
    port: int
    memory: Callable[[], int]  # bytes that Redis uses
    latency_ms: dict[float, list[tuple[float, float]]] = field(default_factory=dict)  # p50 and p99, by pace
    per_s: float = 0.0
    bytes_each: float = 0.0  # of a decision about somebody who did nothing since the last one

    def run(self) -> None:
        self._sweep(1e9, datetime.now(UTC))  # warm, and every timeline is stored
        before, began = self.memory(), time.perf_counter()
        made = self._sweep(1e9, datetime.now(UTC))
        self.per_s = made.n_decided / (time.perf_counter() - began)
        self.bytes_each = (self.memory() - before) / made.n_decided
        for _ in range(ROUNDS):
            for pace in PACES:
                with self._beside(pace):
                    self.latency_ms.setdefault(pace, []).append(self._call())

    def rows(self) -> list[dict[str, object]]:
        """Rows of the report."""
        rows = [
            report.row("sweep decisions per second", self.per_s, "/s", reference="one process of the service, no pace"),
            report.row(
                "redis bytes per decision", self.bytes_each, "bytes", reference=f"{len(self.user_ids):,} users who did nothing since"
            ),
        ]
        for pace, latencies in self.latency_ms.items():
            beside = f"beside a sweep of {pace:g}/s" if pace else "alone"
            for name, values in zip(("p50", "p99"), zip(*latencies, strict=True), strict=True):
                rows.append(report.row(f"caller {name}, {beside}", statistics.median(values), "ms", reference=f"median of {ROUNDS} runs"))
        return rows

    def _sweep(self, per_second: float, due: datetime, stop: threading.Event | None = None) -> SweepReport:
        """One sweep, ended early where that is asked for."""
        stop = stop or threading.Event()
        pace = Pace(per_second=per_second, wait=stop.wait)
        with Client(url=f"http://127.0.0.1:{self.port}", timeout_s=15) as client:
            return sweep(self.user_ids, due=due, service=client, pace=pace, progress=lambda *_: _end_if(stop))

    @contextmanager
    def _beside(self, pace: float) -> Iterator[None]:
        """Sweep for as long as the context lasts."""
        stop = threading.Event()

        def keep_on() -> None:
            with suppress(EndedError):
                while pace:
                    self._sweep(pace, datetime.now(UTC), stop)

        thread = threading.Thread(target=keep_on)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _call(self) -> tuple[float, float]:
        """Milliseconds, median and 99th percentile, of a caller from another process."""
        bodies = HOME / "sweep_bodies.jsonl"
        bodies.write_text("".join(json.dumps({"user_id": user_id}) + "\n" for user_id in self.user_ids))
        options = {"port": self.port, "path": "/v1/decisions", "connections": 4, "seconds": SECONDS, "per-s": CALLS_PER_S, "bodies": bodies}
        arguments = [text for option, value in options.items() for text in (f"--{option}", str(value))]
        done = subprocess.run([sys.executable, "-m", "benchmarks.load", *arguments], capture_output=True, text=True, check=True)
        figures: dict[str, float] = json.loads(done.stdout)
        return figures["p50_ms"], figures["p99_ms"]


class EndedError(Exception):
    """The sweep was to end."""


def _end_if(stop: threading.Event) -> None:
    if stop.is_set():
        raise EndedError


if __name__ == "__main__":
    sys.exit(main())
