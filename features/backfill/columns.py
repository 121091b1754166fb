"""From the raw log's table to the arrays that the batch kernel and the timelines are built from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.backfill.raw_scan import fingerprint_of, open_raw_log
from features.core.catalogue import Kind
from features.core.columns import EventColumns, Int64s
from features.core.product import Product

_NEEDED = "user_id, kind, occurred_at, received_at, event_hash, subject_hash, value, session_hash, known_at, is_attached"

NEVER_US = int(np.iinfo(np.int64).max)
"""In `Attachments`: the id is attached to nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachments:
    """Which id is attached to which, shapes ``(n_users,)``."""

    holder: Int64s  # code of whom the id is attached to; its own code when to nobody
    since_us: Int64s  # from when on; `NEVER_US` when to nobody

    def whom(self, user: Int64s, as_of_us: Int64s | int) -> Int64s:
        """Codes of those whom ids stand for at instants: the ends of the chains of aliases known by then; shape of ``user``.

        Examples
        --------
        Id 0 is attached to 1 from 10 us on, and 1 to 2 from 20 us on:

        >>> attachments = Attachments(holder=np.array([1, 2, 2]), since_us=np.array([10, 20, NEVER_US]))
        >>> attachments.whom(np.array([0, 0, 0]), np.array([9, 10, 20])).tolist()
        [0, 1, 2]
        """
        current = user
        while (moves := self.since_us[current] <= as_of_us).any():
            current = np.where(moves, self.holder[current], current)
        return current


@dataclass(frozen=True, slots=True, kw_only=True)
class RawColumns:
    """Events as columns and the users that their codes stand for.

    The events of an id that is attached to another are there once for each along the chain, known to them since the alias.
    """

    columns: EventColumns  # user codes are positions in user_ids
    user_ids: npt.NDArray[np.object_]  # (n_users,) text, ascending by code point; ids that aliases name may have no events
    is_attached: npt.NDArray[np.bool_]  # (n_events,): the event came with another id
    attachments: Attachments


def read_columns(raw_dir: Path, product: Product, user_ids: Sequence[str] = ()) -> RawColumns:
    """Read every event of the raw log, aliases applied; kinds that the product no longer declares are left out.

    Users are coded in the order of their ids, so that the same log gives the same codes however it is split into files.

    Parameters
    ----------
    user_ids
        Only what these users hold, and then without `RawColumns.attachments`; none named: all.
    """
    with open_raw_log(raw_dir) as connection:
        return _columns_of(connection, product, user_ids)


def read_fingerprinted(raw_dir: Path, product: Product) -> tuple[RawColumns, str]:
    """As `read_columns`, with the fingerprint of what was read; events that arrive meanwhile are in neither."""
    with open_raw_log(raw_dir) as connection:
        return _columns_of(connection, product), fingerprint_of(connection)


def _columns_of(connection: duckdb.DuckDBPyConnection, product: Product, user_ids: Sequence[str] = ()) -> RawColumns:
    query = f"SELECT {_NEEDED} FROM known_events" + (" WHERE list_contains($users, user_id)" if user_ids else "")  # noqa: S608 - names of ours
    table = connection.sql(query, params={"users": list(user_ids)} if user_ids else None).to_arrow_table()
    links = None if user_ids else connection.sql("SELECT * FROM links").to_arrow_table()  # they would add users who were not named
    return columns_from_table(table, product.catalogue.kinds, links)


def columns_from_table(table: pa.Table, kinds: Sequence[Kind], links: pa.Table | None = None) -> RawColumns:
    """Turn rows in the raw log's layout (`features.ingest.event_table.SCHEMA`, hashes included) into columns, in the same order.

    Rows of kinds that are not in ``kinds`` are left out, and users who have no others.

    Parameters
    ----------
    table
        May have the columns ``known_at`` and ``is_attached`` of the view ``known_events``; else every event is known when received.
    links
        Aliases: ``previous_id``, ``user_id``, ``known_at``, one row for each previous id; default: none.
    """
    kind = pc.index_in(table["kind"], value_set=pa.array([kind.name for kind in kinds], pa.string()))
    known_kind = pc.is_valid(kind)
    if not pc.all(known_kind).as_py():
        table, kind = table.filter(known_kind), kind.filter(known_kind)
    named = [] if links is None else [*links["previous_id"].chunks, *links["user_id"].chunks]
    user, user_ids = _coded(pa.chunked_array([*table["user_id"].chunks, *named], pa.string()))
    user = user[: table.num_rows]
    occurred_us, received_us = _int64(table["occurred_at"]), _int64(table["received_at"])
    columns = EventColumns(
        user=user,
        kind=_int64(kind).astype(np.int16),
        occurred_us=occurred_us,
        known_us=_int64(table["known_at"]) if "known_at" in table.column_names else received_us,
        skew_us=np.maximum(occurred_us - received_us, 0),
        event_hash=_int64(table["event_hash"]),
        subject=_int64(table["subject_hash"]),
        value=_int64(pc.fill_null(table["value"], 0)),
        session=_int64(table["session_hash"]),
    )
    is_attached = np.asarray(table["is_attached"], np.bool_) if "is_attached" in table.column_names else np.zeros(len(user), np.bool_)
    return RawColumns(columns=columns, user_ids=user_ids, is_attached=is_attached, attachments=_attachments(links, user_ids))


def _attachments(links: pa.Table | None, user_ids: npt.NDArray[np.object_]) -> Attachments:
    holder, since_us = np.arange(len(user_ids)), np.full(len(user_ids), NEVER_US, np.int64)
    if links is not None and links.num_rows:
        known_ids = pa.array(user_ids, pa.string())
        previous, user = (_int64(pc.index_in(links[name], value_set=known_ids)) for name in ("previous_id", "user_id"))
        holder[previous], since_us[previous] = user, _int64(links["known_at"])
    return Attachments(holder=holder, since_us=since_us)


def _coded(texts: pa.ChunkedArray) -> tuple[Int64s, npt.NDArray[np.object_]]:
    """Code each text by its position among the distinct texts in ascending order."""
    encoded = texts.combine_chunks().dictionary_encode()
    distinct = encoded.dictionary.to_numpy(zero_copy_only=False)
    order = np.argsort(distinct, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank[encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)], distinct[order]


def _int64(column: pa.ChunkedArray) -> Int64s:
    return np.asarray(column.cast(pa.int64()), dtype=np.int64)
