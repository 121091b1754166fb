"""Calls an ASGI app in this process, without a socket."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx


class InProcess:
    """A synchronous client of an ASGI app."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def request(self, method: str, path: str, **content: Any) -> httpx.Response:
        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://stillhere") as client:
                return await client.request(method, path, **content)

        return asyncio.run(call())

    def get(self, path: str) -> httpx.Response:
        return self.request("GET", path)

    def post(self, path: str, body: Any = None, **content: Any) -> httpx.Response:
        return self.request("POST", path, **({"json": body} if body is not None else {}), **content)
