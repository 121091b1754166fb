"""Feature snapshots: every named feature at every row of a spine, computed from the raw log by the batch kernel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from features.backfill.columns import RawColumns, read_columns
from features.core.columns import Int64s
from features.core.kernel import batch_vectors
from features.core.product import Product
from features.core.program import compile_program
from features.core.workspace import Workspace

_INSTANT = pa.timestamp("us", tz="UTC")


def build_snapshots(raw_dir: Path, product: Product, spine: pa.Table) -> pa.Table:
    """Compute the snapshots of a spine from the raw log in ``raw_dir``; see `snapshots_of`."""
    return snapshots_of(read_columns(raw_dir, product), product, spine)


def snapshots_of(raw: RawColumns, product: Product, spine: pa.Table, *, workspace: Workspace | None = None) -> pa.Table:
    """Compute every feature of the catalogue at every (user_id, as_of) of a spine.

    Parameters
    ----------
    spine
        With the columns ``user_id`` and ``as_of`` (timestamp with a zone), in any order. A user without events has the vector of one of
        whom nothing is known, an id that is attached to another by then the vector of whom it stands for.
    workspace
        For a caller who computes one log after another; see `Workspace`.

    Returns
    -------
    Table
        In the spine's order: ``user_id``, ``event_timestamp`` and ``snapshot_as_of`` (both as_of; timestamp[us, UTC]),
        ``feature_fingerprint``, and one double column per feature, NaN where it is not defined.
    """
    as_of = spine["as_of"].cast(_INSTANT)
    as_of_us = np.asarray(as_of.cast(pa.int64()), np.int64)
    user = _whom(_codes(spine["user_id"], raw), as_of_us, raw)
    n_users = len(raw.user_ids) + 1  # the last code stands for everyone without events
    vectors = batch_vectors(raw.columns, n_users, user, as_of_us, compile_program(product.catalogue), workspace=workspace)
    fingerprint = pa.repeat(pa.scalar(product.catalogue.fingerprint, pa.string()), spine.num_rows)
    marks = {"user_id": spine["user_id"].cast(pa.string()), "event_timestamp": as_of, "snapshot_as_of": as_of}
    numbers = {
        name: pa.array(np.ascontiguousarray(column)) for name, column in zip(product.catalogue.feature_names, vectors.T, strict=True)
    }
    return pa.table(marks | {"feature_fingerprint": fingerprint} | numbers)


def _whom(user: Int64s, as_of_us: Int64s, raw: RawColumns) -> Int64s:
    whom, known = user.copy(), user < len(raw.user_ids)
    whom[known] = raw.attachments.whom(user[known], as_of_us[known])
    return whom


def _codes(user_ids: pa.ChunkedArray, raw: RawColumns) -> Int64s:
    """Position of each user among the log's users; one past them for a user who is not there."""
    encoded = user_ids.cast(pa.string()).combine_chunks().dictionary_encode()
    code_of = {user_id: code for code, user_id in enumerate(raw.user_ids.tolist())}
    codes = [code_of.get(user_id, len(code_of)) for user_id in encoded.dictionary.to_pylist()]
    return np.array(codes, np.int64)[np.asarray(encoded.indices, np.int64)]
