"""How to read an external log: one frozen value per shape of file. Readers are in ``features.ingest``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

EPOCH_FORMATS = ("epoch_s", "epoch_ms", "epoch_us")
"""Time formats for numbers since 1970-01-01T00:00Z: seconds (a fraction is allowed), milliseconds, microseconds."""

ISO_FORMAT = "iso"
"""Time format for ISO 8601: a date, or a date and time with or without an offset (``Z`` included)."""


class FileFormat(StrEnum):
    """Syntax of a file; a name that ends in ``.gz`` is decompressed first (CSV and JSONL)."""

    CSV = "csv"  # UTF-8 with a header row
    PARQUET = "parquet"
    JSONL = "jsonl"  # one JSON object a line; columns are its top-level keys


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSyntax:
    """What a file looks like before any column has a meaning. An empty CSV field and a JSON or Parquet null are both "none"."""

    format: FileFormat
    file: str | None = None  # usual file name, so that a whole folder can be imported; None: only when named by hand
    delimiter: str = ","  # CSV only


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeColumn:
    """A column that holds instants."""

    column: str
    formats: tuple[str, ...] = (ISO_FORMAT,)  # tried in order: "iso", one of EPOCH_FORMATS, or a strptime pattern
    assume_timezone: str | None = None  # IANA zone of values without an offset; None: such values are rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsLog:
    """One event a row.

    Exactly one of `kind_column` and `constant_kind` is set. Without `event_id` the id is derived from the row's mapped content and its
    number among the rows of this file with that same content, so that the same file imported twice gives the same events.
    """

    name: str
    syntax: FileSyntax
    user_id: str  # column
    occurred_at: TimeColumn
    kind_column: str | None = None
    constant_kind: str | None = None  # every row is of this kind
    kind_values: Mapping[str, str] = field(default_factory=dict)  # value in the column -> kind; values not listed are kind names
    event_id: str | None = None  # column; None: derived
    subject: str | None = None  # column
    value: str | None = None  # column
    value_multiplier: int = 1  # value in the kind's unit = column * this, in exact decimal arithmetic ("29.33" * 100 = 2933)
    session_id: str | None = None  # column
    received_at: TimeColumn | None = None  # None: declared equal to occurred_at


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyCountsLog:
    """One row a user and day, one column a kind: the count becomes the value of one event at 12:00 UTC of that day.

    A count of 0 or none is no event. received_at = occurred_at; the natural as_of is the next midnight UTC. The event id is
    ``<log name>/<kind>/<YYYY-MM-DD>``.
    """

    name: str
    syntax: FileSyntax
    user_id: str  # column
    date: TimeColumn  # its UTC calendar day counts
    kind_columns: Mapping[str, str]  # column -> kind; each kind has a value unit


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilesLog:
    """One row sets attributes of one user; an empty field leaves the attribute as it was."""

    name: str
    syntax: FileSyntax
    user_id: str  # column
    attribute_columns: Mapping[str, str]  # column -> attribute of the product's profile
    changed_at: TimeColumn | None = None  # each change was known then; None: declared `known_since: beginning`, 1970-01-01T00:00Z


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsLog:
    """One row says whether one user dropped out after one as_of: as_of = `start` + `as_of_after`.

    The label became known at `start` + `known_after`; a model that is trained before that instant must not see it.
    """

    name: str
    syntax: FileSyntax
    user_id: str  # column
    start: TimeColumn
    label: str  # column
    dropped_out_values: tuple[str, ...]  # the column's values, as text, that mean dropout
    stayed_values: tuple[str, ...]  # and those that mean "stayed"; any other value is rejected
    as_of_after: timedelta = timedelta(0)
    known_after: timedelta = timedelta(0)  # >= as_of_after


LogDeclaration = EventsLog | DailyCountsLog | ProfilesLog | LabelsLog
