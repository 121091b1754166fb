"""Reading timelines through Feast's online store beside the bare Redis read, and whether reads grow slower as they are repeated."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import redis
from feast.protos.feast.types.Value_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from benchmarks import report
from features.adapters.embedded_redis import EmbeddedRedis
from features.adapters.feast_online_store import user_keys
from features.adapters.feast_store import FeastTimelineStore, open_store
from features.core.product import Product
from features.core.timeline import Timeline
from features.home import Home

READS = 10_000
WARM_UP = 500
ROUNDS = 300


def rows(product: Product, timelines: Sequence[Timeline]) -> list[dict[str, object]]:
    """Figures of reads of 1 and of 100 of the timelines given, from a Redis of their own."""
    users = [f"user {i}" for i in range(len(timelines))]
    with _stored(product, dict(zip(users, timelines, strict=True))) as (store, bare):
        _check_equal(store, bare, users[:100])
        figures = [_ratio(store, bare, users, n) for n in (1, 100)]
        return [*figures, _drift(store, bare, users)]


@contextmanager
def _stored(product: Product, timelines: dict[str, Timeline]) -> Iterator[tuple[FeastTimelineStore, BareReader]]:
    with tempfile.TemporaryDirectory() as folder, EmbeddedRedis(Path(folder) / "redis") as server:
        feast = open_store(product, Home(Path(folder)), server.url)
        store = FeastTimelineStore(feast, kinds=product.catalogue.kinds, clock_us=lambda: time.time_ns() // 1000)
        store.merge(timelines)
        with redis.Redis.from_url(server.url) as client:
            yield store, BareReader(client, dict(zip(timelines, user_keys(feast.config, list(timelines)), strict=True)))


class BareReader:
    """What no reader of Feast's rows can avoid: HMGET of value and timestamp, in one round trip, and decoding both."""

    def __init__(self, client: redis.Redis, keys: dict[str, bytes]) -> None:
        """Keys are made beforehand, in its favour; the fields are taken from Redis as they stand there."""
        self._client = client
        self._key_of = keys
        fields = client.hkeys(next(iter(keys.values())))
        self._fields = sorted(fields, key=lambda field: field.startswith(b"_ts:"))  # the value, then its timestamp

    def read(self, users: Sequence[str]) -> list[bytes]:
        """Packed timelines."""
        pipeline = self._client.pipeline(transaction=False)
        for user in users:
            pipeline.hmget(self._key_of[user], self._fields)
        answers: list[tuple[bytes, bytes]] = pipeline.execute()
        return [_decoded(value, version) for value, version in answers]


def _decoded(value: bytes, version: bytes) -> bytes:
    Timestamp.FromString(version).ToMicroseconds()
    packed: bytes = Value.FromString(value).bytes_val
    return packed


def _check_equal(store: FeastTimelineStore, bare: BareReader, users: Sequence[str]) -> None:
    if [stored.packed for stored in store.read(users)] != bare.read(users):
        raise SystemExit("the bare read and the read through Feast differ")


def _ratio(store: FeastTimelineStore, bare: BareReader, users: Sequence[str], n: int) -> dict[str, object]:
    feast_us, bare_us = [], []
    for i in range(ROUNDS):  # in turns
        asked = [users[(i * n + j) % len(users)] for j in range(n)]
        feast_us.append(_us(lambda asked=asked: store.read(asked)))
        bare_us.append(_us(lambda asked=asked: bare.read(asked)))
    ours, theirs = statistics.median(feast_us), statistics.median(bare_us)
    return report.row(
        f"feast read ratio {n}", ours / theirs, "times", reference=f"bare HMGET, decoded {theirs:.0f} us; Feast {ours:.0f} us", at_most=1.5
    )


def _drift(store: FeastTimelineStore, bare: BareReader, users: Sequence[str]) -> dict[str, object]:
    """How much slower the last reads are than the first, over the same of bare reads made in turns: those see the machine's own drift."""
    feast_us, bare_us = [], []
    for i in range(READS + WARM_UP):
        user = [users[i % len(users)]]
        feast_us.append(_us(lambda user=user: store.read(user)))
        bare_us.append(_us(lambda user=user: bare.read(user)))
    first, last = (statistics.median(some) for some in (feast_us[WARM_UP : WARM_UP + 1000], feast_us[-1000:]))
    bare_first, bare_last = (statistics.median(some) for some in (bare_us[WARM_UP : WARM_UP + 1000], bare_us[-1000:]))
    reference = f"of {READS:,} reads the first 1,000 {first:.0f} us, the last {last:.0f} us; bare {bare_first:.0f} and {bare_last:.0f} us"
    return report.row("read latency drift", last / first / (bare_last / bare_first), "times", reference=reference, at_most=1.05)


def _us(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return 1e6 * (time.perf_counter() - begin)
