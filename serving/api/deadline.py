"""The longest that a request may take; past it the answer is an error of the one shape, before the server gives up in its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from serving.api.errors import ApiError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Deadline:
    """ASGI middleware: what is not begun to be answered after ``after_s`` seconds is answered by ``timed_out``."""

    def __init__(self, app: ASGIApp, *, after_s: float) -> None:
        self._app = app
        self._after_s = after_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and wait for it that long."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def sending(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            async with asyncio.timeout(self._after_s) as deadline:
                await self._app(scope, receive, sending)
        except TimeoutError:
            if has_begun or not deadline.expired():
                raise
            await _timed_out(self._after_s).answer()(scope, receive, send)


def _timed_out(after_s: float) -> ApiError:
    return ApiError(
        "timed_out",
        f"nothing was answered within {after_s:g} s; what was asked for may have been done, or may be done yet",
        what_to_do="ask again under the same Idempotency-Key, or send the same events again: nothing is done twice",
    )
