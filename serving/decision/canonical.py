"""The one way in which decisions become bytes: canonical JSON, instants in ISO 8601."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson

from features.core.event import from_us

_SHORT_BYTES = 1_024
"""Shorter ones are copied: orjson gives every text 4 kB of memory, and thousands of short ones are remembered."""


def canonical(content: Any) -> bytes:
    """Canonical JSON: keys sorted, no spaces, shortest exact floats, NaN as null.

    Examples
    --------
    >>> canonical({"b": 0.1, "a": None})
    b'{"a":null,"b":0.1}'
    """
    text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return text if len(text) > _SHORT_BYTES else bytes(memoryview(text))


def iso(at_us: int) -> str:
    """ISO 8601 in UTC, microseconds only where there are any.

    Examples
    --------
    >>> iso(1_772_366_400_000_000)
    '2026-03-01T12:00:00Z'
    """
    second, microsecond = divmod(at_us, 1_000_000)
    return f"{_second(second)}.{microsecond:06d}Z" if microsecond else f"{_second(second)}Z"


def iso_or_null(at_us: int | None) -> str | None:
    """The same; None where there is no instant."""
    return None if at_us is None else iso(at_us)


@lru_cache(maxsize=256)  # what is decided lately has its as_of in the same few seconds
def _second(second: int) -> str:
    return from_us(second * 1_000_000).isoformat()[:-_OFFSET]


_OFFSET = len("+00:00")
