"""What ended is started again, with its own log and a few times only."""

from __future__ import annotations

import os
import signal

import pytest
import redis

from features.adapters.embedded_redis import EmbeddedRedis, EmbeddedRedisError
from serving.cli.processes import ProcessError, start
from serving.cli.stack import Stack
from serving.cli.supervision import KeptChild, KeptRedis, watch


class Clock:
    """Stands still until it is moved."""

    now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def child(tmp_path):
    """A module that says one line and ends at once, as a child."""
    (tmp_path / "ends_at_once.py").write_text("print('out of words', flush=True); raise SystemExit(7)\n")
    child = start("worker", "ends_at_once", [], environment={**os.environ, "PYTHONPATH": str(tmp_path)}, logs_dir=tmp_path)
    yield child
    child.stop()


def test_a_child_that_ends_is_started_again_three_times_a_minute_and_then_no_more(child, capsys):
    clock = Clock()
    kept = KeptChild(child=child, clock_s=clock)
    for number in range(3):
        child.process.wait()
        clock.now_s = float(number)
        kept.check()
        assert capsys.readouterr().err == f"stillhere: the worker ended with code 7 and is started again; its log: {child.log}\n"
    child.process.wait()
    with pytest.raises(ProcessError, match=r"ended 4 times within 60 s .* its log \(.*worker\.log\) ends:\n(out of words\n?){4}$"):
        kept.check()
    clock.now_s = 60.0
    kept.check()  # the first of the three is a minute ago


def test_one_that_is_not_needed_is_given_up_loudly_and_the_rest_goes_on(child, capsys):
    kept = KeptChild(child=child, is_needed=False, clock_s=Clock())
    for _ in range(4):
        child.process.wait()
        kept.check()
    said = capsys.readouterr().err
    assert "ended 4 times within 60 s and is not started again" in said
    assert said.endswith("Everything else goes on without it.\n")
    kept.check()
    assert capsys.readouterr().err == ""
    assert not child.is_running


def test_a_child_that_runs_is_left_alone(tmp_path, capsys):
    child = start("worker", "http.server", ["0", "--bind", "127.0.0.1"], environment=os.environ, logs_dir=tmp_path)
    try:
        pid = child.process.pid
        KeptChild(child=child).check()
        assert (child.process.pid, capsys.readouterr().err) == (pid, "")
    finally:
        child.stop()


def test_a_sweep_that_ends_is_started_again_as_a_worker_is_and_ends_with_the_rest(child, tmp_path, capsys):
    runs = [start(name, "http.server", ["0", "--bind", "127.0.0.1"], environment=os.environ, logs_dir=tmp_path) for name in ("a", "b")]
    stack = Stack(api_url="http://127.0.0.1:1", service=runs[0], worker=KeptChild(child=runs[1]), sweep=KeptChild(child=child))
    try:
        child.process.wait()
        stack.check()
        assert "the worker ended with code 7 and is started again" in capsys.readouterr().err  # the name of the fixture's child
        assert stack.children == (*runs, child)
    finally:
        stack.ask_to_end()
        for one in stack.children:
            one.stop()
    assert not any(one.is_running for one in stack.children)


def kill(server):
    os.kill(server.pid, signal.SIGKILL)
    server._process.wait()


def test_a_killed_bundled_redis_is_started_again_over_its_data(tmp_path, capsys):
    with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        kept = KeptRedis(url=server.url, bundled=server, clock_s=Clock())
        kept.check()
        client.config_set("appendfsync", "always")
        client.set("kept", "yes")
        for _ in range(3):
            kill(server)
            kept.check()
            assert client.get("kept") == b"yes"
        assert capsys.readouterr().err.count("the bundled Redis has ended and is started again over its data") == 3
        kill(server)
        with pytest.raises(ProcessError, match="the bundled Redis ended 4 times within 60 s"):
            kept.check()


def test_a_bundled_redis_that_cannot_be_started_again_ends_the_watch_with_the_reason(tmp_path):
    with EmbeddedRedis(tmp_path) as server:
        kept = KeptRedis(url=server.url, bundled=server)
        kill(server)
        (tmp_path / "appendonly.aof").write_text("*3 this is no append-only file\r\n" * 100)
        with pytest.raises(EmbeddedRedisError, match="Bad file format"):
            watch(kept)


def test_a_redis_of_ones_own_is_not_ours_to_start():
    KeptRedis(url="redis://127.0.0.1:1/0").check()
