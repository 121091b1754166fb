"""What bench_decide measures: the real service, with as many processes as asked for, and the naive one over the same Redis."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from benchmarks import report
from serving import bootstrap
from serving.cli.processes import free_port
from serving.cli.stack import answers, child_environment, started
from serving.cli.steps import Steps
from serving.settings import Settings

HOME = report.OUT / "decide_home"
N_USERS = 2_000
READY_S = 120.0
MOST_BYTES = 1_000_000_000
"""Of the state's Redis: a run leaves its receipts, and a Redis of many gigabytes would be what is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Where a service listens, and the process that all of its processes descend from."""

    port: int
    pid: int


def forget_long_history() -> None:
    """Have the state built anew once the receipts of earlier runs fill it; before Redis is started."""
    if sum(file.stat().st_size for file in HOME.glob("redis/*")) > MOST_BYTES:
        shutil.rmtree(HOME)
        (report.OUT / "decide_mlflow.db").unlink(missing_ok=True)


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
def service(settings: Settings, redis_url: str, *, workers: int, name: str = "") -> Iterator[Served]:
    """Start the real service, with its empty route; of two with as many workers one needs a name."""
    port = free_port()
    name = name or f"service-{workers}"
    environment = {
        **child_environment(settings, redis_url),
        "STILLHERE_EMPTY_ROUTE": "yes",
        "STILLHERE_WORKERS": str(workers),
        "BENTOML_HOME": str(HOME.absolute() / f"bentoml-{name}"),
    }
    arguments = ["serve", "serving.service:Stillhere", "--host", "127.0.0.1", "--port", str(port)]
    with ExitStack() as cleanup:
        child = started(cleanup, name, "bentoml", arguments, environment=environment, logs_dir=HOME / "logs")
        child.await_ready(lambda: answers(f"http://127.0.0.1:{port}/readyz"), deadline_s=READY_S)
        yield Served(port=port, pid=child.process.pid)


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
