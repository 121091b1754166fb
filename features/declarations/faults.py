"""What is wrong in a declaration, as values; and the one error that carries them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

_LONGEST_QUOTE = 60
_MOST_LISTED, _MOST_ALIKE = 24, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong at one place.

    Examples
    --------
    >>> str(Fault(path="label.horizon", found='"7 days"', expected="a duration such as 7d", advice="write 7d"))
    'label.horizon: found "7 days", expected a duration such as 7d; write 7d'
    """

    path: str  # inside the file: features[3].windows[0]; "" for the file as a whole
    found: str
    expected: str
    advice: str = ""

    def __str__(self) -> str:
        """One line for people."""
        place = f"{self.path}: " if self.path else ""
        advice = f"; {self.advice}" if self.advice else ""
        return f"{place}found {self.found}, expected {self.expected}{advice}"


class DeclarationError(ValueError):
    """A declaration file cannot be used; every fault in it is named, one a line.

    Attributes
    ----------
    file
        The file, as it was asked for.
    faults
        All of them, in the order of the file's keys.
    """

    def __init__(self, file: Path, faults: Sequence[Fault]) -> None:
        self.file = file
        self.faults = tuple(faults)
        super().__init__("\n".join(f"{file}: {fault}" for fault in self.faults))


def quote(value: object) -> str:
    """Write a found value as it would stand in the file, short enough for a message.

    Examples
    --------
    >>> quote("7 days"), quote(None), quote(True), quote([1, 2]), quote({"a": 1})
    ('"7 days"', 'nothing', 'true', 'a list of 2', 'a mapping with a')
    """
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping with " + (", ".join(str(key) for key in value) or "no keys")
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, bool | int | float | str) else repr(value)
    return text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 3] + "..."


def place(*steps: str | int) -> str:
    """Text of a path inside a file.

    Examples
    --------
    >>> place("features", 3, "windows", 0), place("kinds", "log in")
    ('features[3].windows[0]', 'kinds."log in"')
    """
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + (step if step.isidentifier() else json.dumps(step, ensure_ascii=False))
    return text


def unknown(path: str, found: str, names: Sequence[str], *, section: str) -> Fault:
    """Make the fault "this name is not declared"."""
    return Fault(
        path=path, found=quote(found), expected=one_of(names, like=found), advice=f"declare it under {section} or correct the name"
    )


def one_of(names: Sequence[str], *, like: str = "") -> str:
    """Write the choices in words; of many those that are spelt most alike.

    Examples
    --------
    >>> one_of(["login", "click"]), one_of([])
    ('one of login, click', 'nothing: none are declared')
    >>> one_of([f"count_{kind}_{days}d" for kind in ("click", "login") for days in range(1, 15)], like="count_logn_7d")
    'one of 28 names (most alike: count_login_7d, count_login_9d, count_login_8d)'
    """
    if not names:
        return "nothing: none are declared"
    if len(names) <= _MOST_LISTED:
        return "one of " + ", ".join(names)
    alike = get_close_matches(str(like), names, n=_MOST_ALIKE)
    shown = f"most alike: {', '.join(alike)}" if alike else f"{', '.join(names[:_MOST_LISTED])}, ..."
    return f"one of {len(names)} names ({shown})"
