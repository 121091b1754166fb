"""The part of an answer that names the fields of the request that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from features.ingest.ignored import ignored_fields


def ignored_part(items: Iterable[tuple[object, frozenset[str]]]) -> dict[str, Any]:
    """``{"ignored": [...]}``, or nothing where every field is known.

    Examples
    --------
    >>> ignored_part([({"at": 1}, frozenset({"at"}))])
    {}
    """
    found = ignored_fields(items)
    return {"ignored": [asdict(one) for one in found]} if found else {}
