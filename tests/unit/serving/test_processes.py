"""A child that is ended takes everything it started with it, wherever that has gone."""

from __future__ import annotations

import os
import time

import psutil
import pytest

from serving.cli.processes import start

STARTS_ANOTHER = """
import signal, subprocess, sys
sleeper = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
other = subprocess.Popen([sys.executable, "-c", sleeper], start_new_session=True, stdout=subprocess.PIPE)
other.stdout.readline()
print(other.pid, flush=True)
signal.pause()
"""


@pytest.fixture
def child(tmp_path):
    """A child that starts another one in a session of its own, as BentoML does; the other one does not listen to SIGTERM."""
    (tmp_path / "starts_another.py").write_text(STARTS_ANOTHER)
    child = start("parent", "starts_another", [], environment={**os.environ, "PYTHONPATH": str(tmp_path)}, logs_dir=tmp_path)
    child.await_ready(lambda: child.log.read_text().endswith("\n"), deadline_s=60)
    yield child
    child.stop()


def test_what_a_child_started_in_another_session_ends_with_it(child):
    other = psutil.Process(int(child.log.read_text()))
    child.stop()
    assert not child.is_running
    assert not other.is_running() or other.status() == psutil.STATUS_ZOMBIE  # whoever adopted it may not have looked yet
    child.stop()  # again: nothing happens


def test_what_has_been_asked_to_end_already_is_known_all_the_same(child):
    other = psutil.Process(int(child.log.read_text()))
    child.ask_to_end()
    child.process.wait(timeout=60)
    child.stop()
    assert not other.is_running() or other.status() == psutil.STATUS_ZOMBIE


def test_what_does_not_listen_while_it_starts_is_not_waited_for_long(tmp_path):
    (tmp_path / "deaf.py").write_text(
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
    )
    child = start("deaf", "deaf", [], environment={**os.environ, "PYTHONPATH": str(tmp_path)}, logs_dir=tmp_path)

    def interrupted():
        if child.log.read_text():
            raise KeyboardInterrupt
        return False

    usual_s = child.grace_s
    with pytest.raises(KeyboardInterrupt):
        child.await_ready(interrupted, deadline_s=60)
    began = time.monotonic()
    child.stop()
    assert time.monotonic() - began < usual_s / 2
    assert not child.is_running


def test_once_it_was_ready_it_has_its_time_to_end(child):
    usual_s = child.grace_s
    child.await_ready(lambda: True, deadline_s=60)
    assert child.grace_s == usual_s
