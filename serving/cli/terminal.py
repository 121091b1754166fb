"""What people read: the one place that writes it, and shows the control characters that somebody's name may hold.

An id, an attribute or a text of a policy comes from outside; written as it is, one that holds ESC could clear the reader's terminal or
rename its window. JSON, which programs read, is written as it stands.
"""

from __future__ import annotations

import re
import sys
from typing import Any

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # C0 without tab and line feed, DEL, C1
_OF_A_CELL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def readable(text: str) -> str:
    r"""Control characters by their codes; lines and tabs stay.

    Examples
    --------
    >>> readable("A\x1b]0;pwned\x07\x9b2J\tB\n")
    'A\\x1b]0;pwned\\x07\\x9b2J\tB\n'
    """
    return _CONTROL.sub(_code, text)


def cell(text: str) -> str:
    r"""The same of lines and tabs, where these part one value from the next.

    Examples
    --------
    >>> cell("ada\tsend\n")
    'ada\\x09send\\x0a'
    """
    return _OF_A_CELL.sub(_code, text)


def readable_parts(value: Any) -> Any:
    r"""Every text of a value as JSON has it, keys too.

    Examples
    --------
    >>> readable_parts({"title": "Hi \x1bc", "n": [1, None, "\x7f"]})
    {'title': 'Hi \\x1bc', 'n': [1, None, '\\x7f']}
    """
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, dict):
        return {readable(key): readable_parts(part) for key, part in value.items()}
    return [readable_parts(part) for part in value] if isinstance(value, list) else value


def say(text: str) -> None:
    """Write to stdout for people; the text brings its line's end."""
    sys.stdout.write(readable(text))


def say_aside(text: str) -> None:
    """Write to stderr for people."""
    sys.stderr.write(readable(text))


def warn(message: str) -> None:
    """Write one message to stderr, and from whom it is."""
    say_aside(f"stillhere: {message}\n")


def print_json(line: str) -> None:
    """Write one line of JSON to stdout, as it stands."""
    sys.stdout.write(line.removesuffix("\n") + "\n")


def _code(match: re.Match[str]) -> str:
    return f"\\x{ord(match[0]):02x}"
