"""Everything that ``serve``, ``up`` and ``demo`` keep running: Redis, the service, the worker, and MLflow's page."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from serving.adapters.run_file import Running, read_run_file, write_run_file
from serving.cli.listening import AlreadyRunningError, url_of
from serving.cli.processes import Child, start
from serving.cli.supervision import KeptChild, KeptRedis
from serving.settings import Settings

_READY_S = 240.0
"""A loaded machine takes more than a minute to import everything and to have MLflow's answer; who ends meanwhile is noticed at once."""
_LAST_REQUESTS_S = 2
"""How long the end waits for requests that are being answered: without a limit a caller that stalls within its body delays it by BentoML's
timeout of a request."""

_HOST = "127.0.0.1"
_FEASTS_OWN = {"PROMETHEUS_MULTIPROC_DIR", "PROMETHEUS_MULTIPROCESS_DIR"}  # set for this process alone when Feast is imported


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What runs, and where."""

    api_url: str
    service: Child
    worker: KeptChild
    sweep: KeptChild | None = None  # only where it was asked for

    @property
    def kept(self) -> tuple[KeptChild, ...]:
        """What is started again when it ends."""
        return (self.worker,) if self.sweep is None else (self.worker, self.sweep)

    @property
    def children(self) -> tuple[Child, ...]:
        """Every process that we started."""
        return self.service, *(kept.child for kept in self.kept)

    def ask_to_end(self) -> None:
        """Ask every process to end at the same time. Nothing accepted is lost: what the worker has not applied waits in Redis."""
        for child in self.children:
            child.ask_to_end()

    def check(self) -> None:
        """Start worker and sweep again if they have ended; raise `ProcessError` if the worker ends again and again, or if the service has.

        BentoML starts its own processes again; where the service itself ends, it has given up.
        """
        self.service.check()
        for kept in self.kept:
            kept.check()


@contextmanager
def redis_server(settings: Settings) -> Iterator[KeptRedis]:
    """The Redis to use: the configured one, or the bundled one, started for as long as the context lasts."""
    if settings.redis_url is not None:
        yield KeptRedis(url=settings.redis_url)
        return
    from features.adapters.embedded_redis import EmbeddedRedis

    with EmbeddedRedis(settings.home.redis_dir) as server:
        yield KeptRedis(url=server.url, bundled=server)


@contextmanager
def reachable_redis(settings: Settings) -> Iterator[str]:
    """URL of a Redis with this installation's data: that of a running service, or one started for as long as the context lasts."""
    running = read_run_file(settings.home.run_file)
    if settings.redis_url is None and running is not None:
        yield running.redis_url
        return
    with redis_server(settings) as redis:
        yield redis.url


@contextmanager
def service_and_worker(
    settings: Settings,
    redis_url: str,
    *,
    port: int,
    host: str = _HOST,
    log_delay_s: float | None = None,
    sweep_every: str | None = None,
) -> Iterator[Stack]:
    """Service and worker, ready, and the sweep where one is asked for; ended when the context ends.

    ``run.json`` says where they are for as long as they run.

    Parameters
    ----------
    host
        An address, not a name.
    sweep_every
        Period of the sweeps that a further process makes ("1h"); None: there is none.
    """
    _require_durable(settings, redis_url)
    environment = child_environment(settings, redis_url)
    if log_delay_s is not None:
        environment["STILLHERE_LOG_DELAY_S"] = str(log_delay_s)
    logs_dir = settings.home.root / "logs"
    serve = ["serve", "serving.service:Stillhere", "--host", host, "--port", str(port)]
    serve += ["--timeout-graceful-shutdown", str(_LAST_REQUESTS_S)]
    with ExitStack() as cleanup:
        worker = started(cleanup, "worker", "serving.worker", [], environment=environment, logs_dir=logs_dir)
        service = started(cleanup, "service", "bentoml", serve, environment=environment, logs_dir=logs_dir)
        url = url_of(host, port)
        service.await_ready(lambda: answers(f"{url}/readyz"), deadline_s=_READY_S)
        write_run_file(settings.home.run_file, Running(pid=os.getpid(), redis_url=redis_url, api_url=url))
        cleanup.callback(settings.home.run_file.unlink, missing_ok=True)
        sweep = None
        if sweep_every is not None:
            asks = ["sweep", "--every", sweep_every, "--url", url]
            child = started(cleanup, "sweep", "serving.cli", asks, environment=environment, logs_dir=logs_dir)
            sweep = KeptChild(child=child, is_needed=False)  # who asks gets answers all the same
        stack = Stack(api_url=url, service=service, worker=KeptChild(child=worker), sweep=sweep)
        cleanup.callback(stack.ask_to_end)
        yield stack


def _require_durable(settings: Settings, redis_url: str) -> None:
    """Refuse here, in words: the children would refuse too, but into their logs."""
    from serving import bootstrap

    opened = bootstrap.installation(settings, redis_url)
    opened.require_durable_redis()
    opened.close()


@contextmanager
def mlflow_page(settings: Settings, tracking_uri: str, *, port: int) -> Iterator[str]:
    """MLflow's own page over the tracking store; its URL."""
    arguments = ["ui", "--backend-store-uri", tracking_uri, "--host", _HOST, "--port", str(port), "--workers", "1"]
    with ExitStack() as cleanup:
        environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
        page = started(cleanup, "mlflow", "mlflow", arguments, environment=environment, logs_dir=settings.home.root / "logs")
        url = f"http://{_HOST}:{port}"
        page.await_ready(lambda: answers(f"{url}/health"), deadline_s=_READY_S)
        yield url


def refuse_if_running(settings: Settings) -> None:
    """Raise `AlreadyRunningError` if a service runs on this state directory."""
    running = read_run_file(settings.home.run_file)
    if running is not None:
        raise AlreadyRunningError(
            f"{settings.home.root} is in use by process {running.pid} ({running.api_url}); end that one (Ctrl-C in its terminal), "
            "or choose another state directory with --home"
        )


def child_environment(settings: Settings, redis_url: str) -> dict[str, str]:
    """Make the environment of service and worker: ours, with every choice made explicit and every telemetry off."""
    home = settings.home.root.absolute()
    ours = {name: value for name, value in os.environ.items() if name not in _FEASTS_OWN}
    return {
        **ours,
        "STILLHERE_HOME": str(home),
        "STILLHERE_PRODUCT": str(settings.product_folder.absolute()),
        "STILLHERE_REDIS_URL": redis_url,
        "BENTOML_HOME": str(home / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "FEAST_USAGE": "False",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": os.environ.get("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1"),  # the default waits for minutes
        "PYTHONUNBUFFERED": "1",
    }


def answers(url: str) -> bool:
    """Whether a GET succeeds at the moment."""
    try:
        return httpx.get(url, timeout=2.0).is_success
    except httpx.HTTPError:
        return False


def started(cleanup: ExitStack, name: str, module: str, arguments: Sequence[str], *, environment: dict[str, str], logs_dir: Path) -> Child:
    """Start a child that ends with the context."""
    child = start(name, module, arguments, environment=environment, logs_dir=logs_dir)
    cleanup.callback(child.stop)
    return child
