"""The raw log: every admitted event as Parquet, partitioned by the UTC day it was received; and its twin in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from features.adapters.compaction import erase_users
from features.backfill.raw_scan import scan
from features.core.event import Event
from features.ingest.durable import flush_folder
from features.ingest.event_table import SCHEMA, event_table
from features.ports import StoreError

_US_PER_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class ParquetRawLog:
    """Appends part files ``<raw_dir>/day=YYYY-MM-DD/part-<content hash>.parquet``; never changes one.

    A part is named by its content, so that the same batch appended again (a retry after a crash) is the same file. Readable by DuckDB
    and pandas without this code; read it deduplicated through `scan`.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from tempfile import TemporaryDirectory
    >>> noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    >>> login = Event(event_id="e1", user_id="ada", kind="login", occurred_at=noon, received_at=noon)
    >>> with TemporaryDirectory() as folder:
    ...     log = ParquetRawLog(Path(folder))
    ...     log.append([login, login])
    ...     log.scan().num_rows
    1
    """

    raw_dir: Path

    def append(self, events: Sequence[Event]) -> None:
        """Store the events; durable once this returns.

        Raises
        ------
        StoreError
            If a file cannot be written; days already written stay, and appending the same events again completes them.
        """
        self.append_table(event_table(events))

    def append_table(self, table: pa.Table) -> None:
        """Store the rows of a table of `SCHEMA`, as `append` does."""
        try:
            for day, rows in _by_day(table):
                write_part(self.raw_dir / f"day={day}", rows)
        except OSError as exc:
            raise StoreError(f"raw log {self.raw_dir}: a part could not be written ({exc}); check free space and permissions") from exc

    def scan(self) -> pa.Table:
        """Read every event once, in no particular order."""
        return scan(self.raw_dir)

    def erase(self, user_ids: Sequence[str]) -> None:
        """Remove every event of the users; each part that holds one is replaced whole."""
        erase_users(self.raw_dir, user_ids)


@dataclass(frozen=True, slots=True)
class MemoryRawLog:
    """Keeps the tables it is given; for tests."""

    tables: list[pa.Table] = field(default_factory=list)

    def append(self, events: Sequence[Event]) -> None:
        """Keep the events."""
        self.append_table(event_table(events))

    def append_table(self, table: pa.Table) -> None:
        """Keep the rows."""
        self.tables.append(table)

    def scan(self) -> pa.Table:
        """Read every event once, with the earliest received_at, in no particular order."""
        rows = pa.concat_tables([SCHEMA.empty_table(), *self.tables])
        rows = rows.append_column("row", pa.array(np.arange(rows.num_rows))).sort_by("received_at")
        first = rows.group_by(["user_id", "kind", "event_hash"], use_threads=False).aggregate([("row", "first")])["row_first"]
        return rows.drop_columns("row").filter(pc.is_in(rows["row"], value_set=first.combine_chunks()))

    def erase(self, user_ids: Sequence[str]) -> None:
        """Remove every event of the users."""
        gone = pa.array(list(user_ids), pa.string())
        self.tables[:] = [table.filter(pc.invert(pc.is_in(table["user_id"], value_set=gone))) for table in self.tables]


def _by_day(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Split by the UTC day of received_at, days ascending, rows of a day in the order given."""
    day = table["received_at"].cast(pa.int64()).to_numpy() // _US_PER_DAY
    order = np.argsort(day, kind="stable")
    ordered, day = table.take(pa.array(order)), day[order]
    for number, start, n_rows in zip(*np.unique(day, return_index=True, return_counts=True), strict=True):
        yield str(np.datetime64(int(number), "D")), ordered.slice(start, n_rows)


def write_part(folder: Path, rows: pa.Table) -> None:
    """Write under a temporary name, flush, rename, flush the folder: after a crash a part is whole or absent."""
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd")
    content = sink.getvalue().to_pybytes()
    part = folder / f"part-{xxhash.xxh3_128_hexdigest(content)}.parquet"
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        flush_folder(folder.parent)
    temporary = folder / f".{part.name}.{os.getpid()}"
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(part)
    flush_folder(folder)
