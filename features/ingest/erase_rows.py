"""Taking the rows of erased users out of files; what a reader sees is the file before or the file after, never half of one."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.ports import StoreError

ID_COLUMNS = ("user_id", "previous_id")
"""Columns of our Parquet files that hold ids of users."""


def erase_rows(paths: Iterable[Path], user_ids: Sequence[str]) -> int:
    """Remove the rows that name one of the users in a column of `ID_COLUMNS`; returns how many.

    Files without such rows are not touched, files that are not there are skipped, and a part without rows left is removed.

    Raises
    ------
    StoreError
        If a file cannot be read or replaced; those before it are done, and doing it again is safe.
    """
    gone = pa.array(list(user_ids), pa.string())
    return sum(_wrapped(path, lambda path: _erase_in(path, gone)) for path in paths)


def erase_lines(paths: Iterable[Path], user_ids: Sequence[str]) -> int:
    r"""Remove the lines of text files (also ``.gz``) that hold one of the ids as a whole word; returns how many.

    For files that hold rows as they came: rejected rows, and logs that wait to be imported.

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
    named = re.compile(rb"(?<![\w.@-])(?:" + b"|".join(re.escape(user_id.encode()) for user_id in user_ids) + rb")(?![\w@-])")
    return sum(_wrapped(path, lambda path: _erase_lines_in(path, named)) for path in paths)


def _erase_in(path: Path, gone: pa.Array) -> int:
    names = [name for name in ID_COLUMNS if name in pq.read_schema(path).names]
    if not names or not _named(pq.ParquetFile(path).read(columns=names), names, gone).true_count:
        return 0
    table = pq.ParquetFile(path).read()
    named = _named(table, names, gone)
    kept = table.filter(pc.invert(named))
    if kept.num_rows == 0 and path.name.startswith("part-"):
        path.unlink()
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


def _erase_lines_in(path: Path, named: re.Pattern[bytes]) -> int:
    content = path.read_bytes()
    is_packed = path.suffix == ".gz"
    lines = (gzip.decompress(content) if is_packed else content).splitlines(keepends=True)
    kept = [line for line in lines if not named.search(line)]
    if len(kept) < len(lines):
        text = b"".join(kept)
        _replace(path, lambda temporary: temporary.write_bytes(gzip.compress(text) if is_packed else text))
    return len(lines) - len(kept)


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.erasing")
    write(temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def _wrapped(path: Path, erase: Callable[[Path], int]) -> int:
    try:
        return erase(path) if path.exists() else 0
    except (OSError, pa.ArrowException, EOFError) as exc:
        raise StoreError(
            f"{path}: could not take erased users out of it ({type(exc).__name__}: {exc}); correct that and erase again"
        ) from exc
