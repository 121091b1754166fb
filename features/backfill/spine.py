"""(user, as_of) rows to learn from, with their labels: implied by the log, or stated in a file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from features.backfill.columns import NEVER_US, RawColumns
from features.core.columns import Int64s
from features.core.labels import NO_EVENT_US, label_rows, spine_rows
from features.core.product import Product
from features.declarations.log import LabelsLog

_INSTANT = pa.timestamp("us", tz="UTC")
_EVER_US = NEVER_US - 1  # later than every alias

SPINE_SCHEMA = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("as_of", _INSTANT, nullable=False),
        pa.field("dropped_out", pa.bool_(), nullable=False),  # means something only once known_at has passed
        pa.field("known_at", _INSTANT, nullable=False),  # from when on the label may be known
    ]
)
"""Columns of a labelled spine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """The events that count as activity for the label, at their effective time."""

    user: Int64s  # codes as in `RawColumns`
    occurred_us: Int64s  # occurred_us - skew_us


def activity_of(raw: RawColumns, product: Product) -> Activity:
    """Pick the events of the label's activity kinds: of whole persons, under the code of whom all their ids end up with."""
    counts = _is_activity(raw, product) & ~raw.is_attached
    person = raw.attachments.whom(raw.columns.user[counts], _EVER_US)
    return Activity(user=person, occurred_us=_effective_us(raw)[counts])


def seen_activity_of(raw: RawColumns, product: Product) -> Activity:
    """Pick the same events under every id that held them, at the instant from which they could be seen there."""
    counts = _is_activity(raw, product)
    return Activity(user=raw.columns.user[counts], occurred_us=_seen_us(raw)[counts])


def first_last_us(raw: RawColumns) -> tuple[Int64s, Int64s]:
    """Find each user's first and last instant, shapes ``(n_users,)``: by effective time, of attached events from the alias on."""
    first = np.full(len(raw.user_ids), NO_EVENT_US, np.int64)
    last = np.full(len(raw.user_ids), np.iinfo(np.int64).min, np.int64)
    seen_us = _seen_us(raw)
    np.minimum.at(first, raw.columns.user, seen_us)
    np.maximum.at(last, raw.columns.user, seen_us)
    return first, last


def end_of_data_us(raw: RawColumns) -> int:
    """Find the latest instant up to which the log has seen everything: when its newest event became known; 0 for an empty log."""
    return int(raw.columns.known_us.max(initial=0))


def log_spine(raw: RawColumns, product: Product, *, until_us: int | None = None) -> pa.Table:
    """Build the rows that the product's spine rule asks for, with the labels that the log implies: a table of `SPINE_SCHEMA`.

    Only mature rows: those whose whole horizon lies before the end of the data. An id that was attached to another has rows up to then,
    as it could be asked about; whether it dropped out is whether the person did, under whichever id.

    Parameters
    ----------
    until_us
        End of the data; default: `end_of_data_us`.
    """
    label, end_us = product.label, end_of_data_us(raw) if until_us is None else until_us
    activity, seen = activity_of(raw, product), seen_activity_of(raw, product)
    first_us, _ = first_last_us(raw)
    spine = spine_rows(first_us, label.spine, end_of_data_us=end_us, activity_user=seen.user, activity_occurred_us=seen.occurred_us)
    person = raw.attachments.whom(spine.user, _EVER_US)
    horizon_us = label.horizon // timedelta(microseconds=1)
    labels = label_rows(activity.user, activity.occurred_us, person, spine.as_of_us, horizon_us=horizon_us, end_of_data_us=end_us)
    kept = labels.mature & (spine.as_of_us < raw.attachments.since_us[spine.user])
    as_of_us = spine.as_of_us[kept]
    return _spine_table(raw.user_ids[spine.user[kept]], as_of_us, labels.dropped_out[kept], as_of_us + horizon_us)


def read_labels(declaration: LabelsLog, labels_dir: Path) -> pa.Table:
    """Read the imported labels of a labels log: a table of `SPINE_SCHEMA`, empty when none were imported.

    The file is ``<labels_dir>/<name of the log>.parquet``, as `features.ingest.import_log` leaves it.
    """
    file = labels_dir / f"{declaration.name}.parquet"
    return pq.read_table(file).cast(SPINE_SCHEMA) if file.exists() else SPINE_SCHEMA.empty_table()


def _is_activity(raw: RawColumns, product: Product) -> npt.NDArray[np.bool_]:
    kinds = [index for index, kind in enumerate(product.catalogue.kinds) if kind.name in product.label.activity]
    return np.isin(raw.columns.kind, kinds)


def _effective_us(raw: RawColumns) -> Int64s:
    return raw.columns.occurred_us - raw.columns.skew_us


def _seen_us(raw: RawColumns) -> Int64s:
    """Effective times; of events that came with another id, when they became known for this one."""
    return np.where(raw.is_attached, raw.columns.known_us, _effective_us(raw))


def _spine_table(user_ids: npt.NDArray[np.object_], as_of_us: Int64s, dropped_out: npt.NDArray[np.bool_], known_us: Int64s) -> pa.Table:
    arrays = [
        pa.array(user_ids, pa.string()),
        pa.array(as_of_us).cast(_INSTANT),
        pa.array(dropped_out),
        pa.array(known_us).cast(_INSTANT),
    ]
    return pa.Table.from_arrays(arrays, schema=SPINE_SCHEMA)
