"""``serve``: the service and the worker in the foreground."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from serving.cli.options import HERE, Place, Port
from serving.cli.sweep_plan import period


def serve(
    *,
    port: Port = 3000,
    host: Annotated[str, Parameter(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    sweep_every: Annotated[
        str | None,
        Parameter(
            help="Ask about everybody who is silent at each multiple of this (1h, 1d), as `stillhere sweep` does.",
            allow_leading_hyphen=True,
        ),
    ] = None,
    place: Place = HERE,
) -> None:
    """Serve decisions over HTTP until Ctrl-C: the BentoML service, the stream worker, and the bundled Redis.

    With STILLHERE_REDIS_URL set, that Redis is used instead; it has to have an append-only file and must not evict. Without a trained
    model, decisions are served without a risk. A bundled Redis, a worker or a sweep that dies is started again, up to three times a minute.

    Example: `stillhere serve --port 3000`
    """
    if sweep_every is not None:
        period("--sweep-every", sweep_every)
    settings = place.checked()  # the children would refuse as well, but into their logs

    from rich.console import Console
    from rich.markup import escape

    from serving.cli.cold_kernel import compile_first
    from serving.cli.demo.state import keep
    from serving.cli.listening import numeric_address, refuse_if_taken
    from serving.cli.stack import redis_server, refuse_if_running, service_and_worker
    from serving.cli.supervision import watch

    console = Console(stderr=True, highlight=False)
    refuse_if_running(settings)
    address = numeric_address(host)
    refuse_if_taken(address, {"--port": port})
    keep(settings.home)
    compile_first(settings, console)
    console.print("Starting service and worker; ready in about 20 seconds ...")
    with (
        redis_server(settings) as redis,
        service_and_worker(settings, redis.url, port=port, host=address, sweep_every=sweep_every) as stack,
    ):
        url = escape(stack.api_url)  # brackets of IPv6 are no markup
        console.print(f"Serving {settings.product_folder} on [bold]{url}[/] (docs at {url}/docs). Ctrl-C ends it.", soft_wrap=True)
        console.print(f"Logs: {settings.home.root / 'logs'}")
        watch(redis, stack)
