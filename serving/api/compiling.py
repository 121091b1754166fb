"""An app that says what it is waiting for, until the one that it waits for is built: a minute, once on a machine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Thread
from typing import TYPE_CHECKING, Protocol

from serving.api import loaded_objects
from serving.api.errors import ApiError, json_answer

if TYPE_CHECKING:
    from fastapi import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

_log = logging.getLogger(__name__)

_ALIVE = ("/healthz", "/livez")
_WHY = "compiling the feature kernel (once, about a minute)"


class Running(Protocol):
    """An app, and how it is ended."""

    @property
    def app(self) -> ASGIApp:
        """Answers from now on."""

    @property
    def close(self) -> Callable[[], None]:
        """End it."""


class CompilingFirst:
    """ASGI app: ``not_ready`` on every route but those of liveness while ``build`` compiles on a thread; then what was built.

    What could not be built is said on every route, liveness included.
    """

    def __init__(self, build: Callable[[], Running]) -> None:
        self._build = build
        self._built: Running | None = None
        self._fault = ""
        self._thread = Thread(target=self._run, name="compile", daemon=True)

    def start(self) -> None:
        """Begin to build."""
        self._thread.start()

    def close(self) -> None:
        """End what was built; compiling cannot be interrupted, and ends with the process."""
        if self._built is not None:
            self._built.close()
            loaded_objects.let_go()

    def wait(self) -> None:
        """Return when there is nothing more to wait for."""
        self._thread.join()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        app: ASGIApp = self._answer(scope["path"]) if self._built is None else self._built.app
        await app(scope, receive, send)

    def _answer(self, path: str) -> Response:
        if self._fault:  # on the routes of liveness too: it will never serve, and whoever watches them starts it again
            return ApiError(
                "not_ready", f"the service could not be built: {self._fault}", what_to_do="see its log, and start it again"
            ).answer()
        if path in _ALIVE:
            return json_answer({"status": "ok"})
        return ApiError("not_ready", _WHY, what_to_do="wait, and ask again").answer()

    def _run(self) -> None:
        _log.info(_WHY)
        try:
            self._built = self._build()
        except Exception as exc:  # noqa: BLE001 - a thread that ended without a word would be waited for without end
            _log.exception("the service could not be built")
            self._fault = str(exc) or type(exc).__name__
            return
        loaded_objects.keep()
        _log.info("ready")
