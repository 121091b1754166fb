"""The BentoML service: the one FastAPI app, mounted at the root.

BentoML answers /livez, /healthz, /readyz, /metrics and /schema.json itself, before anything that is mounted, and each in a shape of its
own. `PublicRoutesFirst` puts the app before them, so that every public route is in one OpenAPI document and has one error shape. BentoML's
own HTTP metrics are off: they keep one time series for each path ever asked for, and a path here holds a decision's id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bentoml
from bentoml.exceptions import BentoMLException

from features.ports import StoreError
from serving import bootstrap
from serving.api import loaded_objects

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_ENVIRONMENT = {
    "OTEL_SDK_DISABLED": "true",  # spans nobody exports cost a third of a request; set to false to export them
    "OMP_NUM_THREADS": "1",  # one row at a time: more threads only wait for each other
    "BENTOML_DO_NOT_TRACK": "True",
    # else glibc gives the memory of one step back to the system, only to ask for it again, page by page, in the next
    "MALLOC_TRIM_THRESHOLD_": str(16 * 1024 * 1024),
    "MALLOC_MMAP_THRESHOLD_": str(8 * 1024 * 1024),
}

_LONGEST_REQUEST_S = 15.0
"""After that BentoML gives up on a request. It keeps a timer and 650 bytes for each until then, answered or not: a minute, its own choice,
is 40 MB at a thousand requests a second. The longest request, a full list while Redis is silent, takes a third of this by default."""


async def public(scope: Scope, receive: Receive, send: Send) -> None:
    """Pass one request to the app of the running service instance (BentoML mounts before it makes the instance)."""
    await bentoml.get_current_service().app(scope, receive, send)


class PublicRoutesFirst:
    """Middleware that passes every HTTP request to the app before BentoML's own routes see it."""

    def __init__(self, app: ASGIApp) -> None:
        self._bentoml = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass HTTP to the app; BentoML keeps the life cycle."""
        await (public if scope["type"] == "http" else self._bentoml)(scope, receive, send)


@bentoml.service(
    name="stillhere",
    workers=bootstrap.service_workers(),
    envs=[{"name": name, "value": value} for name, value in _ENVIRONMENT.items()],
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
    traffic={"timeout": _LONGEST_REQUEST_S},
    tracing={"excluded_urls": ".*"},  # creating spans that nobody exports costs a third of a request
)
@bentoml.asgi_app(public, path="/")
class Stillhere:
    """Decides over HTTP; model, policy and stores are loaded before the first request is let in."""

    @bentoml.on_deployment  # type: ignore[untyped-decorator]  # BentoML ships no types
    @staticmethod
    def look_first() -> None:
        """End `bentoml serve` with the reason where no process of it could ever serve; it asks once, before it starts them."""
        try:
            bootstrap.refuse_what_cannot_serve()
        except (ValueError, StoreError) as exc:
            raise BentoMLException(str(exc)) from exc

    def __init__(self) -> None:
        self._running = bootstrap.start_api()
        self.app: Any = self._running.app
        loaded_objects.keep()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]  # BentoML ships no types
    def close(self) -> None:
        """Close connections."""
        self._running.close()
        loaded_objects.let_go()


Stillhere.add_asgi_middleware(PublicRoutesFirst)  # type: ignore[attr-defined]  # the decorator made it a Service
