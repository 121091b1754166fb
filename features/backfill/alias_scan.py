"""The log of aliases as relations: who is attached to whom, and who holds whose events since when."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

ALIAS_PARTS_GLOB = "part-*.parquet"

_INSTANT = pa.timestamp("us", tz="UTC")

ALIAS_SCHEMA = pa.schema(
    [
        pa.field("previous_id", pa.string(), nullable=False),
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("occurred_at", _INSTANT, nullable=False),  # as sent
        pa.field("received_at", _INSTANT, nullable=False),  # from when on it counts
    ]
)
"""Columns of every part file of the log of aliases, in order."""

# Only accepted aliases are logged, so an id has one user and there are no circles. Should a log that was put together by hand say
# otherwise, the first alias of an id counts, and those that form a circle do not.
_LINKS = """
CREATE TABLE links AS
SELECT previous_id, arg_min(user_id, (received_at, user_id)) AS user_id, min(received_at) AS known_at
FROM alias_parts WHERE previous_id <> user_id GROUP BY previous_id
"""

_CHAIN = """
WITH RECURSIVE chain AS (
    SELECT previous_id AS id, user_id AS holder, known_at FROM links
    UNION
    SELECT chain.id, links.user_id, greatest(chain.known_at, links.known_at) FROM chain JOIN links ON links.previous_id = chain.holder
)
"""

_WITHOUT_CIRCLES = f"DELETE FROM links WHERE previous_id IN ({_CHAIN} SELECT id FROM chain WHERE holder = id)"  # noqa: S608 - text of ours

_HELD = f"CREATE TABLE held AS {_CHAIN} SELECT id, holder, known_at FROM chain"  # noqa: S608 - text of ours


def add_aliases(connection: duckdb.DuckDBPyConnection, aliases_dir: Path) -> bool:
    """Create the tables ``links`` (previous_id, user_id, known_at) and ``held`` (id, holder, known_at); whether there are any.

    ``held`` follows the chains: everyone along the chain of an id holds its events, known since the latest alias on the way there.
    """
    files = sorted(str(part) for part in aliases_dir.glob(ALIAS_PARTS_GLOB))
    return _add(connection, connection.read_parquet(files) if files else connection.from_arrow(ALIAS_SCHEMA.empty_table()))


def follow_aliases(aliases: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The tables ``links`` and ``held`` of `add_aliases`, from rows of `ALIAS_SCHEMA`; duplicates allowed.

    Examples
    --------
    >>> def alias(previous_id, user_id, second):
    ...     return {"previous_id": previous_id, "user_id": user_id, "occurred_at": second * 1_000_000, "received_at": second * 1_000_000}
    >>> rows = [alias("web-7", "web-8", 20), alias("web-8", "ada", 10)]
    >>> links, held = follow_aliases(pa.Table.from_pylist(rows, schema=ALIAS_SCHEMA))
    >>> sorted((row["id"], row["holder"], row["known_at"].second) for row in held.to_pylist())
    [('web-7', 'ada', 20), ('web-7', 'web-8', 20), ('web-8', 'ada', 10)]
    """
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        _add(connection, connection.from_arrow(aliases))
        links, held = (connection.sql(f"SELECT * FROM {name}").to_arrow_table() for name in ("links", "held"))  # noqa: S608 - names of ours
    return links, held


def _add(connection: duckdb.DuckDBPyConnection, parts: duckdb.DuckDBPyRelation) -> bool:
    parts.create_view("alias_parts")
    connection.execute(_LINKS)
    connection.execute(_WITHOUT_CIRCLES)
    connection.execute(_HELD)
    return bool(connection.execute("SELECT 1 FROM links LIMIT 1").fetchall())
