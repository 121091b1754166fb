"""A small load generator: N keep-alive connections over loopback, each sending its next request when the last is answered.

Its own process, raw sockets and a parser of a few lines: at thousands of requests a second a full HTTP client would be what is measured.

    python -m benchmarks.load --port 3000 --path /v1/decisions --connections 8 --seconds 5 --bodies bodies.jsonl
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"


class Connection(asyncio.Protocol):
    """One connection's endless request and answer; stops when the time is up."""

    def __init__(self, requests: Iterator[bytes], *, until: float, done: asyncio.Future[None]) -> None:
        self.requests = requests
        self.until = until
        self.done = done
        self.seconds: list[float] = []
        self.n_failed = 0
        self.buffer = b""
        self.missing = -1  # bytes of the body still to come; -1: the head is not complete
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.sent_at = time.perf_counter()
        if self.sent_at >= self.until:
            self.transport.close()
            return
        self.transport.write(next(self.requests))

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.missing < 0:
            end = self.buffer.find(HEAD_END)
            if end < 0:
                return
            self.read_head(self.buffer[:end])
            self.buffer = self.buffer[end + len(HEAD_END) :]
        if len(self.buffer) < self.missing:
            return
        self.seconds.append(time.perf_counter() - self.sent_at)
        self.buffer, self.missing = b"", -1
        self.send()

    def read_head(self, head: bytes) -> None:
        self.n_failed += not head.startswith(b"HTTP/1.1 2")
        lower = head.lower()
        start = lower.index(LENGTH) + len(LENGTH)
        self.missing = int(lower[start:].split(b"\r", 1)[0])

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the interface of asyncio
        if not self.done.done():
            self.done.set_result(None)


def request(path: str, body: bytes) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    )


async def run(port: int, requests: list[bytes], *, n_connections: int, seconds: float) -> dict[str, float]:
    """Load for that long; answers requests per second, percentiles in milliseconds and failures (answers that are not 2xx)."""
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    connections, ends = [], []
    for index in range(n_connections):
        done = loop.create_future()
        source = islice(cycle(requests), index * len(requests) // n_connections, None)
        protocol = Connection(source, until=started + seconds, done=done)
        await loop.create_connection(lambda protocol=protocol: protocol, "127.0.0.1", port)
        connections.append(protocol)
        ends.append(done)
    await asyncio.wait_for(asyncio.gather(*ends), timeout=seconds + 30)
    elapsed = time.perf_counter() - started
    times = sorted(second for connection in connections for second in connection.seconds)
    return {
        "n": len(times),
        "per_s": len(times) / elapsed,
        "p50_ms": 1000 * times[len(times) // 2],
        "p99_ms": 1000 * times[min(len(times) - 1, len(times) * 99 // 100)],
        "failed": sum(connection.n_failed for connection in connections),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--bodies", type=Path, required=True, help="one JSON body a line, sent in turn")
    args = parser.parse_args()
    requests = [request(args.path, line) for line in args.bodies.read_bytes().splitlines() if line]
    figures = asyncio.run(run(args.port, requests, n_connections=args.connections, seconds=args.seconds))
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
