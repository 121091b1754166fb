"""From entries of ``logs`` in ``product.yaml`` to log declarations."""

from __future__ import annotations

from features.declarations.log import DailyCountsLog, EventsLog, FileSyntax, LabelsLog, LogDeclaration, ProfilesLog, TimeColumn
from features.declarations.log_schema import (
    DailyCountsSchema,
    EventsSchema,
    FileSchema,
    LabelsSchema,
    ProfilesSchema,
    ReceivedSchema,
    TimeColumnSchema,
)


def log_declaration(schema: EventsSchema | DailyCountsSchema | ProfilesSchema | LabelsSchema, name: str) -> LogDeclaration:
    """Freeze the declaration of one log."""
    match schema:
        case EventsSchema():
            return _events(schema, name)
        case DailyCountsSchema():
            return _daily_counts(schema, name)
        case ProfilesSchema():
            return _profiles(schema, name)
        case LabelsSchema():
            return _labels(schema, name)


def _events(schema: EventsSchema, name: str) -> EventsLog:
    return EventsLog(
        name=name,
        syntax=_syntax(schema),
        user_id=schema.user_id,
        occurred_at=_time(schema.occurred_at),
        kind_column=schema.kind.column,
        constant_kind=schema.kind.constant,
        kind_values=dict(schema.kind.values),
        event_id=schema.event_id,
        subject=schema.subject,
        value=schema.value.column if schema.value else None,
        value_multiplier=schema.value.multiply_by if schema.value else 1,
        session_id=schema.session_id,
        received_at=_received(schema.received_at),
    )


def _daily_counts(schema: DailyCountsSchema, name: str) -> DailyCountsLog:
    return DailyCountsLog(
        name=name, syntax=_syntax(schema), user_id=schema.user_id, date=_time(schema.date), kind_columns=dict(schema.kinds)
    )


def _profiles(schema: ProfilesSchema, name: str) -> ProfilesLog:
    changed_at = _time(schema.changed_at) if schema.changed_at else None
    return ProfilesLog(
        name=name,
        syntax=_syntax(schema),
        user_id=schema.user_id,
        attribute_columns=dict(schema.attributes),
        changed_at=changed_at,
    )


def _labels(schema: LabelsSchema, name: str) -> LabelsLog:
    return LabelsLog(
        name=name,
        syntax=_syntax(schema),
        user_id=schema.user_id,
        start=_time(schema.start),
        label=schema.label.column,
        dropped_out_values=tuple(schema.label.dropped_out),
        stayed_values=tuple(schema.label.stayed),
        as_of_after=schema.as_of_after,
        known_after=schema.known_after,
    )


def _syntax(schema: FileSchema) -> FileSyntax:
    return FileSyntax(format=schema.format, file=schema.file, delimiter=schema.delimiter)


def _time(schema: TimeColumnSchema) -> TimeColumn:
    return TimeColumn(column=schema.column, formats=tuple(schema.formats), assume_timezone=schema.assume_timezone)


def _received(schema: ReceivedSchema) -> TimeColumn | None:
    if schema.column is None:
        return None
    return TimeColumn(column=schema.column, formats=tuple(schema.formats), assume_timezone=schema.assume_timezone)
