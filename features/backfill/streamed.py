"""Snapshots of a log that does not fit into memory: events and rows are first parted by user, then each part is computed by itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from features.backfill.columns import columns_from_table
from features.backfill.raw_scan import open_raw_log
from features.backfill.snapshots import snapshots_of
from features.core.product import Product
from features.core.workspace import Workspace
from features.ingest.event_table import SCHEMA

EVENTS_PER_PART = 2_000_000
"""About how many events are in memory at once: one part takes about 1 GB at 80 features."""
ROWS_PER_PART = 200_000
"""About how many rows of the spine are computed at once."""
MAX_PARTS = 256
"""More at once, and DuckDB holds more half-written files than it is worth; beyond so many parts' events or rows, parts grow instead."""

_PARTING_MEMORY = "3GB"
_ENDS = "CREATE TABLE ends AS SELECT id, holder AS chain_end FROM held WHERE holder NOT IN (SELECT previous_id FROM links)"
_INSTANT = pa.timestamp("us", tz="UTC")
_COLUMNS = ("user_id", "kind", "occurred_at", "received_at", "event_hash", "subject_hash", "value", "session_hash")
_EVENTS = ", ".join((*_COLUMNS, "known_at", "is_attached"))
_EVENTS_SCHEMA = pa.schema([*(SCHEMA.field(name) for name in _COLUMNS), ("known_at", _INSTANT), ("is_attached", pa.bool_())])
_SPOOLED = {
    "events": _EVENTS_SCHEMA,
    "spine": pa.schema([("user_id", pa.string()), ("as_of", _INSTANT)]),
    "links": pa.schema([("previous_id", pa.string()), ("user_id", pa.string()), ("known_at", _INSTANT)]),
}
_TEXTS = ["user_id", "feature_fingerprint"]
Progress = Callable[[int, int], None]
"""Called with the parts done and all parts."""


class SpineError(ValueError):
    """A file of (user_id, as_of) rows cannot be used."""


def stream_snapshots(
    raw_dir: Path, product: Product, spine: Path, out_dir: Path, *, events_per_part: int = EVENTS_PER_PART, progress: Progress | None = None
) -> int:
    """Compute every feature at every row of a spine, from Parquet to Parquet, in memory that the size of the log does not change.

    Parameters
    ----------
    spine
        A Parquet file, or a folder of them, with the columns ``user_id`` and ``as_of`` (timestamp with a zone).
    out_dir
        Is made once all is computed; holds one file ``part-NNNN.parquet`` for each part of the users, in the columns of `snapshots_of`.
        All rows of a user are in one part; rows come in no order.

    Returns
    -------
    int
        Rows written: as many as the spine has.

    Raises
    ------
    FileExistsError
        If ``out_dir`` is there and not empty: snapshots of two runs must not mix.
    SpineError
        If ``spine`` is no Parquet, or lacks a column or a value, or its as_of is no timestamp with a zone.
    """
    files = _spine_files(spine)
    if out_dir.exists() and any(out_dir.iterdir()):
        raise FileExistsError(f"{out_dir}: got a folder with files in it, expected an empty or a new one; name another or empty it")
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    work = Path(mkdtemp(dir=out_dir.parent, prefix=f".{out_dir.name}-"))
    try:
        n_parts, n_rows = _part_by_user(raw_dir, files, work / "spool", events_per_part), 0
        (work / "done").mkdir()
        workspace = Workspace()
        for part in range(n_parts):
            n_rows += _one_part(part, work / "spool", product, work / "done" / f"part-{part:04}.parquet", workspace)
            if progress is not None:
                progress(part + 1, n_parts)
        (work / "done").replace(out_dir)  # all parts at once: what is there is whole
        return n_rows
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _spine_files(spine: Path) -> list[str]:
    """The files of the spine, each with the columns that are needed."""
    files = sorted(spine.rglob("*.parquet")) if spine.is_dir() else [spine]
    if not files:
        raise SpineError(f"{spine}: found no file *.parquet in it, expected at least one with the columns user_id and as_of")
    for file in files:
        try:
            schema = pq.read_schema(file)
        except (pa.ArrowInvalid, OSError) as exc:
            raise SpineError(f"{file}: got no Parquet ({exc}), expected a Parquet file with the columns user_id and as_of") from exc
        if missing := {"user_id", "as_of"} - set(schema.names):
            raise SpineError(
                f"{file}: found the columns {', '.join(schema.names)}, expected {' and '.join(sorted(missing))} too; rename them"
            )
        kind = schema.field("as_of").type
        if not pa.types.is_timestamp(kind) or kind.tz is None:
            raise SpineError(f"{file}: as_of: found {kind}, expected a timestamp with a zone; say in which zone it is, UTC for example")
    return [str(file) for file in files]


def _part_by_user(raw_dir: Path, spine: list[str], spool: Path, events_per_part: int) -> int:
    """Write events and spine rows to files by part of the users; number of parts."""
    spool.mkdir()
    with open_raw_log(raw_dir) as connection:
        connection.execute(f"SET memory_limit = '{_PARTING_MEMORY}'")
        connection.execute(f"SET temp_directory = {_quoted(spool / 'spill')}")
        connection.execute("SET preserve_insertion_order = false")
        connection.read_parquet(spine).create_view("spine")
        n_events = _one_number(connection, "SELECT count(*) FROM known_parts")
        n_rows = _one_number(connection, "SELECT count(*) FROM spine")
        if _one_number(connection, "SELECT count(*) FROM spine WHERE user_id IS NULL OR as_of IS NULL"):
            raise SpineError(f"{spine[0]}: found rows without a user_id or without an as_of, expected both in every row; leave those out")
        n_parts = min(max(-(-n_events // events_per_part), -(-n_rows // ROWS_PER_PART), 1), MAX_PARTS)
        connection.execute(_ENDS)
        # Duplicates stay: the kernel unites them, and to find them here would mean to sort the whole log.
        _write_parts(connection, f"SELECT {_EVENTS} FROM known_parts", spool / "events", n_parts)  # noqa: S608 - names of ours
        _write_parts(connection, "SELECT user_id, as_of FROM spine", spool / "spine", n_parts)
        _write_parts(connection, "SELECT previous_id, user_id, known_at FROM links", spool / "links", n_parts)
    return n_parts


def _one_number(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None  # an aggregate always has one
    return int(row[0])


def _quoted(path: Path) -> str:
    """A path as a literal of SQL."""
    return "'" + str(path).replace("'", "''") + "'"


def _write_parts(connection: duckdb.DuckDBPyConnection, rows: str, folder: Path, n_parts: int) -> None:
    """Write rows with a ``user_id`` by part: everyone is in the part of whom they stand for at the end, so that no alias crosses parts."""
    connection.execute(
        f"COPY (SELECT rows.*, (hash(coalesce(chain_end, user_id)) % {n_parts})::INTEGER AS part "  # noqa: S608 - text of ours
        f"FROM ({rows}) AS rows LEFT JOIN ends ON ends.id = rows.user_id) TO {_quoted(folder)} "
        "(FORMAT parquet, PARTITION_BY (part), COMPRESSION lz4_raw)"
    )


def _one_part(part: int, spool: Path, product: Product, out: Path, workspace: Workspace) -> int:
    """Compute one part; number of rows."""
    events, spine, links = (_read(spool / name / f"part={part}", schema) for name, schema in _SPOOLED.items())
    if spine.num_rows == 0:
        return 0
    raw = columns_from_table(events, product.catalogue.kinds, links)
    pq.write_table(
        snapshots_of(raw, product, spine, workspace=workspace), out, compression="zstd", compression_level=1, use_dictionary=_TEXTS
    )
    return len(spine)


def _read(folder: Path, schema: pa.Schema) -> pa.Table:
    """All files of one part; none if no user of it is there."""
    files = sorted(folder.glob("*.parquet"))
    tables = [pq.read_table(file, columns=schema.names, partitioning=None).cast(schema) for file in files]
    return pa.concat_tables([schema.empty_table(), *tables])
