"""Child processes of the command line: started with their own log, waited for, ended with everything they started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

_POLL_S = 0.1
_GRACE_S = 15.0
_GRACE_BEFORE_READY_S = 2.0  # nobody was promised anything yet, and imports do not listen
_TAIL_LINES = 15


class ProcessError(Exception):
    """A child process ended or stayed silent; the message ends with its log."""


@dataclass(slots=True, kw_only=True)
class Child:
    """One running child in a process group of its own, so that Ctrl-C reaches us alone and we end it in order."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes]
    grace_s: float = _GRACE_S  # between asking it to end and killing it
    _ending: list[psutil.Process] | None = None  # once it was asked to end: what it had started by then

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def check(self) -> None:
        """Raise `ProcessError` if it has ended."""
        if not self.is_running:
            raise ProcessError(f"the {self.name} ended with code {self.process.returncode}; {self.last_words()}")

    def restart(self) -> None:
        """Start it again after it has ended; its log goes on."""
        self._signal(signal.SIGKILL)  # what it started and left behind
        self._ending = None
        self.process = _spawn(self.command, environment=self.environment, log=self.log, mode="ab")

    def last_words(self) -> str:
        """Say where its log is and how it ends."""
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
        return f"its log ({self.log}) ends:\n{tail}"

    def await_ready(self, is_ready: Callable[[], bool], *, deadline_s: float) -> None:
        """Wait until ``is_ready``; raises `ProcessError` when the child ends before or the deadline passes."""
        deadline, grace_s = time.monotonic() + deadline_s, self.grace_s
        self.grace_s = _GRACE_BEFORE_READY_S
        while not is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise ProcessError(f"the {self.name} was not ready within {deadline_s:g} s; {self.last_words()}")
            time.sleep(_POLL_S)
        self.grace_s = grace_s

    def ask_to_end(self) -> None:
        """Ask it to end, once, and wait for nothing: who ends several asks all of them first."""
        if self._ending is None:
            self._ending = _descendants(self.process.pid)  # BentoML's have sessions of their own: later nobody can tell whose they were
            self._signal(signal.SIGTERM)

    def stop(self) -> None:
        """End it and everything it started: asked first, killed after a grace or at a second Ctrl-C."""
        self.ask_to_end()
        try:
            self.process.wait(timeout=self.grace_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            started = [*(self._ending or []), *_descendants(self.process.pid)]  # also what it started meanwhile
            self._signal(signal.SIGKILL)  # what is left of the group, if anything is
            self.process.wait()
            _kill(started)

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return  # the whole group has ended


def _descendants(pid: int) -> list[psutil.Process]:
    """Every process that it started, and those that these did."""
    try:
        found: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return found


def _kill(processes: Sequence[psutil.Process]) -> None:
    """Kill those that still run; a process that has got the number of one meanwhile is another."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=_GRACE_S)


def start(name: str, module: str, arguments: Sequence[str], *, environment: Mapping[str, str], logs_dir: Path) -> Child:
    """Start ``python -m module`` with this interpreter; its output goes to ``<logs_dir>/<name>.log``."""
    logs_dir.mkdir(parents=True, exist_ok=True)
    log = logs_dir / f"{name}.log"
    command = (sys.executable, "-m", module, *arguments)
    process = _spawn(command, environment=environment, log=log, mode="wb")
    return Child(name=name, command=command, environment=environment, log=log, process=process)


def _spawn(command: Sequence[str], *, environment: Mapping[str, str], log: Path, mode: Literal["wb", "ab"]) -> subprocess.Popen[bytes]:
    with log.open(mode) as sink:
        return subprocess.Popen(  # noqa: S603 - our own modules, no shell
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def free_port() -> int:
    """Find a loopback port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
