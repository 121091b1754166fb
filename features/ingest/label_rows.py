"""Labels that a file states instead of the log implying them (`LabelsLog`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from features.declarations.log import LabelsLog
from features.ingest.declared_rows import as_text
from features.ingest.instants import instant_reader
from features.ingest.rejection import RefusedError, Rejection, checked_id, shown

_INSTANT = pa.timestamp("us", tz="UTC")

LABEL_SCHEMA = pa.schema([("user_id", pa.string()), ("as_of", _INSTANT), ("dropped_out", pa.bool_()), ("known_at", _INSTANT)])
"""Columns of a labels file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedLabel:
    """Whether one user dropped out within the horizon after as_of, and since when that may be known."""

    user_id: str
    as_of: datetime
    dropped_out: bool
    known_at: datetime


def label_judge(log: LabelsLog) -> Callable[[Mapping[str, Any]], list[StatedLabel | Rejection]]:
    """Build the judge of a labels file: one row, one label."""
    start_of = instant_reader(log.start)

    def judge(values: Mapping[str, Any]) -> list[StatedLabel | Rejection]:
        try:
            user_id = checked_id(as_text(values.get(log.user_id)), log.user_id, name="user")
            start = start_of(values)
            if start is None:
                return [RefusedError("missing_timestamp", log.start.column, got="nothing", expected="an instant").rejection]
            label = _dropped_out(values.get(log.label), log)
            return [StatedLabel(user_id=user_id, as_of=start + log.as_of_after, dropped_out=label, known_at=start + log.known_after)]
        except RefusedError as refused:
            return [refused.rejection]

    return judge


def _dropped_out(value: object, log: LabelsLog) -> bool:
    text = str(value).lower() if isinstance(value, bool) else as_text(value)
    if text in log.dropped_out_values:
        return True
    if text in log.stayed_values:
        return False
    expected = f"one of {', '.join((*log.dropped_out_values, *log.stayed_values))}"
    raise RefusedError("bad_label", log.label, got=shown(value), expected=expected)


def store_labels(labels: Iterable[StatedLabel], file: Path) -> None:
    """Add labels to a file of `LABEL_SCHEMA`; of two labels for the same user and as_of the one stored last counts."""
    rows = {(label.user_id, label.as_of): (label.dropped_out, label.known_at) for label in _stored(file)}
    rows |= {(label.user_id, label.as_of): (label.dropped_out, label.known_at) for label in labels}
    columns = zip(*((user_id, as_of, *rest) for (user_id, as_of), rest in sorted(rows.items())), strict=True)
    arrays = [list(column) for column in columns] or [[] for _ in LABEL_SCHEMA]
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    pq.write_table(pa.table(arrays, schema=LABEL_SCHEMA), temporary)
    temporary.replace(file)


def _stored(file: Path) -> list[StatedLabel]:
    return [StatedLabel(**row) for row in pq.read_table(file).to_pylist()] if file.exists() else []
