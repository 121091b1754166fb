"""The shape of one entry of ``logs`` in ``product.yaml``."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from features.declarations.fields import Duration, Name, Text, TimeFormat, TimeZone
from features.declarations.log import ISO_FORMAT, FileFormat
from features.declarations.yaml_file import Declared


def _column(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


class TimeColumnSchema(Declared):
    """A column of instants; a text alone is the column's name."""

    column: Text
    formats: Annotated[list[TimeFormat], Field(min_length=1)] = Field(default_factory=lambda: [ISO_FORMAT])
    assume_timezone: TimeZone | None = None


Time = Annotated[TimeColumnSchema, BeforeValidator(_column)]


class ReceivedSchema(Declared):
    """When rows arrived: a column of instants, or declared to be when they occurred."""

    same_as: Literal["occurred_at"] | None = None
    column: Text | None = None
    formats: Annotated[list[TimeFormat], Field(min_length=1)] = Field(default_factory=lambda: [ISO_FORMAT])
    assume_timezone: TimeZone | None = None


class KindColumnSchema(Declared):
    """The column that names the kind, or the one kind that all rows have; a text alone is the column's name."""

    column: Text | None = None
    constant: Name | None = None
    values: dict[str, Name] = Field(default_factory=dict)


class ValueColumnSchema(Declared):
    """The value's column; a text alone is the column's name."""

    column: Text
    multiply_by: Annotated[int, Field(ge=1, le=1_000_000_000)] = 1


class LabelColumnSchema(Declared):
    """The label's column and what its values mean."""

    column: Text
    dropped_out: Annotated[list[Text], Field(min_length=1)]
    stayed: Annotated[list[Text], Field(min_length=1)]


class FileSchema(Declared):
    """What every log declares about its file."""

    format: Annotated[FileFormat, Field(strict=False)]
    file: Text | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    user_id: Text


class EventsSchema(FileSchema):
    """One event a row."""

    shape: Literal["events"]
    kind: Annotated[KindColumnSchema, BeforeValidator(_column)]
    occurred_at: Time
    received_at: Annotated[ReceivedSchema, BeforeValidator(_column)] = Field(
        description="the column of when each row reached you, or {same_as: occurred_at} where the file does not say it"
    )
    event_id: Text | None = None
    subject: Text | None = None
    value: Annotated[ValueColumnSchema, BeforeValidator(_column)] | None = None
    session_id: Text | None = None


class DailyCountsSchema(FileSchema):
    """One row a user and day, one column a kind."""

    shape: Literal["daily_counts"]
    date: Time
    kinds: Annotated[dict[Text, Name], Field(min_length=1)]


class ProfilesSchema(FileSchema):
    """One row sets attributes of one user."""

    shape: Literal["profiles"]
    attributes: Annotated[dict[Text, Name], Field(min_length=1)]
    changed_at: Time | None = None
    known_since: Literal["beginning"] | None = None  # must be said where rows have no changed_at


class LabelsSchema(FileSchema):
    """One row is one given label."""

    shape: Literal["labels"]
    start: Time
    as_of_after: Duration = timedelta(0)
    known_after: Duration
    label: LabelColumnSchema


LogSchema = Annotated[EventsSchema | DailyCountsSchema | ProfilesSchema | LabelsSchema, Field(discriminator="shape")]
