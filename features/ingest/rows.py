"""Rows of a declared file, whatever its syntax: one at a time, with line numbers; a row that cannot be read does not stop the next."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from features.declarations.log import FileFormat, FileSyntax
from features.ingest.csv_lines import CsvParser, LineSource

BATCH_ROWS = 20_000


class LogFileError(ValueError):
    """A file cannot be read at all by its declaration; the text names the file, what was found and what was expected."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its values by column, or what is wrong with it."""

    line: int  # 1-based line of a text file, 1-based row of a Parquet file
    values: Mapping[str, Any] | None  # None: it cannot be read
    raw: str  # as it stands in the file; "" for Parquet
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowBatch:
    """Up to `BATCH_ROWS` rows and how far into the file they reach."""

    rows: list[Row]
    done: int  # bytes of the file read so far
    total: int  # bytes of the file


def read_rows(path: Path, syntax: FileSyntax, columns: Sequence[str]) -> Iterator[RowBatch]:
    """Read the declared columns of a file.

    An empty CSV field, a JSON null and a Parquet null are None. Lines that cannot be read (quotes, number of fields, JSON, UTF-8, a
    truncated archive) come as rows with a `Row.problem`. Empty lines are skipped.

    Raises
    ------
    LogFileError
        If the file cannot be opened, is not of the declared format, or (CSV, Parquet) lacks a declared column.
    """
    try:
        if syntax.format is FileFormat.PARQUET:
            yield from _parquet_batches(path, columns)
        else:
            yield from _text_batches(path, syntax, columns)
    except (OSError, pa.ArrowException) as exc:
        raise LogFileError(f"{path}: got {exc}, expected a readable {syntax.format.value} file") from exc


def _text_batches(path: Path, syntax: FileSyntax, columns: Sequence[str]) -> Iterator[RowBatch]:
    total = path.stat().st_size
    with path.open("rb") as file, _decompressed(file, path) as stream:
        source = LineSource(_lines(stream))
        rows: list[Row] = []
        for row in _json_rows(source) if syntax.format is FileFormat.JSONL else _csv_rows(source, path, syntax, columns):
            rows.append(row)
            if len(rows) == BATCH_ROWS:
                yield RowBatch(rows=rows, done=min(file.tell(), total), total=total)
                rows = []
        yield RowBatch(rows=rows, done=total, total=total)


@contextmanager
def _decompressed(file: IO[bytes], path: Path) -> Iterator[IO[bytes]]:
    if path.suffix != ".gz":
        yield file
        return
    with gzip.GzipFile(fileobj=file) as stream:
        yield stream  # type: ignore[misc]  # a GzipFile reads bytes as any binary file does


def _lines(stream: IO[bytes]) -> Iterator[bytes | str]:
    """Lines as bytes; a text instead of bytes says why the file ends early."""
    try:
        yield from stream
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        if stream.tell() == 0:
            raise gzip.BadGzipFile(f"{exc}") from exc
        yield f"the archive is damaged from here on ({exc})"


def _json_rows(source: LineSource) -> Iterator[Row]:
    for line, content in source:
        if isinstance(content, str):
            yield Row(line, None, "", content)
        elif content.strip():
            yield _json_row(line, content)


def _json_row(line: int, content: bytes) -> Row:
    raw = content.decode("utf-8", errors="replace").rstrip("\r\n")
    try:
        values = orjson.loads(content)
    except orjson.JSONDecodeError as exc:
        return Row(line, None, raw, f"got text that is not JSON ({exc}), expected one JSON object a line")
    if not isinstance(values, dict):
        return Row(line, None, raw, f"got a JSON {type(values).__name__}, expected one JSON object a line")
    return Row(line, values, raw)


def _csv_rows(source: LineSource, path: Path, syntax: FileSyntax, columns: Sequence[str]) -> Iterator[Row]:
    parser = CsvParser(source, syntax.delimiter)
    header = next(iter(parser), None)
    if header is None or header.problem:
        raise LogFileError(f"{path}: got {header.problem if header else 'an empty file'}, expected a header row of column names")
    names = [name.strip().removeprefix("\ufeff") for name in header.fields]
    _require_columns(path, names, columns)
    for record in parser:
        if record.problem:
            yield Row(record.line, None, record.raw, record.problem)
        elif len(record.fields) != len(names):
            problem = f"got {len(record.fields)} fields, expected {len(names)} as in the header"
            yield Row(record.line, None, record.raw, problem)
        else:
            yield Row(record.line, {name: field or None for name, field in zip(names, record.fields, strict=True)}, record.raw)


def _require_columns(path: Path, found: Sequence[str], declared: Sequence[str]) -> None:
    wrong = sorted({column for column in declared if found.count(column) != 1})
    if wrong:
        raise LogFileError(f"{path}: got the columns {', '.join(found)}, expected {', '.join(wrong)} exactly once; correct the declaration")


def _parquet_batches(path: Path, columns: Sequence[str]) -> Iterator[RowBatch]:
    total = path.stat().st_size
    with pq.ParquetFile(path) as file:
        _require_columns(path, file.schema_arrow.names, columns)
        line = 0
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(dict.fromkeys(columns))):
            values = _in_microseconds(batch).to_pylist()
            rows = [Row(line + number, row, "") for number, row in enumerate(values, start=1)]
            line += len(rows)
            yield RowBatch(rows=rows, done=total * line // max(1, file.metadata.num_rows), total=total)


def _in_microseconds(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Bring instants to microseconds, the finest that an event has; nanoseconds are cut off, as they are from ISO text."""
    fields = [
        pa.field(field.name, pa.timestamp("us", tz=field.type.tz)) if pa.types.is_timestamp(field.type) else field for field in batch.schema
    ]
    arrays = [array.cast(field.type, safe=False) for array, field in zip(batch.columns, fields, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))
