"""Compaction of the raw log: the many small parts of each closed day become one file that holds every event once.

What makes a crash harmless is the order: the merged file is whole and durable under its own name before the first part it replaces is
removed. Killed in between, a day holds some events twice, which reading has to expect anyway; the next compaction ends it. Parts that
appear meanwhile were not merged and are not removed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from features.ingest.durable import flush_folder
from features.ingest.erase_rows import erase_rows
from features.ingest.event_table import SCHEMA
from features.ports import StoreError

COMPACT_PREFIX = "part-compact-"
"""A day is compact when this is how its only part is called; readers see a part like any other."""

_LOCK = ".compaction.lock"
_SPILL = ".compaction.spill"
_ROWS_PER_GROUP = 122_880
_READ_BYTES = 1 << 20

_KEY = ("user_id", "kind", "event_hash")
_ORDER = "user_id, occurred_at, event_hash, kind"

Wrote = Callable[["CompactedDay"], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactedDay:
    """What happened to one day."""

    day: date
    parts: int  # before; one after
    rows_before: int
    rows_after: int


def compact(raw_dir: Path, *, today: date, memory_mib: int = 1024, on_day: Wrote | None = None) -> list[CompactedDay]:
    """Compact every closed day that is not compact yet; the days done, oldest first.

    A day is closed once ``today`` is later. Events are the same event by (user_id, kind, event_hash); the earliest received_at stays. The
    rows of a file are ordered by user and occurred_at. A reader that has listed the files before may find one gone: let it list again.

    Parameters
    ----------
    today
        The current UTC day; nothing of it or later is touched.
    memory_mib
        About how much memory to use; what does not fit is spilled to disk below ``raw_dir``.

    Raises
    ------
    StoreError
        If another compaction runs, or days could not be compacted: the others are done, and these are as they were.

    Examples
    --------
    >>> compact(Path("/nowhere"), today=date(2026, 3, 1))
    []
    """
    if not raw_dir.is_dir():
        return []
    done: list[CompactedDay] = []
    failed: list[str] = []
    with sole_writer(raw_dir), _connected(raw_dir / _SPILL, memory_mib) as connection:
        for folder in closed_days(raw_dir, today):
            try:
                compacted = _compact_day(folder, connection)
            except (OSError, duckdb.Error, pa.ArrowException) as exc:
                failed.append(f"{folder.name} ({type(exc).__name__}: {str(exc).splitlines()[0] if str(exc) else ''})")
                continue
            done.append(compacted)
            if on_day is not None:
                on_day(compacted)
    if failed:
        raise StoreError(
            f"raw log {raw_dir}: {len(failed)} days are as they were, {len(done)} are compact; could not compact {'; '.join(failed)}"
        )
    return done


def closed_days(raw_dir: Path, today: date) -> Iterator[Path]:
    """Folders of days before ``today`` that are not compact, oldest first."""
    for folder in sorted(raw_dir.glob("day=*")):
        parts = _parts(folder)
        if _day_of(folder) is not None and folder.name < f"day={today.isoformat()}" and not _is_compact(parts):
            yield folder


@contextmanager
def sole_writer(raw_dir: Path, *, waits: bool = False) -> Iterator[None]:
    """Hold the right to replace parts of the raw log; the system gives it back even if this process is killed.

    Appending needs no right: an appender only ever adds parts.

    Parameters
    ----------
    waits
        For whoever holds it to end, instead of raising.

    Raises
    ------
    StoreError
        If another holds it.
    """
    handle = os.open(raw_dir / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        except BlockingIOError as exc:
            raise StoreError(f"raw log {raw_dir}: another process is replacing its parts; wait until it has ended") from exc
        yield
    finally:
        os.close(handle)


def erase_users(raw_dir: Path, user_ids: Sequence[str]) -> int:
    """Remove every event of the users, and what a compaction that was killed left behind; returns the number of events.

    Waits for a compaction to end: what it has read before it would otherwise write after.

    Raises
    ------
    StoreError
        If a file cannot be read or replaced; those before it are done, and doing it again is safe.
    """
    if not raw_dir.is_dir():
        return 0
    with sole_writer(raw_dir, waits=True):
        shutil.rmtree(raw_dir / _SPILL, ignore_errors=True)
        for folder in raw_dir.glob("day=*"):
            _remove_half_written(folder)
        return erase_rows(sorted(raw_dir.rglob("*.parquet")), user_ids)


@contextmanager
def _connected(spill: Path, memory_mib: int) -> Iterator[duckdb.DuckDBPyConnection]:
    settings = {"memory_limit": f"{memory_mib}MiB", "temp_directory": str(spill)}
    try:
        with duckdb.connect(config=settings) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET enable_progress_bar = false")  # it would go to standard output
            yield connection
    finally:
        shutil.rmtree(spill, ignore_errors=True)


def _compact_day(folder: Path, connection: duckdb.DuckDBPyConnection) -> CompactedDay:
    _remove_half_written(folder)
    parts = _parts(folder)
    rows_before = sum(pq.read_metadata(part).num_rows for part in parts)
    temporary = folder / f".{COMPACT_PREFIX}{os.getpid()}"
    try:
        rows_after = _merge(parts, temporary, connection)
        merged = folder / f"{COMPACT_PREFIX}{_content_hash(temporary)}.parquet"
        temporary.replace(merged)
    finally:
        temporary.unlink(missing_ok=True)
    flush_folder(folder)
    for part in parts:
        if part != merged:
            part.unlink(missing_ok=True)
    flush_folder(folder)
    day = _day_of(folder)
    assert day is not None
    return CompactedDay(day=day, parts=len(parts), rows_before=rows_before, rows_after=rows_after)


def _remove_half_written(folder: Path) -> None:
    """Of a compaction that was killed: whoever calls this holds the lock."""
    for half_written in folder.glob(f".{COMPACT_PREFIX}*"):
        half_written.unlink()


def _merge(parts: list[Path], target: Path, connection: duckdb.DuckDBPyConnection) -> int:
    """Write every event of the parts once, and flush; the number of events."""
    files = connection.read_parquet([str(part) for part in parts], hive_partitioning=False, union_by_name=True)
    files.create_view("parts", replace=True)
    rows = 0
    with target.open("wb") as file:
        with pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
            for batch in connection.sql(_deduplicated()).to_arrow_reader(_ROWS_PER_GROUP):
                writer.write_table(pa.Table.from_batches([batch]).cast(SCHEMA))
                rows += batch.num_rows
        file.flush()
        os.fsync(file.fileno())
    return rows


def _deduplicated() -> str:
    """The query: `SCHEMA`'s columns, one row an event. Rows of one key have the same content, except for when they were received."""
    columns = ", ".join(_aggregated(name) for name in SCHEMA.names)
    return f"SELECT {columns} FROM parts GROUP BY {', '.join(_KEY)} ORDER BY {_ORDER}"  # noqa: S608 - names of ours


def _aggregated(name: str) -> str:
    if name in _KEY:
        return name
    return f"{'min' if name == 'received_at' else 'any_value'}({name}) AS {name}"


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*.parquet"))


def _is_compact(parts: list[Path]) -> bool:
    return not parts or (len(parts) == 1 and parts[0].name.startswith(COMPACT_PREFIX))


def _day_of(folder: Path) -> date | None:
    try:
        return date.fromisoformat(folder.name.removeprefix("day="))
    except ValueError:
        return None


def _content_hash(file: Path) -> str:
    digest = xxhash.xxh3_128()
    with file.open("rb") as stream:
        while chunk := stream.read(_READ_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
