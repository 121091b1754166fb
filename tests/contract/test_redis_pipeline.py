"""Many commands in one round trip: one that is refused costs no other its reply, and a reply is never taken for another command's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from serving.adapters.redis_ledger import connect
from serving.adapters.redis_pipeline import pipelined
from serving.cli.processes import free_port


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with connect(redis_url, timeout_ms=200) as client:
        client.flushdb()
        yield client


def test_a_refused_command_is_its_own_reply(client: redis.Redis) -> None:
    first, refused, last = pipelined(client, [("SET", "a", 1), ("INCR", "a", "too", "many"), ("GET", "a")])
    assert (first, last) == (b"OK", b"1")
    assert isinstance(refused, redis.ResponseError)


def test_nothing_asked_nothing_sent() -> None:
    assert pipelined(redis.Redis(port=1), []) == []


def test_a_connection_that_the_server_closed_is_replaced(client: redis.Redis) -> None:
    pipelined(client, [("PING",)])
    with redis.Redis.from_url(client_url(client)) as other:
        for known in other.client_list(_type="normal"):
            if int(known["id"]) != other.client_id():
                other.client_kill_filter(_id=known["id"])
    assert pipelined(client, [("ECHO", "again")]) == [b"again"]


def test_late_replies_are_not_taken_for_those_of_the_next_call(client: redis.Redis) -> None:
    with pytest.raises(redis.TimeoutError):
        pipelined(client, [("ECHO", "early"), ("BLPOP", "nothing", "0.5"), ("ECHO", "late")])
    assert pipelined(client, [("ECHO", "mine")]) == [b"mine"]


def test_a_server_that_is_not_there_is_an_error() -> None:
    with connect(f"redis://127.0.0.1:{free_port()}") as client, pytest.raises(redis.ConnectionError):
        pipelined(client, [("PING",)])


def test_threads_do_not_share_a_connection(client: redis.Redis) -> None:
    together = threading.Barrier(4)

    def ask(number: int) -> list[list[bytes]]:
        together.wait(timeout=10)
        return [pipelined(client, [("ECHO", f"{number}-{each}"), ("CLIENT", "ID")]) for each in range(50)]

    with ThreadPoolExecutor(max_workers=4) as threads:
        for number, answers in enumerate(threads.map(ask, range(4))):
            assert [answer[0] for answer in answers] == [f"{number}-{each}".encode() for each in range(50)]


def client_url(client: redis.Redis) -> str:
    where = client.connection_pool.connection_kwargs
    return f"redis://{where['host']}:{where['port']}"
