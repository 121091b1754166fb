"""Rows of declared logs, judged: each becomes wire items for `features.ingest.admission`, or a refusal that names the column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Any

import xxhash

from features.core.event import Event, to_us
from features.core.product import AttributeType, Product
from features.declarations.log import DailyCountsLog, EventsLog, ProfilesLog
from features.ingest.admission import ProfileChange, admit, admit_identify
from features.ingest.instants import instant_reader
from features.ingest.rejection import INT64_MAX, RefusedError, Rejection, shown

Judged = Event | ProfileChange | Rejection
Judge = Callable[[Mapping[str, Any]], list[Judged]]
"""From one row to what it says; an empty list says nothing."""

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN_DIGITS = 18  # as many always fit into 64 bits
_EXACT = Context(prec=60, traps=[Inexact, InvalidOperation, Overflow])
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


def event_judge(log: EventsLog, product: Product, imported_at: datetime) -> Judge:
    """Build the judge of a log with one event a row.

    An event that states no received_at was received when it occurred; none was received after ``imported_at``.
    """
    occurred_at = instant_reader(log.occurred_at)
    received_at = occurred_at if log.received_at is None else instant_reader(log.received_at)
    derived_id = _DerivedIds(log)

    def judge(values: Mapping[str, Any]) -> list[Judged]:
        occurred, received = occurred_at(values), received_at(values)
        kind = log.constant_kind if log.kind_column is None else as_text(values.get(log.kind_column))
        item = {
            "user_id": as_text(values.get(log.user_id)),
            "kind": log.kind_values.get(kind, kind) if isinstance(kind, str) else kind,
            "occurred_at": occurred,
            "subject": None if log.subject is None else as_text(values.get(log.subject)),
            "value": None if log.value is None else as_integer(values.get(log.value), log.value, log.value_multiplier),
            "session_id": None if log.session_id is None else as_text(values.get(log.session_id)),
        }
        item["event_id"] = derived_id(item) if log.event_id is None else as_text(values.get(log.event_id))
        return [admit(item, product, min(received or occurred or imported_at, imported_at))]

    return _refusals_as_values(judge)


def daily_judge(log: DailyCountsLog, product: Product, imported_at: datetime) -> Judge:
    """Build the judge of a wide table: every count that is not 0 becomes one event at noon of its UTC day, whose value is the count.

    A day's count is known once the day is over: at the next midnight, or at ``imported_at`` if that is earlier.
    """
    date = instant_reader(log.date)

    def judge(values: Mapping[str, Any]) -> list[Judged]:
        day = date(values)
        if day is None:
            raise RefusedError("missing_timestamp", log.date.column, got="nothing", expected="a day")
        noon = datetime.combine(day.date(), time(12), tzinfo=UTC)
        user_id, day_text = as_text(values.get(log.user_id)), noon.date().isoformat()
        judged: list[Judged] = []
        for column, kind in log.kind_columns.items():
            item: Judged | int = _count(values.get(column), column)
            if isinstance(item, int) and item:
                wire = {"event_id": f"{log.name}/{kind}/{day_text}", "user_id": user_id, "kind": kind, "occurred_at": noon, "value": item}
                item = admit(wire, product, min(noon + timedelta(hours=12), imported_at))
            if isinstance(item, Event) or (isinstance(item, Rejection) and item not in judged):  # a bad user is said once, not per column
                judged.append(item)
        return judged

    return _refusals_as_values(judge)


def profile_judge(log: ProfilesLog, product: Product, imported_at: datetime) -> Judge:
    """Build the judge of a profile table; a row whose attributes are all empty says nothing.

    A change was known at its changed_at, never after ``imported_at``; in a log that declares ``known_since: beginning``, since 1970. Where
    nobody knows when, nothing of the row counts, not even a no: it may be older than a yes.
    """
    changed_at = None if log.changed_at is None else instant_reader(log.changed_at)
    types = {attribute.name: attribute.type for attribute in product.profile}

    def judge(values: Mapping[str, Any]) -> list[Judged]:
        given = {name: values.get(column) for column, name in log.attribute_columns.items()}
        traits = {name: _as_attribute(value, types.get(name)) for name, value in given.items() if value is not None}
        changed = _BEGINNING if changed_at is None else changed_at(values)
        item = {"user_id": as_text(values.get(log.user_id)), "traits": traits, "occurred_at": changed}
        judged = admit_identify(item, product, min(changed or imported_at, imported_at))
        if changed is None and isinstance(judged, Rejection):
            judged = replace(judged, taken=None)
        return [judged] if traits else []

    return _refusals_as_values(judge)


class _DerivedIds:
    """Ids of rows that have none: their content and their number among the rows of this file with that content."""

    def __init__(self, log: EventsLog) -> None:
        self._log = log
        self._seen: Counter[int] = Counter()

    def __call__(self, item: Mapping[str, Any]) -> str:
        occurred = item["occurred_at"]
        content = [item["user_id"], item["kind"], occurred and to_us(occurred), item["subject"], item["value"], item["session_id"]]
        digest = xxhash.xxh3_128_intdigest(repr(content).encode("utf-8", "surrogatepass"))
        number = self._seen[digest]
        self._seen[digest] = number + 1
        return f"{self._log.name}/{digest:032x}" + (f"/{number}" if number else "")


def as_text(value: object) -> object:
    """Write numbers as ids are written, so that 7 in a Parquet file is the user "7" of a CSV file; all else passes unchanged.

    Examples
    --------
    >>> as_text(7), as_text(7.0), as_text("7"), as_text(True)
    ('7', '7', '7', True)
    """
    if isinstance(value, str | bool) or not isinstance(value, int | float):
        return value
    return str(int(value)) if isinstance(value, int) or value.is_integer() else str(value)


def as_integer(value: object, column: str, multiplier: int = 1) -> int | None:
    """Compute value * multiplier in exact decimal arithmetic.

    Raises
    ------
    RefusedError
        ``bad_value`` if that is not an integer.

    Examples
    --------
    >>> as_integer("29.33", "amount", 100), as_integer("7", "n"), as_integer(None, "n")
    (2933, 7, None)
    """
    if value is None:
        return None
    if isinstance(value, str) and value.isdecimal() and len(value) <= _PLAIN_DIGITS:
        value = int(value)
    if type(value) is int and abs(value * multiplier) <= INT64_MAX:
        return value * multiplier  # what nearly all values are; several times faster than decimals
    try:
        exact = _EXACT.multiply(_decimal(value), Decimal(multiplier))
        if abs(exact) <= INT64_MAX and exact == exact.to_integral_value():
            return int(exact)
    except (ArithmeticError, TypeError):
        pass  # not a number, or one with more digits than any integer of 64 bits needs
    expected = "a 64-bit integer" if multiplier == 1 else f"a number that times {multiplier} is a 64-bit integer"
    if isinstance(value, str) and "," in value:
        expected += ", with a decimal point and nothing between thousands"
    raise RefusedError("bad_value", column, got=shown(value), expected=expected)


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool):
        raise TypeError
    return Decimal(value if isinstance(value, int | str) else str(value))


def _count(value: object, column: str) -> int | Rejection:
    if value is None or value == "0":
        return 0
    try:
        count = as_integer(value, column) or 0
    except RefusedError as refused:
        return refused.rejection
    if count < 0:
        return RefusedError("bad_value", column, got=str(count), expected="a count of 0 or more").rejection
    return count


def _as_attribute(value: Any, attribute_type: AttributeType | None) -> Any:
    match attribute_type:
        case AttributeType.NUMBER if isinstance(value, str):
            return _as_float(value)
        case AttributeType.BOOLEAN if isinstance(value, str):
            return _BOOLEANS.get(value.lower(), value)
        case AttributeType.CATEGORY | AttributeType.TEXT:
            return as_text(value)
        case _:
            return value


def _as_float(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _refusals_as_values(judge: Judge) -> Judge:
    def judged(values: Mapping[str, Any]) -> list[Judged]:
        try:
            return judge(values)
        except RefusedError as refused:
            return [refused.rejection]

    return judged
