"""The raw log as one deduplicated relation: each event once, as known from its earliest arrival."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from features.backfill.alias_scan import add_aliases
from features.ingest.event_table import SCHEMA

PARTS_GLOB = "day=*/part-*.parquet"
"""Part files below a raw log's folder; anything else there (a part half written) is not read."""

_DEDUPLICATED = """
CREATE VIEW events AS
SELECT any_value(event_id) AS event_id, user_id, kind, any_value(occurred_at) AS occurred_at, min(received_at) AS received_at,
       any_value(subject) AS subject, any_value(value) AS value, any_value(session_id) AS session_id,
       event_hash, any_value(subject_hash) AS subject_hash, any_value(session_hash) AS session_hash
FROM parts GROUP BY user_id, kind, event_hash
"""

_KNOWN = """
CREATE VIEW known_{rows} AS
SELECT *, received_at AS known_at, false AS is_attached FROM {rows}
"""

_ATTACHED = """
UNION ALL
SELECT {rows}.* REPLACE (held.holder AS user_id), greatest({rows}.received_at, held.known_at), true
FROM {rows} JOIN held ON held.id = {rows}.user_id
"""


@contextmanager
def open_raw_log(raw_dir: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB connection with the views ``events`` and ``known_events``, and the tables of `features.backfill.alias_scan`.

    ``events`` has the columns of `SCHEMA`, deduplicated by (user_id, kind, event_hash); a folder that is missing or empty is a log without
    events. ``occurred_at`` is as sent; the earliest ``received_at`` wins. ``known_events`` are the same rows with ``known_at``, and
    once more, ``is_attached``, for everyone whom the id that sent them is attached to by the aliases in the folder ``aliases`` beside.
    ``parts`` and ``known_parts`` are the same with duplicates, which cost nothing to leave in.
    """
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        files = sorted(str(part) for part in raw_dir.glob(PARTS_GLOB))
        parts = connection.read_parquet(files, hive_partitioning=False) if files else connection.from_arrow(SCHEMA.empty_table())
        parts.create_view("parts")
        connection.execute(_DEDUPLICATED)
        has_aliases = add_aliases(connection, raw_dir.with_name("aliases"))
        known = _KNOWN + _ATTACHED if has_aliases else _KNOWN  # an empty join would still deduplicate twice
        for rows in ("events", "parts"):
            connection.execute(known.format(rows=rows))
        yield connection


def scan(raw_dir: Path) -> pa.Table:
    """Read every event of the log once, in no particular order, as a table of `SCHEMA`."""
    with open_raw_log(raw_dir) as connection:
        return connection.sql("SELECT * FROM events").to_arrow_table().cast(SCHEMA)


def data_fingerprint(raw_dir: Path) -> str:
    """Fingerprint what the log says: 64 hex digits that change with any event, its user, an alias, or the instant it became known.

    Order, duplicates and the division into files do not matter: the first 8 bytes of each event's SHA-256 are added up, and the
    sum and the number of events are hashed with SHA-256.
    """
    with open_raw_log(raw_dir) as connection:
        return fingerprint_of(connection)


def fingerprint_of(connection: duckdb.DuckDBPyConnection) -> str:
    """`data_fingerprint` of a raw log that is open: of the very files that its other queries read."""
    row = connection.execute(
        "SELECT count(*), coalesce(sum(('0x' || sha256(concat_ws(chr(0), event_hash, epoch_us(known_at), kind, user_id))[:16])"
        "::UBIGINT), 0) FROM known_events"
    ).fetchone()
    assert row is not None
    return hashlib.sha256(f"{row[0]}:{row[1]}".encode()).hexdigest()
