"""Snapshots of a log that does not fit into memory: events and rows are first parted by user, then each part is computed by itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from features.backfill.columns import columns_from_table
from features.backfill.raw_scan import open_raw_log
from features.backfill.snapshots import snapshots_of
from features.core.product import Product
from features.ingest.event_table import SCHEMA

EVENTS_PER_PART = 2_000_000
"""About how many events are in memory at once: one part takes about 1 GB at 80 features."""
MAX_PARTS = 256
"""More at once, and DuckDB holds more half-written files than it is worth."""

_PARTING_MEMORY = "3GB"
_COLUMNS = ("user_id", "kind", "occurred_at", "received_at", "event_hash", "subject_hash", "value", "session_hash")
_EVENTS = ", ".join(_COLUMNS)
_EVENTS_SCHEMA = pa.schema([SCHEMA.field(name) for name in _COLUMNS])
_SPINE_SCHEMA = pa.schema([("user_id", pa.string()), ("as_of", pa.timestamp("us", tz="UTC"))])
_TEXTS = ["user_id", "feature_fingerprint"]
Progress = Callable[[int, int], None]
"""Called with the parts done and all parts."""


def stream_snapshots(
    raw_dir: Path, product: Product, spine: Path, out_dir: Path, *, events_per_part: int = EVENTS_PER_PART, progress: Progress | None = None
) -> int:
    """Compute every feature at every row of a spine, from Parquet to Parquet, in memory that the size of the log does not change.

    Parameters
    ----------
    spine
        A Parquet file, or a folder of them, with the columns ``user_id`` and ``as_of`` (timestamp with a zone).
    out_dir
        Is created; gets one file ``part-NNNN.parquet`` for each part of the users, in the columns of `snapshots_of`. All rows of a user
        are in one part; rows come in no order.

    Returns
    -------
    int
        Rows written: as many as the spine has.

    Raises
    ------
    FileExistsError
        If ``out_dir`` is there and not empty: snapshots of two runs must not mix.
    """
    if out_dir.exists() and any(out_dir.iterdir()):
        raise FileExistsError(f"{out_dir}: got a folder with files in it, expected an empty or a new one; name another or empty it")
    out_dir.mkdir(parents=True, exist_ok=True)
    spool = out_dir / "spool"
    try:
        n_parts, n_rows = _part_by_user(raw_dir, spine, spool, events_per_part), 0
        for part in range(n_parts):
            n_rows += _one_part(part, spool, product, out_dir / f"part-{part:04}.parquet")
            if progress is not None:
                progress(part + 1, n_parts)
        return n_rows
    finally:
        shutil.rmtree(spool, ignore_errors=True)


def _part_by_user(raw_dir: Path, spine: Path, spool: Path, events_per_part: int) -> int:
    """Write events and spine rows to files by part of the users; number of parts."""
    spool.mkdir()
    with open_raw_log(raw_dir) as connection:
        connection.execute(f"SET memory_limit = '{_PARTING_MEMORY}'")
        connection.execute(f"SET temp_directory = '{spool / 'spill'}'")
        connection.execute("SET preserve_insertion_order = false")
        found = connection.execute("SELECT count(*) FROM parts").fetchone()
        assert found is not None
        n_parts = min(max(-(-int(found[0]) // events_per_part), 1), MAX_PARTS)
        # Duplicates stay: the kernel unites them, and to find them here would mean to sort the whole log.
        _write_parts(connection, f"SELECT {_EVENTS} FROM parts", spool / "events", n_parts)  # noqa: S608 - names of ours
        files = str(spine / "**" / "*.parquet") if spine.is_dir() else str(spine)
        connection.read_parquet(files).create_view("spine")
        _write_parts(connection, "SELECT user_id, as_of FROM spine", spool / "spine", n_parts)
    return n_parts


def _write_parts(connection: duckdb.DuckDBPyConnection, rows: str, folder: Path, n_parts: int) -> None:
    connection.execute(
        f"COPY (SELECT *, (hash(user_id) % {n_parts})::INTEGER AS part FROM ({rows})) TO '{folder}' "  # noqa: S608 - text of ours
        "(FORMAT parquet, PARTITION_BY (part), COMPRESSION lz4_raw)"
    )


def _one_part(part: int, spool: Path, product: Product, out: Path) -> int:
    """Compute one part; number of rows."""
    spine = _read(spool / "spine" / f"part={part}", _SPINE_SCHEMA)
    if spine.num_rows == 0:
        return 0
    raw = columns_from_table(_read(spool / "events" / f"part={part}", _EVENTS_SCHEMA), product.catalogue.kinds)
    pq.write_table(snapshots_of(raw, product, spine), out, compression="zstd", compression_level=1, use_dictionary=_TEXTS)
    return len(spine)


def _read(folder: Path, schema: pa.Schema) -> pa.Table:
    """All files of one part; none if no user of it is there."""
    files = sorted(folder.glob("*.parquet"))
    tables = [pq.read_table(file, columns=schema.names, partitioning=None).cast(schema) for file in files]
    return pa.concat_tables([schema.empty_table(), *tables])
