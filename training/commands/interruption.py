"""A command that is told to stop, by Ctrl-C or by ``kill``, stops in order: its run says why, and nothing half-done stays."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import current_thread, main_thread
from types import FrameType
from typing import Any

_TOLD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(slots=True)
class _Interruption:
    """What the process was told first."""

    number: int | None = None

    def handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the interface of signal
        """Interrupt, once: Ctrl-C on `mlflow run` is followed by its own SIGTERM, which must not end the ending. A second Ctrl-C does."""
        if self.number is None or number == signal.SIGINT:
            self.number = self.number or number
            raise KeyboardInterrupt(f"interrupted ({signal.Signals(number).name})")


@contextmanager
def stopping_in_order() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into what Ctrl-C is, while the block runs; an interrupted block ends the process.

    Handlers are the block's alone: afterwards those of before are back. A signal that is ignored, as under ``nohup``, stays so.

    Raises
    ------
    SystemExit
        If the block was interrupted: 143 after SIGTERM, 129 after SIGHUP, 130 after Ctrl-C; the reason is on stderr.
    """
    interruption = _Interruption()
    before = _listen(interruption)
    try:
        yield
    except KeyboardInterrupt:
        number = interruption.number or signal.SIGINT
        sys.stderr.write(f"stopped: interrupted ({signal.Signals(number).name}); its MLflow run, if it had begun, is FAILED and says so\n")
        sys.exit(128 + number)
    finally:
        for told, handler in before.items():
            signal.signal(told, handler)


def _listen(interruption: _Interruption) -> dict[signal.Signals, Any]:
    """Take over the signals that are not ignored; returns the handlers of before."""
    if current_thread() is not main_thread():  # only there may it be set, and only there does it arrive
        return {}
    before = {number: signal.getsignal(number) for number in _TOLD}
    heard = {number: handler for number, handler in before.items() if handler not in {signal.SIG_IGN, None}}
    for number in heard:
        signal.signal(number, interruption.handle)
    return heard
