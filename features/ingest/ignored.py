"""Fields that the wire forms do not name: they are ignored, so that senders may be newer than we are, but never without a word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from features.ingest.rejection import shown

EVENT = frozenset({"type", "event_id", "user_id", "kind", "occurred_at", "subject", "value", "session_id"})
IDENTIFY = frozenset({"type", "user_id", "occurred_at", "traits", "anonymous_id"})
ALIAS = frozenset({"type", "previous_id", "user_id", "occurred_at"})

_FIELDS = {"identify": IDENTIFY, "alias": ALIAS}
_ALIKE = 0.75
_LONGEST_NAME = 64
_MOST_LISTED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """One field that was ignored."""

    field: str
    items: int  # how many items of the request have it
    index: int  # the first of them, from 0
    message: str


def event_fields(item: Mapping[str, object]) -> frozenset[str]:
    """The fields of an item's wire form, by its ``type``; an event's where it has none."""
    item_type = item.get("type")
    return _FIELDS.get(item_type, EVENT) if isinstance(item_type, str) else EVENT


def ignored_fields(items: Iterable[tuple[object, frozenset[str]]]) -> list[Ignored]:
    """Which fields of the items are none of the fields that each may have; at most twenty, the first ones first.

    Examples
    --------
    >>> sent = {"user_id": "ada", "kind": "login", "sesion_id": "s1", "context": {"ip": "::1"}}
    >>> for found in ignored_fields([({}, EVENT), (sent, EVENT), (sent, EVENT)]):
    ...     print(found.items, found.index, found.message)
    2 1 sesion_id: no such field, ignored; did you mean session_id?
    2 1 context: no such field, ignored
    """
    counts: dict[tuple[str, frozenset[str]], list[int]] = {}
    for index, (item, fields) in enumerate(items):
        if not isinstance(item, Mapping) or item.keys() <= fields:
            continue
        for name in item:
            if name not in fields:
                counts.setdefault((name, fields), [0, index])[0] += 1
    listed = list(counts.items())[:_MOST_LISTED]
    return [_ignored(name, fields, n_items=n_items, index=index) for (name, fields), (n_items, index) in listed]


def _ignored(name: str, fields: frozenset[str], *, n_items: int, index: int) -> Ignored:
    field = shown(name)[1:-1]
    alike = get_close_matches(name, sorted(fields), n=1, cutoff=_ALIKE) if len(name) <= _LONGEST_NAME else []
    hint = f"; did you mean {alike[0]}?" if alike else ""
    return Ignored(field=field, items=n_items, index=index, message=f"{field}: no such field, ignored{hint}")
