"""Whether the process that began a run is gone: said only where that can be seen, and never of a living one."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from training.process_mark import PROCESS, Mark, is_gone, mark


def mine() -> Mark:
    found = Mark.read(mark()[PROCESS])
    assert found is not None
    return found


def mark_of(process: subprocess.Popen[str]) -> str:
    """What the process says of itself."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def begin() -> subprocess.Popen[str]:
    script = "import sys; from training.process_mark import *; print(mark()[PROCESS], flush=True); sys.stdin.read()"
    return subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_process_is_gone_from_the_moment_it_is_killed_also_before_somebody_waited_for_it() -> None:
    with begin() as process:
        said = mark_of(process)
        assert not is_gone(said)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it is dead, and still in the table
        assert is_gone(said)
        process.wait()
        assert is_gone(said)


@pytest.mark.parametrize(
    ("changed", "gone"),
    [
        ({}, False),
        ({"place": "elsewhere-0a1b2c3d"}, False),
        ({"started_s": 0.5}, True),
        ({"boot": "another"}, True),
        ({"pid": 2**22 + 1}, True),
    ],
    ids=["itself", "another host", "its number belongs to another now", "the host was started again", "no such process"],
)
def test_only_what_ran_here_and_runs_no_more_is_gone(changed: dict[str, object], *, gone: bool) -> None:
    assert is_gone(str(replace(mine(), **changed))) is gone


def test_what_is_no_mark_is_not_gone() -> None:
    for text in ("", "somebody", f"{mine().place} many 5d0c1e2f 1.0"):
        assert not is_gone(text)
