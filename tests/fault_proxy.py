"""A TCP proxy that can be told to misbehave, between our clients and a Redis."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from typing import Self
from urllib.parse import urlsplit

_ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset
DELAY_S = 2.0


class FaultProxy:
    """Listens on a port of its own, on a thread of its own; ``mode`` may be set at any time and counts for connections that are open, too.

    ``pass``: forwards. ``delay``: forwards replies two seconds late. ``reset``: sends the first byte of a reply, then resets the
    connection. ``lose commits``: does so with the reply to a script, and forwards all else. ``black hole``: takes everything and never
    replies. ``down``: resets every connection at once.
    """

    def __init__(self, target_url: str) -> None:
        parts = urlsplit(target_url)
        self._target = (parts.hostname, parts.port)
        self.mode = "pass"
        self.most_open = 0  # connections at the same time
        self._n_open = 0
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    async def _run(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._end.wait()
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._n_open += 1
        self.most_open = max(self.most_open, self._n_open)
        try:
            await self._serve_one(reader, writer)
        finally:
            self._n_open -= 1

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "down":
            _reset(writer)
            return
        there, back = await asyncio.open_connection(*self._target)
        lost = asyncio.Event()
        asking = asyncio.ensure_future(self._ask(reader, writer, back, lost))
        try:
            with contextlib.suppress(ConnectionError):
                await self._reply(there, writer, lost)
        finally:
            asking.cancel()
            back.close()
            writer.close()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while content := await reader.read(65_536):
                if self.mode == "down":
                    _reset(writer)
                    break
                if self.mode == "reset" or (self.mode == "lose commits" and b"EVALSHA" in content):
                    lost.set()
                if self.mode != "black hole":
                    back.write(content)
        back.close()

    async def _reply(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: asyncio.Event) -> None:
        while content := await there.read(65_536):
            if self.mode == "delay":
                await asyncio.sleep(DELAY_S)
            if lost.is_set():
                writer.write(content[:1])
                await writer.drain()
                _reset(writer)
                return
            if self.mode != "black hole":
                writer.write(content)


def _reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
    writer.transport.abort()
