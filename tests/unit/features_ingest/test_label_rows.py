from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from features.declarations.log import FileFormat, FileSyntax, LabelsLog, TimeColumn
from features.ingest.label_rows import LABEL_SCHEMA, StatedLabel, label_judge, store_labels
from features.ingest.rejection import Rejection

LOG = LabelsLog(
    name="truth",
    syntax=FileSyntax(format=FileFormat.CSV),
    user_id="enrolment",
    start=TimeColumn(column="start", assume_timezone="UTC"),
    label="dropped",
    dropped_out_values=("1", "true"),
    stayed_values=("0", "false"),
    as_of_after=timedelta(days=30),
    known_after=timedelta(days=40),
)
ROW = {"enrolment": "7", "start": "2024-05-01", "dropped": "1"}


def stated(user_id: str, day: int, *, dropped_out: bool) -> StatedLabel:
    as_of = datetime(2024, 5, day, tzinfo=UTC)
    return StatedLabel(user_id=user_id, as_of=as_of, dropped_out=dropped_out, known_at=as_of + timedelta(days=10))


@pytest.mark.parametrize(("value", "dropped_out"), [("1", True), (1, True), (1.0, True), (True, True), ("0", False), (False, False)])
def test_a_label_holds_at_its_as_of_and_is_known_later(value: Any, dropped_out: bool) -> None:
    assert label_judge(LOG)(ROW | {"dropped": value}) == [
        StatedLabel(
            user_id="7", as_of=datetime(2024, 5, 31, tzinfo=UTC), dropped_out=dropped_out, known_at=datetime(2024, 6, 10, tzinfo=UTC)
        )
    ]


@pytest.mark.parametrize(
    ("values", "code", "field"),
    [
        ({"dropped": "maybe"}, "bad_label", "dropped"),
        ({"dropped": None}, "bad_label", "dropped"),
        ({"dropped": [1]}, "bad_label", "dropped"),
        ({"enrolment": None}, "missing_user", "enrolment"),
        ({"start": None}, "missing_timestamp", "start"),
        ({"start": "May"}, "bad_timestamp", "start"),
    ],
)
def test_a_bad_label_row_is_refused(values: dict[str, Any], code: str, field: str) -> None:
    refused = label_judge(LOG)(ROW | values)[0]
    assert isinstance(refused, Rejection)
    assert (refused.code, refused.field) == (code, field)


def test_labels_are_kept_once_a_user_and_as_of_and_the_later_import_counts(tmp_path: Path) -> None:
    file = tmp_path / "labels" / "truth.parquet"
    store_labels([stated("b", 1, dropped_out=True), stated("a", 2, dropped_out=False)], file)
    store_labels([stated("a", 2, dropped_out=True), stated("a", 1, dropped_out=False)], file)
    table = pq.read_table(file)
    assert table.schema == LABEL_SCHEMA
    assert [(row["user_id"], row["as_of"].day, row["dropped_out"]) for row in table.to_pylist()] == [
        ("a", 1, False),
        ("a", 2, True),
        ("b", 1, True),
    ]
    assert [path.name for path in file.parent.iterdir()] == ["truth.parquet"]
