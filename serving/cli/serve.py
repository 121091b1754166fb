"""``serve``: the service and the worker in the foreground."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from serving.cli.options import HERE, Place

if TYPE_CHECKING:
    from serving.cli.stack import Stack

_CHECK_S = 1.0


def serve(
    *,
    port: Annotated[int, Parameter(help="Port of the HTTP interface.")] = 3000,
    host: Annotated[str, Parameter(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    place: Place = HERE,
) -> None:
    """Serve decisions over HTTP until Ctrl-C: the BentoML service, the stream worker, and the bundled Redis.

    With STILLHERE_REDIS_URL set, that Redis is used instead; it has to have an append-only file and must not evict. Without a trained
    model, decisions are served without a risk.

    Example: `stillhere serve --port 3000`
    """
    from rich.console import Console

    from serving.cli.demo.state import keep
    from serving.cli.stack import redis_server, refuse_if_running, service_and_worker

    settings = place.settings()
    console = Console(stderr=True, highlight=False)
    refuse_if_running(settings)
    keep(settings.home)
    with redis_server(settings) as redis_url, service_and_worker(settings, redis_url, port=port, host=host) as stack:
        console.print(f"Serving {settings.product_folder} on [bold]{stack.api_url}[/] (docs at {stack.api_url}/docs). Ctrl-C ends it.")
        console.print(f"Logs: {settings.home.root / 'logs'}")
        watch(stack)


def watch(stack: Stack) -> None:
    """Wait for Ctrl-C; raises `ProcessError` should a child end before."""
    never = threading.Event()
    while not never.wait(_CHECK_S):
        stack.check()
