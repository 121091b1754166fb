"""The busiest routes are answered before the framework looks for a route: of a decision, its routing cost a tenth.

FastAPI keeps them in its table, so that they are in the OpenAPI document and that another method gets its 405.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response

from serving.api.deadline import Deadline
from serving.api.errors import ApiError, surprised

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

Endpoint = Callable[[Request], Awaitable[Response]]


class DirectRoutes(FastAPI):
    """FastAPI, with routes that nothing but a deadline stands before."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._direct: dict[tuple[str, str], ASGIApp] = {}

    def answer_directly(self, method: str, path: str, endpoint: Endpoint, *, after_s: float) -> None:
        """Have requests of a route that is in the table, and has no parameters, go to its endpoint at once."""
        self._direct[method, path] = Deadline(_answering(endpoint), after_s=after_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        direct = self._direct.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        await (super().__call__ if direct is None else direct)(scope, receive, send)


def _answering(endpoint: Endpoint) -> ASGIApp:
    """Make an ASGI app of an endpoint, its errors in the one shape as `serving.api.errors.add_error_handlers` has them."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            answer = await endpoint(request)
        except ApiError as error:
            answer = error.answer()
        except Exception as error:  # noqa: BLE001 - a mistake of ours must become an answer
            answer = surprised(request, error)
        await answer(scope, receive, send)

    return app
