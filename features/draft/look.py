"""A first look at a log file, through DuckDB: what its columns hold, which kinds there are, who was active when."""

from __future__ import annotations

import codecs
import csv
import gzip
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import duckdb

from features.declarations.log import FileFormat, FileSyntax
from features.draft.columns import Column, DraftError, KindLook, Look

_SUFFIXES = {
    ".csv": FileFormat.CSV,
    ".tsv": FileFormat.CSV,
    ".txt": FileFormat.CSV,
    ".parquet": FileFormat.PARQUET,
    ".pq": FileFormat.PARQUET,
    ".jsonl": FileFormat.JSONL,
    ".ndjson": FileFormat.JSONL,
    ".json": FileFormat.JSONL,
}
_EXPECTED = {
    FileFormat.CSV: "a header row",
    FileFormat.PARQUET: "a column for each field",
    FileFormat.JSONL: "one object with keys in each line (a JSON array is none: jq -c '.[]' makes lines of it)",
}
_DELIMITERS = (",", "\t", ";", "|")
_HEAD_BYTES = 65_536
_SAMPLE = 2_000  # texts of a column that guesses look at
_KEYS_FROM = 100_000  # JSON objects whose keys are looked at
_MOST_EVENTS = 500_000  # of which gaps and the base rate are counted; beyond that, of a share of the users
_NUMBER = r"[-+]?[0-9]{1,30}(\.[0-9]*)?"
_COMMA_NUMBER = r"[-+]?([0-9]{1,30}|[0-9]{1,3}([. '][0-9]{3})+),[0-9]+|[-+]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?"  # 3,5  1.234,5  1,234.5
_WORDS = 3  # most that are named
_FACTS = 6  # of each column, as `_facts` lists them
_DECIMALS = r"\.([0-9]*?)0*$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visits:
    """Who was active when, as texts."""

    users: list[str]
    times: list[str]
    user_share: float  # of all users that these are


def syntax_of(path: Path) -> FileSyntax:
    """The syntax of a file, by its name and (the delimiter) its first line.

    Raises
    ------
    DraftError
        If there is no such file, or its name says nothing.
    """
    if not path.is_file():
        raise DraftError(f"there is no file {path}")
    plain = path.name.removesuffix(".gz")
    file_format = _SUFFIXES.get(Path(plain).suffix.lower())
    if file_format is None or (file_format is FileFormat.PARQUET and path.suffix == ".gz"):
        raise DraftError(f"{path}: got a file of an unknown kind, expected .csv, .tsv, .jsonl (also .gz) or .parquet; rename or convert it")
    delimiter = _delimiter(path) if file_format is FileFormat.CSV else ","
    return FileSyntax(format=file_format, file=path.name, delimiter=delimiter)


@contextmanager
def opened(path: Path) -> Iterator[LogLook]:
    """Open a log for looking; the file is read anew for each question, whatever its size.

    Raises
    ------
    DraftError
        If the file cannot be read.
    """
    syntax = syntax_of(path)
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false; SET TimeZone = 'UTC'")
        try:
            names = _create_rows(connection, path, syntax)
            yield LogLook(connection=connection, path=path, syntax=syntax, names=names)
        except duckdb.Error as exc:
            raise DraftError(f"{path}: got {str(exc).splitlines()[0]}, expected a readable {syntax.format.value} file") from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLook:
    """An open log: the view ``log`` with every column as text."""

    connection: duckdb.DuckDBPyConnection
    path: Path
    syntax: FileSyntax
    names: tuple[str, ...]

    def look(self) -> Look:
        """What the columns hold."""
        if not self.names:
            raise DraftError(f"{self.path}: got no columns, expected {_EXPECTED[self.syntax.format]}")
        facts = ", ".join(_facts(name) for name in self.names)
        n_rows, *numbers = self._one(f"SELECT count(*), {facts} FROM log")  # noqa: S608 - quoted names
        if not n_rows:
            is_text = self.syntax.format is not FileFormat.PARQUET
            found, encoded = (_unreadable(self.path) or _uneven(self.path, self.syntax), ", in UTF-8") if is_text else ("", "")
            raise DraftError(f"{self.path}: got no rows{found}, expected one event a row{encoded}")
        # The head alone may be one user's or one day's; the sample alone may miss what is rare.
        sample = self.connection.sql(f"SELECT * FROM log USING SAMPLE reservoir({_SAMPLE} ROWS) REPEATABLE (7)").fetchall()  # noqa: S608
        columns = tuple(
            Column(
                name=name,
                n_rows=n_rows,
                n_filled=filled,
                n_distinct=min(distinct, filled),
                n_numbers=n_numbers,
                n_commas=n_commas,
                decimals=decimals,
                largest=largest,
                words=self._words(name, filled=filled, n_numbers=n_numbers, n_commas=n_commas),
                texts=tuple(row[index] for row in sample if row[index] is not None),
            )
            for index, name in enumerate(self.names)
            for filled, distinct, n_numbers, n_commas, decimals, largest in [numbers[_FACTS * index : _FACTS * (index + 1)]]
        )
        return Look(path=self.path, syntax=self.syntax, columns=columns, n_rows=n_rows)

    def kinds(self, *, kind: str | None, user: str, columns: Sequence[str]) -> list[KindLook]:
        """The values of the kind column, most rows first, and in how many of their rows other columns are filled."""
        value = "''" if kind is None else _quoted(kind)
        filled = "".join(f", sum(count_{index})::BIGINT" for index in range(len(columns)))
        counts = "".join(f", count({_quoted(column)}) AS count_{index}" for index, column in enumerate(columns))
        rows = self.connection.sql(
            f"WITH of_user AS (SELECT {value} AS value, count(*) AS n{counts} FROM log "  # noqa: S608 - quoted names
            f"WHERE {value} IS NOT NULL AND {_quoted(user)} IS NOT NULL GROUP BY value, {_quoted(user)}) "
            f"SELECT value, sum(n)::BIGINT, quantile_disc(n, 0.99){filled} FROM of_user GROUP BY value ORDER BY 2 DESC, 1"
        ).fetchall()
        return [KindLook(value=row[0], n_rows=row[1], busiest=row[2], n_filled=dict(zip(columns, row[3:], strict=True))) for row in rows]

    def visits(self, *, user: str, time: str) -> Visits:
        """Users and times of all rows; in a large log of a share of the users, all rows of each."""
        (n_rows,) = self._one("SELECT count(*) FROM log")
        parts = max(1, -(-n_rows // _MOST_EVENTS))
        rows = self.connection.sql(
            f"SELECT {_quoted(user)}, {_quoted(time)} FROM log WHERE {_quoted(user)} IS NOT NULL AND {_quoted(time)} IS NOT NULL "  # noqa: S608
            f"AND hash({_quoted(user)}) % {parts} = 0"
        ).fetchall()
        return Visits(users=[row[0] for row in rows], times=[row[1] for row in rows], user_share=1 / parts)

    def _words(self, name: str, *, filled: int, n_numbers: int, n_commas: int) -> tuple[tuple[str, int], ...]:
        """The most frequent texts that are not of the form that most texts have, if that form is a number."""
        form, of_form = (_NUMBER, n_numbers) if n_numbers >= n_commas else (_COMMA_NUMBER, n_commas)
        if not filled / 2 <= of_form < filled:
            return ()
        column = _quoted(name)
        rows = self.connection.sql(
            f"SELECT {column}, count(*) FROM log WHERE NOT regexp_full_match({column}, {_literal(form)}) "  # noqa: S608 - quoted names
            f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {_WORDS}"
        ).fetchall()
        return tuple((text, count) for text, count in rows)

    def _one(self, query: str) -> tuple[Any, ...]:
        (row,) = self.connection.sql(query).fetchall()
        return tuple(row)


def _create_rows(connection: duckdb.DuckDBPyConnection, path: Path, syntax: FileSyntax) -> tuple[str, ...]:
    """Create the view ``log``; its columns' names."""
    file = _literal(str(path))
    match syntax.format:
        case FileFormat.CSV:
            options = f"header = true, all_varchar = true, delim = {_literal(syntax.delimiter)}, quote = '\"', ignore_errors = true"
            source = f"read_csv({file}, {options})"
            connection.execute(f"CREATE VIEW log AS SELECT {_trimmed(connection, source)} FROM {source}")  # noqa: S608 - quoted names
        case FileFormat.PARQUET:
            source = f"read_parquet({file})"
            connection.execute(f"CREATE VIEW log AS SELECT {_trimmed(connection, source)} FROM {source}")  # noqa: S608 - quoted names
        case FileFormat.JSONL:
            connection.execute(
                f"CREATE VIEW objects AS SELECT json FROM read_json_objects({file}, format = 'newline_delimited', ignore_errors = true)"  # noqa: S608
            )
            keys = connection.sql(
                f"SELECT DISTINCT unnest(json_keys(json)) AS key FROM (SELECT json FROM objects LIMIT {_KEYS_FROM}) ORDER BY key"  # noqa: S608
            ).fetchall()
            columns = ", ".join(f"json ->> {_literal(_json_path(key))} AS {_quoted(key)}" for (key,) in keys)
            if not keys:
                return ()
            connection.execute(f"CREATE VIEW log AS SELECT {columns} FROM objects")  # noqa: S608 - quoted names
    return tuple(row[0] for row in connection.sql("DESCRIBE log").fetchall())


def _trimmed(connection: duckdb.DuckDBPyConnection, source: str) -> str:
    """Every column as text, an empty one as none, under the name that the import knows it by."""
    names = [row[0] for row in connection.sql(f"DESCRIBE SELECT * FROM {source}").fetchall()]  # noqa: S608 - quoted names
    return ", ".join(f"nullif({_quoted(name)}::VARCHAR, '') AS {_quoted(name.strip())}" for name in names)


def _facts(name: str) -> str:
    column = _quoted(name)
    number = f"regexp_full_match({column}, {_literal(_NUMBER)})"
    return (
        f"count({column}), approx_count_distinct({column}), coalesce(sum({number}::INT), 0)::BIGINT, "
        f"coalesce(sum(regexp_full_match({column}, {_literal(_COMMA_NUMBER)})::INT), 0)::BIGINT, "
        f"coalesce(max(CASE WHEN {number} THEN length(regexp_extract({column}, {_literal(_DECIMALS)}, 1)) END), 0), "
        f"coalesce(max(CASE WHEN {number} THEN abs(try_cast({column} AS DOUBLE)) END), 0.0)"
    )


def _delimiter(path: Path) -> str:
    try:
        with _bytes_of(path) as file:
            header = file.readline().decode("utf-8", errors="replace")
    except OSError as exc:
        raise DraftError(f"{path}: got {exc}, expected a readable csv file") from exc
    return max(_DELIMITERS, key=header.count)


def _unreadable(path: Path) -> str:
    """What in the file's beginning is no UTF-8, if anything."""
    with _bytes_of(path) as file:
        head = file.read(_HEAD_BYTES)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # a character may be cut at the end
    except UnicodeDecodeError as exc:
        return f" that can be read (byte {head[exc.start]:#x} at {exc.start} is no UTF-8; iconv -f latin1 -t utf-8 may convert it)"
    return ""


def _uneven(path: Path, syntax: FileSyntax) -> str:
    """Whether the first row has another number of fields than the header."""
    if syntax.format is not FileFormat.CSV:
        return ""
    with _bytes_of(path) as file:
        lines = file.read(_HEAD_BYTES).decode(errors="replace").splitlines()
    header, row, *_ = [*map(len, csv.reader(lines[:2], delimiter=syntax.delimiter)), 0, 0]
    if not row or row == header:
        return ""
    needs = f"a text or number with {syntax.delimiter!r} in it needs quotes"
    return f" that fit the header (line 2 has {row} fields, the header {header}; {needs})"


def _bytes_of(path: Path) -> BinaryIO:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]  # a GzipFile reads like one


def _json_path(key: str) -> str:
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'$."{escaped}"'


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"
