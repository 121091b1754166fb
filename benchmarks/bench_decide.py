"""Decisions over HTTP: per second beside an empty route of the same service and beside a naive service, and their latency.

The real service (`bentoml serve`) on a state that the demo's own pipeline built: simulated, imported, trained. The load comes from
another process on the same cores, so compare the ratios and not the milliseconds of different days. Every decision is a real one: timeline
and profile read from Redis in Feast's online format, features computed, risk scored, explained where an arm is open, capped, committed to
the ledger with its receipt before it is answered; about 15 % of them send.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks import report
from benchmarks.decide_in_process import in_process
from benchmarks.decide_services import HOME, Served, forget_long_history, naive, prepare, service
from benchmarks.decide_users import SEND_SHARE, Users
from serving import bootstrap
from serving.cli.stack import redis_server

ROUNDS = 5
CONNECTIONS, FEW_CONNECTIONS = 16, 8
EMPTY_S, DECIDE_S, NAIVE_S, PACED_S, LATENCY_S = 2.0, 3.0, 3.0, 4.0, 2.0
MOST_PER_S = 4_000
"""No load asks faster than that; so many fresh users it needs."""
BATCH = 100
CALLS, EDGE_CALLS, EDGE_ROUNDS = 20_000, 500, 21


def main() -> int:
    os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{report.OUT}/decide_mlflow.db")
    settings = bootstrap.settings_from_environment(home=HOME)
    report.OUT.mkdir(exist_ok=True)
    forget_long_history()
    with redis_server(settings) as redis:
        user_ids = prepare(settings, redis.url)
        opened = bootstrap.installation(settings, redis.url)
        bootstrap.warm_up(opened)
        users = Users(opened=opened, run=f"copy-{bootstrap.now_us()}")
        users.sort(user_ids)
        here = in_process(opened, users.quiet)
        with (
            service(settings, redis.url, workers=2) as two,
            service(settings, redis.url, workers=1) as one,
            naive(settings, redis.url, user_ids) as naive_port,
        ):
            measured = Measured(users=users, two=two, one=one, naive_port=naive_port)
            measured.run()
            with service(settings, redis.url, workers=1, name="fresh") as fresh:
                measured.run_beside(fresh)
        users.remove_copies()
        opened.close()
    return 0 if report.write("decide", rows_of(measured, here), notes=notes_of(measured, here)) else 1


@dataclass(kw_only=True)
class Measured:
    """Every load's figures, by name."""

    users: Users
    two: Served
    one: Served
    naive_port: int
    figures: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)  # decisions of the service with two processes, by action
    memory: tuple[float, float] = (0.0, 0.0)  # bytes before and after the calls

    def run(self) -> None:
        """Alternate the loads, so that a slow minute of the machine slows all of them."""
        for port, path in ((self.two.port, "/v1/empty"), (self.two.port, "/v1/decisions"), (self.one.port, "/v1/decisions")):
            self.load("warm", port, path, seconds=2.0)
        self.load("warm", self.naive_port, "/decide", seconds=2.0)
        before = counted(self.two.port)
        for _ in range(ROUNDS):
            self.load("empty", self.two.port, "/v1/empty", seconds=EMPTY_S)
            self.load("direct", self.two.port, "/v1/empty/direct", seconds=EMPTY_S)
            self.load("decide", self.two.port, "/v1/decisions", seconds=DECIDE_S)
        self.counts = {action: n - before.get(action, 0.0) for action, n in counted(self.two.port).items()}
        for _ in range(ROUNDS):
            self.load("beside_naive", self.one.port, "/v1/decisions", connections=FEW_CONNECTIONS, seconds=DECIDE_S)
            self.load("naive", self.naive_port, "/decide", connections=FEW_CONNECTIONS, seconds=NAIVE_S)
        for _ in range(ROUNDS):
            for name, path in (("empty", "/v1/empty"), ("decide", "/v1/decisions")):
                self.load(f"paced_{name}", self.two.port, path, seconds=PACED_S, per_s=self.middle(name) / 2)
        self.run_alone()
        self.run_long()

    def run_alone(self) -> None:
        """One connection: what one caller sees."""
        alone: dict[str, Any] = {"connections": 1, "seconds": LATENCY_S}
        for _ in range(ROUNDS):
            self.load("alone", self.one.port, "/v1/decisions", **alone)
            self.load("batches", self.one.port, "/v1/decisions", bodies=self.users.batches(HOME, BATCH), **alone)
            self.load("naive_alone", self.naive_port, "/decide", **alone)
            self.load("empty_alone", self.one.port, "/v1/empty", **alone)

    def run_long(self) -> None:
        """Many calls to one process."""
        bodies = self.users.bodies(HOME, CALLS)
        before = memory_of(self.one.pid)
        self.load("long", self.one.port, "/v1/decisions", connections=FEW_CONNECTIONS, seconds=600.0, bodies=bodies, count=CALLS)
        self.memory = (before, memory_of(self.one.pid))

    def run_beside(self, fresh: Served) -> None:
        """The process that had all the calls and one that had none, in turn: what the machine does meanwhile, it does to both."""
        self.load("warm", fresh.port, "/v1/decisions", seconds=2.0)
        edge = {"connections": FEW_CONNECTIONS, "seconds": 60.0, "count": EDGE_CALLS}
        for _ in range(EDGE_ROUNDS):
            for name, served in (("first", fresh), ("last", self.one)):
                self.load(name, served.port, "/v1/decisions", bodies=self.users.bodies(HOME, EDGE_CALLS), **edge)

    def load(self, name: str, port: int, path: str, *, seconds: float, bodies: Path | None = None, **more: float) -> None:
        """Load from another process; refuses figures with failures in them."""
        if bodies is None:
            n = int(MOST_PER_S * seconds)
            bodies = self.users.bodies(HOME, n) if path == "/v1/decisions" else self.quiet_bodies()
        options = {"port": port, "path": path, "connections": CONNECTIONS, "seconds": seconds, "bodies": bodies, **more}
        arguments = [text for option, value in options.items() for text in (f"--{option.replace('_', '-')}", str(value))]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.load", *arguments], capture_output=True, text=True, check=True, timeout=seconds + 60
        )
        figures: dict[str, float] = json.loads(done.stdout)
        if figures["failed"]:
            raise RuntimeError(f"{figures['failed']:g} of {figures['n']:g} answers of {path} were not 2xx")
        self.figures.setdefault(name, []).append(figures)

    def quiet_bodies(self) -> Path:
        """Write a request about each simulated user to whom nothing is sent."""
        file = HOME / "bodies.jsonl"
        file.write_text("".join(json.dumps({"user_id": user_id}) + "\n" for user_id in self.users.quiet))
        return file

    def middle(self, name: str, figure: str = "per_s") -> float:
        """Median over the rounds."""
        return statistics.median(run[figure] for run in self.figures[name])

    def ratio(self, name: str, other: str, figure: str = "per_s") -> float:
        """Median of the rounds' own ratios."""
        rounds = zip(self.figures[name], self.figures[other], strict=True)
        return statistics.median(one[figure] / two[figure] for one, two in rounds)


def counted(port: int) -> dict[str, float]:
    """Decisions by action, from the service's own metrics."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    counts: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("stillhere_decisions_total{"):
            action = line.split('action="', 1)[1].split('"', 1)[0]
            counts[action] = counts.get(action, 0.0) + float(line.rsplit(" ", 1)[1])
    return counts


def memory_of(pid: int) -> float:
    """Resident bytes of a process and all that descend from it."""
    process = psutil.Process(pid)
    return float(sum(each.memory_info().rss for each in (process, *process.children(recursive=True))))


def rows_of(measured: Measured, here: dict[str, float]) -> list[dict[str, object]]:
    """Rows of the report."""
    row, middle, p50, p99 = report.row, measured.middle, "p50_ms", "p99_ms"
    latency_drift = 100 * (measured.ratio("last", "first", p50) - 1)
    memory_drift = 100 * (measured.memory[1] / measured.memory[0] - 1)
    (long,) = measured.figures["long"]
    within = 100 * (long["last_p50_ms"] / long["first_p50_ms"] - 1)
    paced = f"{middle('paced_decide', 'p99_ms'):.2f} ms at {middle('decide') / 2:.0f}/s, empty {middle('paced_empty', 'p99_ms'):.2f} ms"
    batch_ms = middle("batches", p50) / BATCH
    return [
        row("empty route ratio", measured.ratio("decide", "empty"), "", reference="decisions/s over an empty route's", at_least=0.30),
        row("naive ratio", measured.ratio("beside_naive", "naive"), "times", reference="flat features, DataFrame, SHAP", at_least=15),
        row("p99 ratio", measured.ratio("paced_decide", "paced_empty", "p99_ms"), "times", reference=paced, at_most=4),
        row("in-process ratio", here["ratio"], "times", reference=f"read, decode, kernel, risk: {here['least']:.0f} us", at_most=1.5),
        row("contrib one row ms", here["contrib_ms"], "ms", reference="the model that is served", at_most=2),
        row(
            "batch ratio",
            BATCH * measured.ratio("alone", "batches", p50),
            "times",
            reference=f"{batch_ms:.3f} ms a user in lists of {BATCH}",
            at_least=5,
        ),
        row("latency drift", latency_drift, "%", reference=f"a process without a call; over {CALLS} calls {within:.1f} %", at_most=5),
        row("memory drift", memory_drift, "%", reference=f"{measured.memory[0] / 1e6:.0f} MB at first, {CALLS} calls", at_most=2),
        *(row(f"decide {name[:3]} ms", middle("alone", name), "ms", reference=_beside(measured, name)) for name in (p50, p99)),
        row(
            "direct empty route ratio",
            measured.ratio("decide", "direct"),
            "",
            reference=f"{middle('direct'):.0f}/s, without FastAPI's routing",
        ),
        row("decisions per second", middle("decide"), "/s", reference=f"empty {middle('empty'):.0f}, naive {middle('naive'):.0f}"),
    ]


def _beside(measured: Measured, name: str) -> str:
    return f"empty {measured.middle('empty_alone', name):.2f}, naive {measured.middle('naive_alone', name):.1f}"


def notes_of(measured: Measured, here: dict[str, float]) -> list[str]:
    """How it was measured."""
    sent = measured.counts.get("send", 0.0) / max(1.0, sum(measured.counts.values()))
    receipt_us = here["whole"] - here["without_receipt"]
    fresh = f"{SEND_SHARE:.1%} of the requests are about users whom nobody asked about, copies of simulated ones to whom a message goes out"
    loads = f"2 processes, {CONNECTIONS} connections; naive ratio: 1 process each, {FEW_CONNECTIONS} connections"
    half = "each route at half of its own saturating load, times from when a request was due"
    return [
        f"{sent:.1%} of the decisions beside the empty route sent a message: {fresh}.",
        f"empty route ratio: {loads}; medians of {ROUNDS} alternating rounds. p99 ratio: {half}.",
        f"in process: {here['without_receipt']:.0f} us for a decision without a message, {receipt_us:.0f} us more for receipt and commit.",
        "p50 and p99 of one caller: 1 connection, 1 process.",
        f"latency drift: p50 of {EDGE_CALLS} calls to the process that had all these calls over that of a fresh one, {EDGE_ROUNDS} times.",
    ]


if __name__ == "__main__":
    sys.exit(main())
