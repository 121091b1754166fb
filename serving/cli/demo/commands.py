"""The two commands; everything they print is decided here."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from serving.cli.options import HERE, Place, Port

if TYPE_CHECKING:
    from serving.bootstrap import Installation
    from serving.cli.demo.play import Played
    from serving.cli.steps import Steps
    from serving.cli.supervision import KeptRedis
    from serving.decision.policy import Policy
    from serving.settings import Settings

Users = Annotated[int, Parameter(help="Users to simulate.", validator=Number(gte=1))]
Seed = Annotated[int, Parameter(help="The same seed on the same day simulates the same users.")]

_LOG_DELAY_S = 0.2  # the demo waits for its events; files may be small here
_PORT, _MLFLOW_PORT = 3000, 5000


def demo(
    *,
    users: Users = 2_000,
    seed: Seed = 1,
    json: Annotated[bool, Parameter(help="Print all decisions as JSON, one a line, and nothing else on stdout.", negative=())] = False,
    place: Place = HERE,
) -> None:
    """Simulate a product, train on it, serve it, and decide about a few live users; ends by itself after one to three minutes.

    Starts a bundled Redis, simulates an onboarding product's log, imports it, builds features, trains a model and registers it in MLflow,
    starts the service and the stream worker, plays five live users over HTTP, prints what was decided about each and why, and ends
    everything it started. Replaces what the last demo left in the state directory, never anything else.

    Example: `stillhere demo`
    """
    started, settings = time.perf_counter(), place.checked()

    from serving import bootstrap
    from serving.cli.demo.state import reset
    from serving.cli.stack import redis_server, refuse_if_running
    from serving.cli.steps import Steps

    steps = Steps()
    refuse_if_running(settings)
    reset(settings.home)
    with redis_server(settings) as redis:
        opened = bootstrap.installation(settings, redis.url)
        _build(opened, users=users, seed=seed, steps=steps)
        played = _play(settings, redis.url, opened.policy, steps=steps)
        with steps.step("replaying every decision"):
            n_same = _replayed_the_same(opened, played)
        opened.close()
    _show(played, n_same=n_same, json=json)
    _say_where(settings, played, opened.product.name, seconds=time.perf_counter() - started, quiet=json)


def up(
    *,
    users: Users = 2_000,
    seed: Seed = 1,
    port: Port = _PORT,
    mlflow_port: Annotated[Port, Parameter(help="Port of the MLflow UI.")] = _MLFLOW_PORT,
    place: Place = HERE,
) -> None:
    """Serve what the demo built, with the MLflow UI, until Ctrl-C.

    Builds it first where nothing has been imported and trained yet. The next demo replaces this state, events sent to it included; for data
    of your own, use `stillhere serve`.

    Example: `stillhere up --port 3000`
    """
    settings = place.checked()

    from features.declarations.product_file import load_product
    from serving import bootstrap
    from serving.cli.demo.state import is_trained, reset
    from serving.cli.listening import refuse_if_taken
    from serving.cli.stack import redis_server, refuse_if_running
    from serving.cli.steps import Steps

    steps = Steps()
    refuse_if_running(settings)
    refuse_if_taken("127.0.0.1", {"--port": port, "--mlflow-port": mlflow_port})
    name = load_product(settings.product_folder).name
    is_built = is_trained(settings.home, name)
    if not is_built:
        reset(settings.home)  # before a Redis is in it
    with redis_server(settings) as redis:
        opened = bootstrap.installation(settings, redis.url)
        if not is_built:
            _build(opened, users=users, seed=seed, steps=steps)
        opened.close()
        _keep_up(settings, redis, name, port=port, mlflow_port=mlflow_port)


def _keep_up(settings: Settings, redis: KeptRedis, product: str, *, port: int, mlflow_port: int) -> None:
    """Serve with the MLflow UI until Ctrl-C."""
    from rich.console import Console

    from serving.cli.cold_kernel import compile_first
    from serving.cli.stack import mlflow_page, service_and_worker
    from serving.cli.supervision import watch
    from training.tracking import runs_page

    console = Console(highlight=False)
    compile_first(settings, console)
    with (
        service_and_worker(settings, redis.url, port=port) as stack,
        mlflow_page(settings, _tracking_uri(), port=mlflow_port) as mlflow_url,
    ):
        console.print(f"  decisions   [bold]{stack.api_url}[/]   (docs: {stack.api_url}/docs)")
        console.print(f"  MLflow      [bold]{runs_page(product, mlflow_url)}[/]", soft_wrap=True)
        console.print(f"  receipts    {settings.home.receipts_dir(product)}", soft_wrap=True)
        console.print("  Ctrl-C ends everything.")
        try:
            watch(redis, stack)
        finally:
            stack.ask_to_end()  # while MLflow's page ends, too


def _build(opened: Installation, *, users: int, seed: int, steps: Steps) -> None:
    from serving.cli.cold_kernel import compiled_beside
    from serving.cli.demo.build import build

    steps.console.print(f"State: {opened.settings.home.root}   Product: {opened.settings.product_folder}")
    with compiled_beside(opened.settings, steps):
        build(opened, n_users=users, seed=seed, steps=steps)


def _play(settings: Settings, redis_url: str, policy: Policy, *, steps: Steps) -> list[Played]:
    from serving.cli.demo.play import play
    from serving.cli.processes import free_port
    from serving.cli.stack import service_and_worker

    with ExitStack() as cleanup:
        with steps.step("starting service and worker"):
            api = cleanup.enter_context(service_and_worker(settings, redis_url, port=free_port(), log_delay_s=_LOG_DELAY_S))
        with steps.step("playing five live users over HTTP"):
            played = play(api.api_url, policy)
        with steps.step("ending service and worker"):
            cleanup.close()
    return played


def _replayed_the_same(opened: Installation, played: list[Played]) -> int:
    replayer = opened.replayer()
    reports = [(replayer.replay(one.receipt), one) for one in played]
    return sum(report.is_same and report.output == one.answer for report, one in reports)


def _show(played: list[Played], *, n_same: int, json: bool) -> None:
    if json:
        sys.stdout.buffer.writelines(one.answer + b"\n" for one in played)
        sys.stdout.buffer.flush()
        return
    from rich.console import Console

    from serving.cli.demo.show import show

    show(played, n_same=n_same, console=Console(highlight=False))


def _say_where(settings: Settings, played: list[Played], product: str, *, seconds: float, quiet: bool) -> None:
    import orjson
    from rich.console import Console

    from serving.cli.demo.play import first_of_its_own
    from training.tracking import runs_page

    console = Console(stderr=quiet, highlight=False)
    first = orjson.loads(first_of_its_own(played).answer)
    console.print(f"\nDone in {seconds:.0f} s; nothing is left running. Look further (with .venv active):")
    runs = runs_page(product, f"http://127.0.0.1:{_MLFLOW_PORT}")
    console.print(f"  models     mlflow ui --backend-store-uri {_tracking_uri()}   then {runs}", soft_wrap=True)
    console.print("  API docs   stillhere up   then http://127.0.0.1:3000/docs")
    console.print(f"  receipts   {settings.home.receipts_dir(product)}/day=*/part-*.parquet", soft_wrap=True)
    console.print(f"  again      stillhere replay {first['decision_id']}", soft_wrap=True)
    console.print(f"  why        stillhere explain {first['decision_id']}", soft_wrap=True)
    console.print(f"  now        stillhere decide {first['user_id']}")


def _tracking_uri() -> str:
    import mlflow

    return str(mlflow.get_tracking_uri())
