"""Decisions over HTTP: per second beside an empty route of the same service and beside a naive service, and their latency.

The real service (`bentoml serve`, one worker) on a state that the demo's own pipeline built: simulated, imported, trained. The load comes
from another process on the same cores, so compare the ratios and not the milliseconds of different days. Every decision is a real one:
timeline and profile read from Redis through Feast's online store, features computed, risk scored, explained where an arm is open, capped,
committed to the ledger with its receipt.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from benchmarks import report
from serving import bootstrap
from serving.cli.processes import free_port
from serving.cli.stack import answers, child_environment, redis_server, started
from serving.cli.steps import Steps
from serving.settings import Settings

HOME = report.OUT / "decide_home"
N_USERS = 2_000
ROUNDS = 5
CONNECTIONS = 8
EMPTY_S, DECIDE_S, NAIVE_S, LATENCY_S = 1.5, 3.0, 3.0, 6.0
READY_S = 120.0


def main() -> int:
    os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{report.OUT}/decide_mlflow.db")
    settings = bootstrap.settings_from_environment(home=HOME)
    report.OUT.mkdir(exist_ok=True)
    with redis_server(settings) as redis_url:
        users = prepare(settings, redis_url)
        with service(settings, redis_url) as port, naive(settings, redis_url, users) as naive_port:
            figures = measure(port, naive_port, users)
    rows, notes = rows_of(figures)
    return 0 if report.write("decide", rows, notes=notes) else 1


def prepare(settings: Settings, redis_url: str) -> list[str]:
    """Build the state once; later runs use it again. Answers the users to ask about."""
    from serving.cli.demo.build import build
    from serving.cli.demo.state import is_trained

    opened = bootstrap.installation(settings, redis_url)
    steps = Steps()
    if not is_trained(settings.home, opened.product.name) or opened.scorer is None:
        build(opened, n_users=N_USERS, seed=1, steps=steps)
    users = sorted(set(opened.raw_log.scan()["user_id"].to_pylist()))
    opened.close()
    return users


@contextmanager
def service(settings: Settings, redis_url: str) -> Iterator[int]:
    """Start the real service, with its empty route; its port."""
    port = free_port()
    environment = {**child_environment(settings, redis_url), "STILLHERE_EMPTY_ROUTE": "yes"}
    arguments = ["serve", "serving.service:Stillhere", "--host", "127.0.0.1", "--port", str(port)]
    with ExitStack() as cleanup:
        child = started(cleanup, "service", "bentoml", arguments, environment=environment, logs_dir=HOME / "logs")
        child.await_ready(lambda: answers(f"http://127.0.0.1:{port}/readyz"), deadline_s=READY_S)
        yield port


@contextmanager
def naive(settings: Settings, redis_url: str, users: list[str]) -> Iterator[int]:
    """Start the naive service over the same model and the same Redis; its port."""
    from benchmarks.naive_repo import write_naive_repo
    from serving.adapters.model_registry import newest_local

    opened = bootstrap.installation(settings, redis_url)
    bundle = newest_local(settings.home.bundles_dir(opened.product.name))
    assert bundle is not None
    repo = HOME.absolute() / "naive"
    write_naive_repo(opened, users, repo)
    opened.close()
    port = free_port()
    model = str((bundle / "model.txt").absolute())
    environment = {
        **child_environment(settings, redis_url),
        "NAIVE_REPO": str(repo),
        "NAIVE_MODEL": model,
        "BENTOML_HOME": str(repo / "bentoml"),
    }
    arguments = ["serve", "benchmarks.naive_service:Naive", "--host", "127.0.0.1", "--port", str(port)]
    with ExitStack() as cleanup:
        child = started(cleanup, "naive", "bentoml", arguments, environment=environment, logs_dir=HOME / "logs")
        child.await_ready(lambda: answers(f"http://127.0.0.1:{port}/readyz"), deadline_s=READY_S)
        yield port


def measure(port: int, naive_port: int, users: list[str]) -> dict[str, list[dict[str, float]]]:
    """Alternate the three loads, so that a slow minute of the machine slows all of them."""
    bodies = HOME / "bodies.jsonl"
    bodies.write_text("".join(json.dumps({"user_id": user}) + "\n" for user in users))
    for warm_port, path in ((port, "/v1/empty"), (port, "/v1/decisions"), (naive_port, "/decide")):
        load(warm_port, path, bodies, connections=CONNECTIONS, seconds=1.5)
    figures: dict[str, list[dict[str, float]]] = {"empty": [], "decide": [], "naive": [], "alone": []}
    for _ in range(ROUNDS):
        figures["empty"].append(load(port, "/v1/empty", bodies, connections=CONNECTIONS, seconds=EMPTY_S))
        figures["decide"].append(load(port, "/v1/decisions", bodies, connections=CONNECTIONS, seconds=DECIDE_S))
        figures["naive"].append(load(naive_port, "/decide", bodies, connections=CONNECTIONS, seconds=NAIVE_S))
    figures["alone"].append(load(port, "/v1/decisions", bodies, connections=1, seconds=LATENCY_S))
    figures["naive_alone"] = [load(naive_port, "/decide", bodies, connections=1, seconds=LATENCY_S)]
    figures["empty_alone"] = [load(port, "/v1/empty", bodies, connections=1, seconds=EMPTY_S)]
    figures["what"] = [what_was_decided(port)]
    return figures


def load(port: int, path: str, bodies: Path, *, connections: int, seconds: float) -> dict[str, float]:
    """Load from another process; refuses figures with failures in them."""
    arguments = ["--port", str(port), "--path", path, "--connections", str(connections), "--seconds", str(seconds), "--bodies", str(bodies)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", *arguments], capture_output=True, text=True, check=True, timeout=seconds + 60
    )
    figures: dict[str, float] = json.loads(done.stdout)
    if figures["failed"]:
        raise RuntimeError(f"{figures['failed']:g} of {figures['n']:g} answers of {path} were not 2xx")
    return figures


def what_was_decided(port: int) -> dict[str, float]:
    """Decisions by action, from the service's own metrics."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    counts: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("stillhere_decisions_total{"):
            action = line.split('action="', 1)[1].split('"', 1)[0]
            counts[action] = counts.get(action, 0.0) + float(line.rsplit(" ", 1)[1])
    return counts


def rows_of(figures: dict[str, list[dict[str, float]]]) -> tuple[list[dict[str, object]], list[str]]:
    """Rows and notes of the report."""
    per_s = {name: [run["per_s"] for run in figures[name]] for name in ("empty", "decide", "naive")}
    empty_ratio = statistics.median(one / other for one, other in zip(per_s["decide"], per_s["empty"], strict=True))
    naive_ratio = statistics.median(one / other for one, other in zip(per_s["decide"], per_s["naive"], strict=True))
    middle = {name: statistics.median(values) for name, values in per_s.items()}
    alone, naive_alone, empty_alone = (figures[name][0] for name in ("alone", "naive_alone", "empty_alone"))
    rows = [
        report.row("empty route ratio", empty_ratio, "", reference="decisions/s over an empty route's requests/s"),
        report.row("naive ratio", naive_ratio, "times", reference="naive: flat Feast features, DataFrame, TreeExplainer built once"),
        report.row(
            "decide p50 ms", alone["p50_ms"], "ms", reference=f"empty {empty_alone['p50_ms']:.2f}, naive {naive_alone['p50_ms']:.1f}"
        ),
        report.row(
            "decide p99 ms", alone["p99_ms"], "ms", reference=f"empty {empty_alone['p99_ms']:.2f}, naive {naive_alone['p99_ms']:.1f}"
        ),
        report.row("decisions per second", middle["decide"], "/s", reference=f"empty {middle['empty']:.0f}, naive {middle['naive']:.0f}"),
    ]
    counts = figures["what"][0]
    sent = counts.get("send", 0.0) / max(1.0, sum(counts.values()))
    notes = [
        f"{CONNECTIONS} connections for the ratios (median of {ROUNDS} alternating rounds), 1 for p50 and p99; one service process.",
        f"{sent:.1%} of the decisions sent a message: who was written to once is at rest, by cooldown and caps, when asked about again.",
    ]
    return rows, notes


if __name__ == "__main__":
    sys.exit(main())
