"""Scalars and lines of YAML as our declarations read it back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from textwrap import wrap

import orjson

from features.core.catalogue import window_text

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_RESERVED = {"true", "false", "null"}
_WIDTH = 138


def scalar(text: str) -> str:
    """The text as a YAML scalar, quoted where it could be read as something else.

    Examples
    --------
    >>> scalar("user_id"), scalar("17"), scalar("Page: View"), scalar("true"), scalar("")
    ('user_id', '"17"', '"Page: View"', '"true"', '""')
    """
    is_plain = _PLAIN.fullmatch(text) is not None and text.lower() not in _RESERVED
    return text if is_plain else orjson.dumps(text).decode()


def flow(items: Iterable[str]) -> str:
    """A flow sequence; a single item stands for itself.

    Examples
    --------
    >>> flow(["1d"]), flow(["1d", "7d"])
    ('1d', '[1d, 7d]')
    """
    listed = list(items)
    return listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]"


def durations(windows: Iterable[timedelta]) -> str:
    """Windows as a flow sequence."""
    return flow(window_text(window) for window in windows)


def comment(text: str, *, indent: int = 0) -> list[str]:
    """The text as comment lines.

    Examples
    --------
    >>> comment("Guessed.", indent=2)
    ['  # Guessed.']
    """
    prefix = " " * indent + "# "
    clean = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return [prefix + line for line in wrap(clean, _WIDTH - len(prefix))]
