"""The process that asks MLflow (`serving.fetcher`), one for all services of an installation, seen from a service.

MLflow takes seconds to import and holds the interpreter while it works: neither may happen in a process that decides.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from typing import IO

from features.ingest.durable import is_alive

_LOOK = "registry.json"
_ELECTION = ".fetcher.lock"
_AGAIN_S = 60.0  # between two starts of a process that ends
_POLL_S = 0.05
_GRACE_S = 5.0
_OF_THE_SERVICE = ("PROMETHEUS_MULTIPROC_DIR", "PROMETHEUS_MULTIPROCESS_DIR")  # the fetcher has no figures to add


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryLook:
    """What the last look at MLflow came to."""

    pid: int  # of the process that looked
    fault: str | None


def write_look(bundles_dir: Path, look: RegistryLook) -> None:
    """Remember it in ``registry.json`` of the cache folder."""
    bundles_dir.mkdir(parents=True, exist_ok=True)
    temporary = bundles_dir / f"{_LOOK}.{look.pid}"
    temporary.write_text(json.dumps(asdict(look)))
    temporary.replace(bundles_dir / _LOOK)


def read_look(bundles_dir: Path) -> RegistryLook | None:
    """Read it back; None where nobody looked, or the file was damaged.

    Examples
    --------
    >>> read_look(Path("/nowhere")) is None
    True
    """
    try:
        return RegistryLook(**json.loads((bundles_dir / _LOOK).read_text()))
    except (OSError, ValueError, TypeError):
        return None


@dataclass(slots=True, kw_only=True)
class RegistryProcess:
    """Keeps one fetcher running: of all services over one cache folder, the one that holds the folder's lock starts it.

    Where that service ends, the kernel frees the lock, its fetcher ends with it, and another service takes over.
    """

    product: str
    bundles_dir: Path
    every_s: float  # 0: our own fetcher, which asks once
    is_there: Callable[[], bool]  # whether there is a registry to ask
    clock_s: Callable[[], float] = time.monotonic
    _lock: IO[str] | None = None
    _process: subprocess.Popen[bytes] | None = None
    _started_s: float = 0.0

    def keep(self) -> None:
        """Start the fetcher where nobody else has, and again where it ended; takes milliseconds."""
        if not self.is_there() or not self._is_elected():
            return
        if self._process is not None and not self._may_start_again(self._process):
            return
        if self._process is not None:
            _end(self._process)
        self._started_s = self.clock_s()
        self._process = self._start()
        self._announce(self._process.pid)

    def wait_for_first_look(self, deadline_s: float) -> None:
        """Wait until the fetcher of the moment, ours or another service's, has looked once; not past the deadline."""
        until_s, never = self.clock_s() + deadline_s, Event()
        while self.is_there() and not self._has_looked() and not self._has_ended() and self.clock_s() < until_s:
            never.wait(_POLL_S)

    def fault(self) -> str | None:
        """What is wrong with following the registry, if anything."""
        if self._process is not None and self._has_ended() and self._process.returncode != 0:
            return f"the process that asks MLflow ended with code {self._process.returncode}; it is started again, see the service's log"
        look = read_look(self.bundles_dir)
        return look.fault if look is not None and self._counts(look) else None

    def close(self) -> None:
        """End our fetcher, and let another service have one."""
        if self._process is not None:
            _end(self._process)
            self._process = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _is_elected(self) -> bool:
        if self.every_s == 0 or self._lock is not None:
            return True
        self.bundles_dir.mkdir(parents=True, exist_ok=True)
        lock = (self.bundles_dir / _ELECTION).open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        lock.truncate(0)
        self._lock = lock
        return True

    def _may_start_again(self, process: subprocess.Popen[bytes]) -> bool:
        """Where it ended by its own choice at once: its database is another one; else after a while: what ends at once ends again."""
        return process.poll() == 0 or (process.returncode is not None and self.clock_s() - self._started_s >= _AGAIN_S)

    def _announce(self, pid: int) -> None:
        if self._lock is not None:
            self._lock.truncate(0)
            self._lock.write(str(pid))
            self._lock.flush()

    def _has_looked(self) -> bool:
        """Whether the last look is one of our fetcher, or of the one that the lock names."""
        look = read_look(self.bundles_dir)
        fetcher = (self.bundles_dir / _ELECTION).read_text() if self._process is None else str(self._process.pid)
        return look is not None and fetcher == str(look.pid)

    def _counts(self, look: RegistryLook) -> bool:
        """Whether it is no look of a time long past: the process that looked is ours, or still runs."""
        return (self._process is not None and self._process.pid == look.pid) or is_alive(look.pid)

    def _has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if name not in _OF_THE_SERVICE}
        return subprocess.Popen(  # noqa: S603 - our own module, no shell
            [sys.executable, "-m", "serving.fetcher", self.product, str(self.bundles_dir), str(self.every_s)],
            env=environment,
            stdin=subprocess.PIPE,  # never written to: it ends when we do
            stdout=subprocess.DEVNULL,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None  # a pipe
    process.stdin.close()
    process.terminate()
    try:
        process.wait(timeout=_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
