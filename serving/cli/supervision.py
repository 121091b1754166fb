"""Keeps what ``serve`` and ``up`` started alive: what ends is started again, a few times; then everything ends, with the reason."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from serving.cli.processes import Child, ProcessError
from serving.cli.terminal import warn

if TYPE_CHECKING:
    from features.adapters.embedded_redis import EmbeddedRedis

_CHECK_S = 1.0


class Watched(Protocol):
    """Something that has to keep running."""

    def check(self) -> None:
        """Start it again if it has ended; raises `ProcessError` or `StoreError` when that is no use."""


def watch(*parts: Watched) -> None:
    """Check every part, each second, until Ctrl-C or until one cannot be kept running."""
    never = threading.Event()
    while not never.wait(_CHECK_S):
        for part in parts:
            part.check()


@dataclass(slots=True, kw_only=True)
class Restarts:
    """How often something may be started again: so often within a while, because what ends at once ends again.

    Examples
    --------
    >>> restarts = Restarts(at_most=2, within_s=60.0)
    >>> for now_s in (0.0, 1.0):
    ...     restarts.count("the worker", now_s, advice="see its log")
    >>> restarts.count("the worker", 2.0, advice="see its log")
    Traceback (most recent call last):
        ...
    serving.cli.processes.ProcessError: the worker ended 3 times within 60 s and is not started again; see its log
    """

    at_most: int = 3
    within_s: float = 60.0
    _made_s: list[float] = field(default_factory=list)

    def count(self, what: str, now_s: float, *, advice: str) -> None:
        """Count one that is made now.

        Raises
        ------
        ProcessError
            If there were as many as may be; ``advice`` ends the message.
        """
        self._made_s = [made_s for made_s in self._made_s if now_s - made_s < self.within_s]
        if len(self._made_s) >= self.at_most:
            raise ProcessError(f"{what} ended {self.at_most + 1} times within {self.within_s:g} s and is not started again; {advice}")
        self._made_s.append(now_s)


@dataclass(slots=True, kw_only=True)
class KeptChild:
    """A child that is started again when it ends.

    Parameters
    ----------
    is_needed
        Whether everything ends when it ends again and again; else that is said, and the rest goes on without it.
    """

    child: Child
    is_needed: bool = True
    restarts: Restarts = field(default_factory=Restarts)
    clock_s: Callable[[], float] = time.monotonic
    _is_given_up: bool = False

    def check(self) -> None:
        """Start the child again if it has ended.

        Raises
        ------
        ProcessError
            If one that is needed ends again and again; the message ends with its log.
        """
        if self.child.is_running or self._is_given_up:
            return
        try:
            self._start_again()
        except ProcessError as exc:
            if self.is_needed:
                raise
            self._is_given_up = True
            warn(f"{exc}\nEverything else goes on without it.")

    def _start_again(self) -> None:
        child = self.child
        self.restarts.count(f"the {child.name}", self.clock_s(), advice=child.last_words())
        warn(f"the {child.name} ended with code {child.process.returncode} and is started again; its log: {child.log}")
        child.restart()


@dataclass(slots=True, kw_only=True)
class KeptRedis:
    """The Redis that everything uses: the bundled one is started again over its data when it ends; one of your own is yours to keep."""

    url: str
    bundled: EmbeddedRedis | None = None
    restarts: Restarts = field(default_factory=Restarts)
    clock_s: Callable[[], float] = time.monotonic

    def check(self) -> None:
        """Start the bundled Redis again if it has ended, on the same port.

        Raises
        ------
        ProcessError
            If it ends again and again.
        StoreError
            If it cannot be started.
        """
        if self.bundled is None or self.bundled.is_running:
            return
        log = self.bundled.directory / "redis.log"
        advice = f"somebody ends it, or the machine lacks memory; its log: {log}"
        self.restarts.count("the bundled Redis", self.clock_s(), advice=advice)
        warn(f"the bundled Redis has ended and is started again over its data; its log: {log}")
        self.bundled.revive()
