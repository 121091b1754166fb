"""``run.json``: where what is running now can be reached, for commands started beside it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Endpoints of one running installation."""

    pid: int  # of the process that started it all and ends it all
    redis_url: str
    api_url: str | None = None


def write_run_file(file: Path, running: Running) -> None:
    """Write the file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(asdict(running), indent=2) + "\n")
    temporary.replace(file)


def read_run_file(file: Path) -> Running | None:
    """Read what runs; None if nothing does, also where the process that wrote the file has died without removing it.

    Examples
    --------
    >>> read_run_file(Path("/nowhere/run.json")) is None
    True
    """
    try:
        running = Running(**json.loads(file.read_text()))
        os.kill(running.pid, 0)  # signal 0 asks whether the process exists
    except (OSError, ValueError, TypeError):
        return None
    return running
