"""A small load generator: N keep-alive connections over loopback, each sending its next request when the last is answered.

Its own process, raw sockets and a parser of a few lines: at thousands of requests a second a full HTTP client would be what is measured.

    python -m benchmarks.load --port 3000 --path /v1/decisions --connections 8 --seconds 5 --bodies bodies.jsonl

With ``--per-s`` requests are sent at that rate (later where the answer before has not come), and times count from when each was due.
With ``--count`` it ends after so many answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"
EDGE = 500
"""Answers at the beginning and at the end whose medians show a drift."""


class Connection(asyncio.Protocol):
    """One connection's endless request and answer; stops when the time is up."""

    def __init__(self, requests: Iterator[bytes], *, until: float, every_s: float, first_at: float, done: asyncio.Future[None]) -> None:
        self.requests = requests
        self.until = until
        self.every_s = every_s  # 0: at once
        self.due_at = first_at
        self.done = done
        self.answers: list[tuple[float, float]] = []  # when, and after how many seconds
        self.n_failed = 0
        self.buffer = b""
        self.missing = -1  # bytes of the body still to come; -1: the head is not complete
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        now = time.perf_counter()
        if self.every_s and now < self.due_at:
            asyncio.get_running_loop().call_later(self.due_at - now, self.send)
            return
        self.sent_at = self.due_at if self.every_s else now
        self.due_at += self.every_s
        body = next(self.requests, None)
        if now >= self.until or body is None:
            self.transport.close()
            return
        self.transport.write(body)

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
        now = time.perf_counter()
        self.answers.append((now, now - self.sent_at))
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


async def run(port: int, requests: list[bytes], *, n_connections: int, seconds: float, per_s: float, count: int) -> dict[str, float]:
    """Load for that long; answers requests per second, percentiles in milliseconds and failures (answers that are not 2xx)."""
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    connections, ends = [], []
    every_s = n_connections / per_s if per_s else 0.0
    for index in range(n_connections):
        done = loop.create_future()
        start = index * len(requests) // n_connections
        source = islice(cycle(requests), start, start + count // n_connections if count else None)
        first_at = started + every_s * index / n_connections
        protocol = Connection(source, until=started + seconds, every_s=every_s, first_at=first_at, done=done)
        await loop.create_connection(lambda protocol=protocol: protocol, "127.0.0.1", port)
        connections.append(protocol)
        ends.append(done)
    await asyncio.wait_for(asyncio.gather(*ends), timeout=seconds + 30)
    elapsed = time.perf_counter() - started
    in_order = [second for _, second in sorted(answer for connection in connections for answer in connection.answers)]
    return {**_figures(in_order, elapsed), "failed": sum(connection.n_failed for connection in connections)}


def _figures(in_order: list[float], elapsed: float) -> dict[str, float]:
    times = sorted(in_order)
    return {
        "n": len(times),
        "per_s": len(times) / elapsed,
        "p50_ms": 1000 * times[len(times) // 2],
        "p99_ms": 1000 * times[min(len(times) - 1, len(times) * 99 // 100)],
        "first_p50_ms": 1000 * statistics.median(in_order[:EDGE]),
        "last_p50_ms": 1000 * statistics.median(in_order[-EDGE:]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--per-s", type=float, default=0.0)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--bodies", type=Path, required=True, help="one JSON body a line, sent in turn")
    args = parser.parse_args()
    requests = [request(args.path, line) for line in args.bodies.read_bytes().splitlines() if line]
    how = {"n_connections": args.connections, "seconds": args.seconds, "per_s": args.per_s, "count": args.count}
    figures = asyncio.run(run(args.port, requests, **how))
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
