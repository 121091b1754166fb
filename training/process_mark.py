"""Which process makes a run: a mark that survives it, so that others can tell whether it still lives."""

from __future__ import annotations

import functools
import hashlib
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

PROCESS = "stillhere.process"
"""Tag of a run: the process that makes it, as `mark` spells it."""

_SAME_START_S = 0.05  # one tick of the kernel's clock is 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One process among all that ever ran anywhere.

    Examples
    --------
    >>> Mark.read("ada-3f9a1b2c 4711 5d0c1e2f 9127.35")
    Mark(place='ada-3f9a1b2c', pid=4711, boot='5d0c1e2f', started_s=9127.35)
    >>> str(_), Mark.read("somebody's own words") is None
    ('ada-3f9a1b2c 4711 5d0c1e2f 9127.35', True)
    """

    place: str  # host, and where it has several, the set of processes in it: whoever is elsewhere cannot see the process
    pid: int
    boot: str  # which start of the host
    started_s: float  # seconds from that start on; no clock that is set changes it

    def __str__(self) -> str:
        return f"{self.place} {self.pid} {self.boot} {self.started_s:.2f}"

    @classmethod
    def read(cls, text: str) -> Mark | None:
        """Read a mark; None if it is none."""
        with suppress(ValueError):
            place, pid, boot, started_s = text.split()
            return cls(place=place, pid=int(pid), boot=boot, started_s=float(started_s))
        return None


def mark() -> dict[str, str]:
    """The tag that says which process makes a run: this one."""
    return {PROCESS: str(Mark(place=here(), pid=os.getpid(), boot=_boot(), started_s=_started_s(psutil.Process())))}


def is_gone(text: str) -> bool:
    """Whether the marked process ran here and runs no more; False for one that is elsewhere, and for whatever is no mark.

    Examples
    --------
    >>> is_gone(mark()[PROCESS]), is_gone("elsewhere 4711 5d0c1e2f 9127.35"), is_gone(f"{here()} 4711 before 9127.35")
    (False, False, True)
    """
    marked = Mark.read(text)
    if marked is None or marked.place != here():
        return False
    if marked.boot != _boot():
        return True
    try:
        process = psutil.Process(marked.pid)
        return abs(_started_s(process) - marked.started_s) > _SAME_START_S or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


@functools.cache
def here() -> str:
    """Name this host, told from others of that name by its machine id and its namespace of processes: a container has one of its own."""
    own = _read("/etc/machine-id")
    with suppress(OSError):
        own += str(Path("/proc/self/ns/pid").readlink())
    return f"{'-'.join(socket.gethostname().split())}-{hashlib.sha256(own.encode()).hexdigest()[:8]}"


@functools.cache
def _boot() -> str:
    return _read("/proc/sys/kernel/random/boot_id")[:8] or "unknown"


def _started_s(process: psutil.Process) -> float:
    return float(process.create_time() - psutil.boot_time())


def _read(path: str) -> str:
    with suppress(OSError):
        return Path(path).read_text().strip()
    return ""
