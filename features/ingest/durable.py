"""Files that are whole or absent, even after a power cut, and what a writer that was killed leaves of them.

Whoever writes a file that readers list writes it as ``.<name>.<process id>`` first, then renames it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_UNFINISHED = re.compile(r"\..+[.-]([0-9]+)(?:-[0-9]+)?")  # a thread may follow the process


def flush_folder(folder: Path) -> None:
    """Make a folder's entries survive a power cut: what was created or renamed in it before this call."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_left_behind(path: Path) -> bool:
    """Whether a file is one that its writer did not finish, and never will: the process has ended.

    Examples
    --------
    >>> is_left_behind(Path(f".part-1.parquet.{os.getpid()}")), is_left_behind(Path("part-1.parquet"))
    (False, False)
    """
    match = _UNFINISHED.fullmatch(path.name)
    return match is not None and not is_alive(int(match[1]))


def is_alive(process_id: int) -> bool:
    """Whether a process of this machine runs, under whatever user."""
    try:
        os.kill(process_id, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
