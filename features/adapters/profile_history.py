"""Every profile change, for ever, and from them the offline history that a training row is joined with as of its own instant."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from features.ingest.durable import flush_folder
from features.ingest.erase_rows import erase_rows

_CHANGES = pa.schema([("user_id", pa.string()), ("attribute", pa.string()), ("value", pa.string()), ("changed_us", pa.int64())])
_INSTANT = pa.timestamp("us", tz="UTC")
_PARTS = b"stillhere:parts"
_DUCKDB_TYPES = {pa.string(): "VARCHAR", pa.float64(): "DOUBLE", pa.bool_(): "BOOLEAN"}


class ProfileHistory:
    """Changes as appended Parquet parts, and the history file made from them.

    Parameters
    ----------
    file
        The history: a row per user and change, holding all attributes as of then. The parts are in ``profile_changes`` beside it.
    attributes
        Arrow type of each attribute: string, float64 or bool.
    """

    def __init__(self, file: Path, attributes: Mapping[str, pa.DataType]) -> None:
        self._file = file
        self._parts = file.with_name("profile_changes")
        self._attributes = dict(attributes)

    def append(self, rows: Mapping[str, Mapping[str, Any]], *, changed_us: int) -> None:
        """Store one change of each user; durable once this returns."""
        self.append_history({changed_us: rows})

    def append_history(self, history: Mapping[int, Mapping[str, Mapping[str, Any]]]) -> None:
        """Store changes of many instants, as one part; durable once this returns."""
        changes = [
            {"user_id": user_id, "attribute": name, "value": None if value is None else _text(value), "changed_us": changed_us}
            for changed_us, rows in history.items()
            for user_id, attributes in rows.items()
            for name, value in attributes.items()
        ]
        if not changes:
            return
        if not self._parts.is_dir():
            self._parts.mkdir(parents=True, exist_ok=True)
            flush_folder(self._parts.parent)
        # Of two changes at the same instant the one that arrives later counts, so part names sort by arrival.
        part = self._parts / f"part-{time.time_ns():020d}-{os.getpid()}-{threading.get_ident()}.parquet"
        write_parquet(pa.Table.from_pylist(changes, schema=_CHANGES), part)

    def erase(self, user_ids: Sequence[str]) -> None:
        """Remove every change of the users, from the parts and from the history file."""
        erase_rows([*sorted(self._parts.glob("part-*.parquet")), self._file], user_ids)

    def refresh(self) -> None:
        """Bring the history file up to date with all parts and attributes; does nothing when it is."""
        parts = sorted(self._parts.glob("part-*.parquet"))
        digest = hashlib.sha256("\n".join([*(part.name for part in parts), *self._attributes]).encode()).hexdigest().encode()
        if self._file.exists() and (pq.read_schema(self._file).metadata or {}).get(_PARTS) == digest:
            return
        history = self._history(parts) if parts else self._schema.empty_table()
        write_parquet(history.replace_schema_metadata({_PARTS: digest}), self._file)

    @property
    def _schema(self) -> pa.Schema:
        return pa.schema([("user_id", pa.string()), ("event_timestamp", _INSTANT), *self._attributes.items()])

    def _history(self, parts: list[Path]) -> pa.Table:
        with duckdb.connect() as connection:
            table = connection.sql(_history_query(self._attributes), params=[[str(part) for part in parts]]).to_arrow_table()
        instants = table["changed_us"].cast(_INSTANT)
        columns = [table["user_id"], instants, *(table[name] for name in self._attributes)]
        return pa.table(columns, names=self._schema.names).cast(self._schema)


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write a Parquet file so that a reader sees all of it or, before that, what was there; durable once this returns."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    with temporary.open("wb") as file:
        pq.write_table(table, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    flush_folder(path.parent)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _history_query(attributes: Mapping[str, pa.DataType]) -> str:
    """All attributes as of each change. A struct tells a value that was unset (its field is NULL) from one never set (no struct)."""
    newest = ", ".join(
        f"last_value(CASE WHEN attribute = {_literal(name)} THEN {{'value': value}} END IGNORE NULLS) OVER so_far AS {_identifier(name)}"
        for name in attributes
    )
    typed = ", ".join(
        f"CAST({_identifier(name)}.value AS {_DUCKDB_TYPES[kind]}) AS {_identifier(name)}" for name, kind in attributes.items()
    )
    return f"""
        WITH changes AS (SELECT * FROM read_parquet(?, filename = true, file_row_number = true)),
        states AS (
            SELECT user_id, changed_us, filename, file_row_number, {newest} FROM changes
            WINDOW so_far AS (
                PARTITION BY user_id ORDER BY changed_us, filename, file_row_number ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            )
        )
        SELECT user_id, changed_us, {typed} FROM states
        QUALIFY row_number() OVER (PARTITION BY user_id, changed_us ORDER BY filename DESC, file_row_number DESC) = 1
        ORDER BY user_id, changed_us
    """  # noqa: S608 - names are quoted below


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _identifier(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
