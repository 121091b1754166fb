"""From the raw log's table to the arrays that the batch kernel and the timelines are built from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.backfill.raw_scan import fingerprint_of, open_raw_log
from features.core.catalogue import Kind
from features.core.columns import EventColumns, Int64s
from features.core.product import Product

_NEEDED = "user_id, kind, occurred_at, received_at, event_hash, subject_hash, value, session_hash"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawColumns:
    """Events as columns and the users that their codes stand for."""

    columns: EventColumns  # user codes are positions in user_ids
    user_ids: npt.NDArray[np.object_]  # (n_users,) text, ascending by code point


def read_columns(raw_dir: Path, product: Product, user_ids: Sequence[str] = ()) -> RawColumns:
    """Read every event of the raw log once, of the users named or of all; kinds that the product no longer declares are left out.

    Users are coded in the order of their ids, so that the same log gives the same codes however it is split into files.
    """
    with open_raw_log(raw_dir) as connection:
        query = f"SELECT {_NEEDED} FROM events" + (" WHERE list_contains($users, user_id)" if user_ids else "")  # noqa: S608 - names of ours
        found = connection.sql(query, params={"users": list(user_ids)} if user_ids else None)
        return columns_from_table(found.to_arrow_table(), product.catalogue.kinds)


def read_fingerprinted(raw_dir: Path, product: Product) -> tuple[RawColumns, str]:
    """As `read_columns`, with the fingerprint of what was read; events that arrive meanwhile are in neither."""
    with open_raw_log(raw_dir) as connection:
        table = connection.sql(f"SELECT {_NEEDED} FROM events").to_arrow_table()  # noqa: S608 - names of ours
        return columns_from_table(table, product.catalogue.kinds), fingerprint_of(connection)


def columns_from_table(table: pa.Table, kinds: Sequence[Kind]) -> RawColumns:
    """Turn rows in the raw log's layout (`features.ingest.event_table.SCHEMA`, hashes included) into columns, in the same order.

    Rows of kinds that are not in ``kinds`` are left out, and users who have no others.
    """
    kind = pc.index_in(table["kind"], value_set=pa.array([kind.name for kind in kinds], pa.string()))
    known_kind = pc.is_valid(kind)
    if not pc.all(known_kind).as_py():
        table, kind = table.filter(known_kind), kind.filter(known_kind)
    user, user_ids = _coded(table["user_id"])
    occurred_us, received_us = _int64(table["occurred_at"]), _int64(table["received_at"])
    columns = EventColumns(
        user=user,
        kind=_int64(kind).astype(np.int16),
        occurred_us=occurred_us,
        known_us=received_us,
        skew_us=np.maximum(occurred_us - received_us, 0),
        event_hash=_int64(table["event_hash"]),
        subject=_int64(table["subject_hash"]),
        value=_int64(pc.fill_null(table["value"], 0)),
        session=_int64(table["session_hash"]),
    )
    return RawColumns(columns=columns, user_ids=user_ids)


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
