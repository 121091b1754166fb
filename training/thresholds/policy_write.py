"""The way of solved thresholds into policy.yaml: whole or not at all, one writer at a time, over nobody's edit."""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from features.core.product import Product
from features.ingest.durable import flush_folder, is_left_behind
from training.thresholds.errors import PolicyTextError
from training.thresholds.policy_text import replaced

_ANY_WRITE = 0o222
_BY_HAND = "run it without --write and put the printed lines into it by hand"


def require_writable(file: Path, product: Product) -> None:
    """Refuse now what `write_thresholds` would refuse when everything is solved.

    Raises
    ------
    PolicyTextError
        If the file may be written by nobody.
    DeclarationError
        If it is missing, or no policy of the product: a file that is wrong already is not ours to touch.
    """
    from serving.policy_file import load_policy

    load_policy(file, product)
    if not file.stat().st_mode & _ANY_WRITE:
        raise PolicyTextError(f"{file}: found a file that is read-only, expected one that may be written; chmod u+w it, or {_BY_HAND}")


def write_thresholds(file: Path, product: Product, risk_threshold: float, segment_thresholds: Mapping[str, float]) -> str:
    """Replace the thresholds of a policy file, whole or not at all; returns the new policy's hash.

    The new text is checked as a policy of the product before it takes the old one's place in one step. Of two writers one waits for the
    other; a link stays a link, to a file that has changed.

    Raises
    ------
    PolicyTextError, DeclarationError
        If the file cannot be written, was changed meanwhile, or the new text would be no such policy; the file is as it was.
    """
    require_writable(file, product)
    file = file.resolve()  # of a link: what it leads to
    try:
        with _alone(file):
            return _replace(file, product, risk_threshold, segment_thresholds)
    except OSError as exc:
        raise PolicyTextError(f"{file}: cannot be written ({exc.strerror or exc}), it is as it was; mend that, or {_BY_HAND}") from exc


def _replace(file: Path, product: Product, risk_threshold: float, segment_thresholds: Mapping[str, float]) -> str:
    from serving.policy_file import load_policy

    before = file.read_bytes()
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        _write(unfinished, replaced(before.decode("utf-8"), risk_threshold, segment_thresholds))
        policy = load_policy(unfinished, product)
        if policy.risk_threshold != risk_threshold or dict(policy.segment_thresholds) != dict(segment_thresholds):
            raise PolicyTextError(f"{file}: the edited text does not say what was solved; put the printed lines into it by hand")
        shutil.copymode(file, unfinished)
        if file.read_bytes() != before:
            raise PolicyTextError(f"{file}: found that somebody changed it meanwhile, expected the text that was read; run it again")
        unfinished.replace(file)
        flush_folder(file.parent)
    finally:
        unfinished.unlink(missing_ok=True)
    return str(policy.hash)


def _write(file: Path, text: str) -> None:
    with file.open("wb") as sink:
        sink.write(text.encode("utf-8"))
        sink.flush()
        os.fsync(sink.fileno())


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Keep other writers out of the file's folder, and clear away what killed ones left of this file."""
    handle = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # let go when it is closed, also by a kill
        for left in file.parent.glob(f".{glob.escape(file.name)}.*"):
            if is_left_behind(left):
                left.unlink(missing_ok=True)
        yield
    finally:
        os.close(handle)
