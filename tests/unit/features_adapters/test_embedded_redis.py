"""The bundled Redis: durable, one launcher a directory, and no harm from an unclean end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from features.adapters import embedded_redis
from features.adapters.durability import check_durable, durability_problems
from features.adapters.embedded_redis import EmbeddedRedis, EmbeddedRedisError, read_endpoint
from features.ports import StoreError
from tests.following_world import until

ROOT = Path(__file__).parents[3]

LAUNCHER = """
import sys
from pathlib import Path
import redis
from features.adapters.embedded_redis import EmbeddedRedis

server = EmbeddedRedis(Path(sys.argv[1]))
server.start()
redis.Redis.from_url(server.url).set("kept", "yes")
print(server.pid, flush=True)
sys.stdin.read()
"""


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def value_in(server: EmbeddedRedis) -> bytes | None:
    with redis.Redis.from_url(server.url) as client:
        return client.get("kept")


def test_it_listens_on_loopback_alone_and_is_durable(redis_server):
    with redis.Redis.from_url(redis_server.url) as client:
        settings = {name: client.config_get(name)[name] for name in ("bind", "appendonly", "appendfsync", "maxmemory-policy", "save")}
        assert settings == {
            "bind": "127.0.0.1",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "save": "",
        }
        assert durability_problems(client) == ()
        check_durable(client)


def test_a_stopped_server_is_gone_and_its_data_come_back(tmp_path):
    server = EmbeddedRedis(tmp_path)
    server.start()
    server.start()  # does nothing
    pid = server.pid
    with redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")
    server.stop()
    server.stop()  # does nothing
    assert not is_alive(pid)
    assert (server.pid, server.port, read_endpoint(tmp_path)) == (0, 0, None)
    with server:
        assert value_in(server) == b"yes"
        assert read_endpoint(tmp_path) == server.url


def test_a_killed_server_leaves_its_data_and_stale_files_that_do_not_matter(tmp_path):
    with EmbeddedRedis(tmp_path) as server:
        with redis.Redis.from_url(server.url) as client:
            client.set("kept", "yes")
        os.kill(server.pid, signal.SIGKILL)
    (tmp_path / "server.json").write_text(json.dumps({"url": "redis://127.0.0.1:1/0", "pid": 1}))
    with EmbeddedRedis(tmp_path) as server:
        assert value_in(server) == b"yes"


def test_a_directory_has_one_launcher_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/stillhere", "import", "events.csv", *["more.csv"] * 100])
    with EmbeddedRedis(tmp_path):
        with pytest.raises(EmbeddedRedisError) as refused:
            EmbeddedRedis(tmp_path).start()
        assert f"{tmp_path} is in use by process {os.getpid()} (stillhere import events.csv more.csv" in str(refused.value)
        assert "...): one process at a time" in str(refused.value)
        assert "wait until that one has ended, or end it, or use another state directory" in str(refused.value)
    with EmbeddedRedis(tmp_path):
        pass


def test_a_killed_server_is_revived_on_its_port_with_its_data(tmp_path):
    with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")
        client.config_set("appendfsync", "always")  # so that the second key needs no second to be durable
        client.set("last", "yes")
        killed, url = server.pid, server.url
        server.revive()  # does nothing: it runs
        assert server.pid == killed
        os.kill(killed, signal.SIGKILL)
        server._process.wait()
        assert not server.is_running
        server.revive()
        assert server.is_running
        assert (server.pid != killed, server.url, read_endpoint(tmp_path)) == (True, url, url)
        assert client.mget("kept", "last") == [b"yes", b"yes"]
    assert not server.is_running
    server.revive()  # does nothing: it was stopped
    assert not server.is_running


def test_a_port_taken_while_the_server_was_down_is_said(tmp_path):
    with EmbeddedRedis(tmp_path) as server:
        port = server.port
        os.kill(server.pid, signal.SIGKILL)
        server._process.wait()
        with socket.create_server(("127.0.0.1", port)), pytest.raises(EmbeddedRedisError, match=f"port {port}, on which .* was taken by"):
            server.revive()


def test_a_server_whose_launcher_was_killed_is_shut_down_and_replaced(tmp_path):
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    with launcher:
        orphan = int(launcher.stdout.readline())
        launcher.kill()
        launcher.wait()
        assert is_alive(orphan)
        with EmbeddedRedis(tmp_path) as server:
            assert server.pid != orphan
            assert value_in(server) == b"yes"


def test_a_stranger_on_the_port_of_a_stale_file_is_left_alone(redis_server, tmp_path):
    tmp_path.joinpath("server.json").write_text(json.dumps({"url": redis_server.url, "pid": redis_server.pid}))
    EmbeddedRedis(tmp_path)._shut_down_orphan()
    assert is_alive(redis_server.pid)
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.ping()


class LateRedis(EmbeddedRedis):
    """Its first port is taken before the server can have it."""

    taken_port = 0

    def _free_port(self) -> int:
        port, self.taken_port = self.taken_port, 0
        return port or super()._free_port()


def test_a_port_taken_in_between_is_no_problem(tmp_path, redis_server):
    late = LateRedis(tmp_path)
    late.taken_port = redis_server.port
    with late as server:
        assert server.port != redis_server.port


def test_a_server_that_cannot_start_says_why(tmp_path):
    (tmp_path / "appendonly.aof").write_text("*3 this is no append-only file\r\n" * 100)
    with pytest.raises(EmbeddedRedisError, match=r"ended at once with code 1; its log ends:\n(.|\n)*Bad file format"):
        EmbeddedRedis(tmp_path).start()
    (tmp_path / "appendonly.aof").unlink()
    with EmbeddedRedis(tmp_path):
        pass


@pytest.mark.parametrize(
    ("setting", "value", "problem"),
    [("maxmemory-policy", "allkeys-lru", "maxmemory-policy is allkeys-lru"), ("appendonly", "no", "appendonly is no")],
)
def test_a_redis_that_may_lose_data_is_refused(tmp_path, setting, value, problem):
    with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.config_set(setting, value)
        with pytest.raises(StoreError, match=f"Redis at 127.0.0.1:{server.port} is not durable: {problem}"):
            check_durable(client)


def test_a_redis_that_is_not_there_is_refused():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = redis.Redis(port=unused.getsockname()[1], retry=embedded_redis._no_retry())
        with client, pytest.raises(StoreError, match="does not answer INFO"):
            check_durable(client)


@pytest.fixture
def long_log(tmp_path):
    """A directory whose data take seconds to load."""
    with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        for name, value in {"auto-aof-rewrite-percentage": 0, "aof-use-rdb-preamble": "no"}.items():
            client.config_set(name, value)
        for k in range(800):  # small scripts: within one, a server that loads says nothing
            client.eval("for i = 1, 10000 do redis.call('SET', KEYS[1], i) end", 1, f"k{k}")
    return tmp_path


@pytest.mark.faults
def test_a_start_waits_for_as_long_as_the_data_load(long_log, caplog):
    with EmbeddedRedis(long_log, deadline_s=2.5) as server, redis.Redis.from_url(server.url) as client:
        assert client.get("k799") == b"10000"
    assert "is loading its data" in caplog.text


def test_a_log_that_holds_far_more_than_the_data_is_rewritten(tmp_path):
    with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.config_set("auto-aof-rewrite-percentage", 0)
        for _ in range(100):
            client.set("k", b"x" * 1_000_000)
    with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        until(lambda: client.info("persistence")["aof_current_size"] < 10_000_000)
        assert client.get("k") == b"x" * 1_000_000


@pytest.mark.faults
def test_a_launcher_killed_while_the_data_load_is_in_nobodys_way(long_log):
    (long_log / "server.json").unlink(missing_ok=True)
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCHER, str(long_log)], cwd=ROOT)
    until(lambda: read_endpoint(long_log) is not None)
    launcher.kill()
    launcher.wait()
    with EmbeddedRedis(long_log) as server, redis.Redis.from_url(server.url) as client:
        assert client.get("k799") == b"10000"


@pytest.mark.faults
def test_a_launcher_interrupted_while_the_data_load_ends_its_server_at_once(long_log):
    (long_log / "server.json").unlink(missing_ok=True)
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCHER, str(long_log)], cwd=ROOT, stderr=subprocess.DEVNULL)
    until(lambda: read_endpoint(long_log) is not None)
    pid = json.loads((long_log / "server.json").read_text())["pid"]
    launcher.send_signal(signal.SIGINT)
    launcher.wait(timeout=20)  # it would wait for the server for 30 s
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_a_damaged_log_has_lost_is_said(tmp_path, caplog):
    """A length that reaches past the end of the file is a last record to Redis, wherever it stands."""
    with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        for number in range(50):
            client.set(f"k{number}", b"x" * 1_000)
    log = tmp_path / "appendonly.aof"
    whole = log.read_bytes()
    place = whole.index(b"$1000", len(whole) // 2)
    log.write_bytes(whole[:place] + b"$91000000" + whole[place + 5 :])
    with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        assert client.dbsize() < 50
    assert "bytes were cut off" in caplog.text
