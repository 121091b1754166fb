"""Taking the rows of erased users out of files; what a reader sees is the file before or the file after, never half of one."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from io import StringIO
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.ingest.durable import flush_folder
from features.ports import StoreError

ID_COLUMNS = ("user_id", "previous_id")
"""Columns of our Parquet files that hold ids of users."""


def erase_rows(paths: Iterable[Path], user_ids: Sequence[str], *, in_any_column: bool = False) -> int:
    """Remove the rows of Parquet files that name one of the users; returns how many.

    Files without such rows are not touched, files that are not there are skipped, and a part without rows left is removed.

    Parameters
    ----------
    in_any_column
        For files that are not ours: look into every column of texts, not only those of `ID_COLUMNS`.

    Raises
    ------
    StoreError
        If a file cannot be read or replaced; those before it are done, and doing it again is safe.
    """
    gone = pa.array(list(user_ids), pa.string())
    return sum(_wrapped(path, lambda path: _erase_in(path, gone, in_any_column=in_any_column)) for path in paths)


def erase_lines(paths: Iterable[Path], user_ids: Sequence[str], *, as_records: bool = False) -> int:
    r"""Remove the lines of text files (also ``.gz``) that hold one of the ids as a whole word; returns how many.

    For files that hold rows as they came: rejected rows, and logs that wait to be imported. Ids are found as CSV and JSON write them, too.

    Parameters
    ----------
    as_records
        For CSV that is well-formed, which logs need not be: lines that quotes hold together go together.

    Raises
    ------
    StoreError
        As `erase_rows`.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "rejected.csv"
    ...     _ = file.write_text("line,row\n1,ada;login\n2,adam;login\n")
    ...     erase_lines([file], ["ada"]), file.read_text()
    (1, 'line,row\n2,adam;login\n')
    """
    if not user_ids:
        return 0
    forms = sorted({re.escape(form) for user_id in user_ids for form in _written(user_id)})
    named = re.compile(rf"(?<![\w.@-])(?:{'|'.join(forms)})(?![\w@-]|\.\w)")
    return sum(_wrapped(path, lambda path: _erase_lines_in(path, named, as_records=as_records)) for path in paths)


def _written(user_id: str) -> set[str]:
    """An id as text, JSON and CSV hold it, and CSV of these: rejected rows are quoted once more."""
    as_json = [orjson.dumps(user_id).decode()[1:-1], json.dumps(user_id)[1:-1]]  # the second escapes what is not ASCII
    once = {form for text in (user_id, *as_json) for form in (text, text.replace('"', '""'))}
    return once | {form.replace('"', '""') for form in once}


def _erase_in(path: Path, gone: pa.Array, *, in_any_column: bool) -> int:
    schema = pq.read_schema(path)
    names = [field.name for field in schema if field.name in ID_COLUMNS or (in_any_column and _is_text(field.type))]
    if not names or not _named(pq.ParquetFile(path).read(columns=names), names, gone).true_count:
        return 0
    table = pq.ParquetFile(path).read()
    named = _named(table, names, gone)
    kept = table.filter(pc.invert(named))
    if kept.num_rows == 0 and path.name.startswith("part-"):
        path.unlink()
        flush_folder(path.parent)
    else:
        _replace(path, lambda temporary: pq.write_table(kept, temporary, compression="zstd"))
    return int(table.num_rows - kept.num_rows)


def _named(table: pa.Table, names: Sequence[str], gone: pa.Array) -> pa.BooleanArray:
    """Whether each row names one of the users."""
    named = pa.array([False] * table.num_rows, pa.bool_())
    for name in names:
        column = pc.is_in(table[name].cast(pa.string()), value_set=gone)
        named = pc.or_(named, column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column)
    return named


def _is_text(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value))


def _erase_lines_in(path: Path, named: re.Pattern[str], *, as_records: bool) -> int:
    is_packed = path.suffix == ".gz"
    content = gzip.decompress(path.read_bytes()) if is_packed else path.read_bytes()
    lines = list(StringIO(content.decode("utf-8", "surrogateescape"), newline=""))
    if as_records:
        lines = _records(lines)
    kept = [line for line in lines if not named.search(line)]
    if len(kept) < len(lines):
        text = "".join(kept).encode("utf-8", "surrogateescape")
        _replace(path, lambda temporary: temporary.write_bytes(gzip.compress(text) if is_packed else text))
    return len(lines) - len(kept)


def _records(lines: Iterable[str]) -> list[str]:
    """Join lines until their quotes are closed.

    Examples
    --------
    >>> _records(['1,"a', ' b"', '2,c'])
    ['1,"a b"', '2,c']
    """
    records, is_open = list[str](), False
    for line in lines:
        if is_open:
            records[-1] += line
        else:
            records.append(line)
        is_open ^= line.count('"') % 2 == 1
    return records


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    write(temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    flush_folder(path.parent)


def _wrapped(path: Path, erase: Callable[[Path], int]) -> int:
    try:
        return erase(path) if path.exists() else 0
    except (OSError, pa.ArrowException, EOFError) as exc:
        raise StoreError(
            f"{path}: could not take erased users out of it ({type(exc).__name__}: {exc}); correct that and erase again"
        ) from exc
