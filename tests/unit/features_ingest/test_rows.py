from __future__ import annotations

import gzip
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.declarations.log import FileFormat, FileSyntax
from features.ingest.rows import BATCH_ROWS, LogFileError, Row, RowBatch, read_rows

CSV = FileSyntax(format=FileFormat.CSV)
JSONL = FileSyntax(format=FileFormat.JSONL)
PARQUET = FileSyntax(format=FileFormat.PARQUET)


def rows_of(path: Path, syntax: FileSyntax, *columns: str) -> list[Row]:
    return [row for batch in read_rows(path, syntax, columns) for row in batch.rows]


def written(path: Path, content: str | bytes) -> Path:
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
def test_csv_rows_have_their_line_their_values_and_none_for_empty_fields(name: str, tmp_path: Path) -> None:
    path = written(tmp_path / name, "\ufeffuser,page\nada,\nbob,home\n")
    rows = rows_of(path, CSV, "user")
    assert [(row.line, row.values) for row in rows] == [(2, {"user": "ada", "page": None}), (3, {"user": "bob", "page": "home"})]
    assert rows[0].raw == "ada,"


def test_a_csv_row_with_too_many_or_few_fields_is_a_problem_of_that_row(tmp_path: Path) -> None:
    rows = rows_of(written(tmp_path / "log.csv", "user,page\nada\nbob,home,extra\neve,home\n"), CSV, "user")
    assert [row.problem for row in rows] == [
        "got 1 fields, expected 2 as in the header",
        "got 3 fields, expected 2 as in the header",
        "",
    ]


@pytest.mark.parametrize("name", ["log.jsonl", "log.jsonl.gz"])
def test_json_lines_are_objects_and_anything_else_is_a_problem_of_that_line(name: str, tmp_path: Path) -> None:
    path = written(tmp_path / name, b'{"user": "ada"}\n\n{"user": \n["ada"]\n{"user": NaN}\n{"user": "\xff"}\n{"user": "bob"}')
    rows = rows_of(path, JSONL, "user")
    assert [row.line for row in rows] == [1, 3, 4, 5, 6, 7]
    assert [row.values for row in rows if not row.problem] == [{"user": "ada"}, {"user": "bob"}]
    assert rows[2].problem == "got a JSON list, expected one JSON object a line"


def test_parquet_rows_are_numbered_and_instants_are_cut_to_microseconds(tmp_path: Path) -> None:
    instants = pa.array([1_000_001_999, None], pa.timestamp("ns", tz="UTC"))
    table = pa.table({"user": [1, 2], "at": instants, "day": [date(2024, 5, 1), None], "unused": ["x", "y"]})
    pq.write_table(table, tmp_path / "log.parquet")
    rows = rows_of(tmp_path / "log.parquet", PARQUET, "user", "at", "day")
    assert [(row.line, row.values) for row in rows] == [
        (1, {"user": 1, "at": datetime(1970, 1, 1, 0, 0, 1, 1, tzinfo=UTC), "day": date(2024, 5, 1)}),
        (2, {"user": 2, "at": None, "day": None}),
    ]


def test_batches_say_how_far_they_reach(tmp_path: Path) -> None:
    path = written(tmp_path / "log.csv", "user\n" + "ada\n" * (BATCH_ROWS + 1))
    batches: list[RowBatch] = list(read_rows(path, CSV, ["user"]))
    assert [len(batch.rows) for batch in batches] == [BATCH_ROWS, 1]
    assert batches[0].done <= batches[1].done == batches[1].total == path.stat().st_size


def test_a_truncated_archive_gives_what_is_whole_and_says_where_it_ends(tmp_path: Path) -> None:
    lines = "".join(f"user-{number}\n" for number in range(50_000))
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(("user\n" + lines).encode())[:-5_000])
    rows = rows_of(path, CSV, "user")
    assert len(rows) > 1_000
    assert [row.problem != "" for row in rows].index(True) == len(rows) - 1
    assert rows[-1].problem.startswith("the archive is damaged from here on")


@pytest.mark.parametrize(
    ("name", "content", "syntax", "says"),
    [
        ("log.csv", "", CSV, "got an empty file, expected a header row"),
        ("log.csv", "id,page\n", CSV, "got the columns id, page, expected user exactly once"),
        ("log.csv", "user,user\n", CSV, "got the columns user, user, expected user exactly once"),
        ("log.csv", b"\xff\n", CSV, "not UTF-8"),
        ("log.csv.gz", None, CSV, "expected a readable csv file"),
        ("log.parquet", "user\nada\n", PARQUET, "expected a readable parquet file"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_is_an_error_that_names_it(
    name: str, content: str | bytes | None, syntax: FileSyntax, says: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is None:
        path.write_bytes(b"this is no archive")
    else:
        written(path, content)
    with pytest.raises(LogFileError, match=says) as raised:
        rows_of(path, syntax, "user")
    assert str(path) in str(raised.value)


def test_a_missing_file_and_a_folder_are_errors_that_name_them(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.csv", tmp_path):
        with pytest.raises(LogFileError, match=str(path)):
            rows_of(path, CSV, "user")
    pq.write_table(pa.table({"id": [1]}), tmp_path / "log.parquet")
    with pytest.raises(LogFileError, match="got the columns id, expected user exactly once"):
        rows_of(tmp_path / "log.parquet", PARQUET, "user")
