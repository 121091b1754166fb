"""Decisions as receipts tell them, and what became of their users as the raw log tells it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.backfill.columns import RawColumns
from features.backfill.spine import activity_of, end_of_data_us
from features.core.labels import label_rows
from features.core.product import Product
from training.frame import AS_OF, OUTCOME, USER, to_us_array
from training.thresholds.errors import ForeignReceiptsError, NoReceiptsError

RISK, THRESHOLD, SEGMENT, ACTION = "risk", "threshold", "segment", "action"
_COLUMNS = ["decision_id", USER, AS_OF, RISK, THRESHOLD, SEGMENT, ACTION, "features", "model"]
_EVER_US = int(np.iinfo(np.int64).max) - 1
_US = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """One decision a user and UTC day, the day's first, ordered by as_of; and how many were left out, by reason."""

    rows: pd.DataFrame  # decision_id, user_id, as_of, risk, threshold, segment, action, features, model; once joined: dropped_out
    left_out: dict[str, int]


def read_decisions(receipts_dir: Path, product: Product, *, since: datetime | None = None, with_receipt: bool = False) -> Decided:
    """Read exported receipts that have a risk and are of the product's present features.

    Parameters
    ----------
    since
        Decisions before it are left out.
    with_receipt
        Also read the whole receipt, as the column ``receipt``.

    Raises
    ------
    NoReceiptsError
        If there are none.
    ForeignReceiptsError
        If there are some, and all are of features that mean something else, or of another product.
    """
    parts = sorted(receipts_dir.glob("day=*/part-*.parquet"))
    rows = _read(parts, [*_COLUMNS, *(["receipt"] if with_receipt else [])])
    if since is not None:
        rows = rows[rows[AS_OF] >= since]
    if len(rows) == 0:
        raise NoReceiptsError(f"no receipts in {receipts_dir}, expected some; the worker exports them every few seconds while it runs")
    known = rows[rows["features"] == product.catalogue.fingerprint]
    if len(known) == 0:
        raise ForeignReceiptsError(
            f"all {len(rows)} receipts in {receipts_dir} are of features {sorted(rows['features'].dropna().unique())}, expected those of"
            f" product {product.name}, {product.catalogue.fingerprint}; pass the product and home that decided, or wait for new decisions"
        )
    scored = known[known[RISK].notna()]
    day = scored[AS_OF].dt.floor("D")
    daily = scored.sort_values([AS_OF, "decision_id"]).groupby([USER, day], sort=False).head(1)
    left_out = {
        "other features": len(rows) - len(known),
        "no risk": len(known) - len(scored),
        "not the day's first": len(scored) - len(daily),
    }
    return Decided(rows=daily.sort_values([AS_OF, "decision_id"], ignore_index=True), left_out=left_out)


def with_outcomes(decided: Decided, raw: RawColumns, product: Product) -> Decided:
    """Keep decisions whose whole horizon the log has seen, each with whether its user then dropped out.

    Users whom the log does not know are left out and counted: of them nothing can be said.
    """
    rows = decided.rows
    code_of = {user_id: code for code, user_id in enumerate(raw.user_ids.tolist())}
    codes = np.array([code_of.get(user_id, -1) for user_id in rows[USER]], dtype=np.int64)
    known = codes >= 0
    activity = activity_of(raw, product)
    person = raw.attachments.whom(codes[known], _EVER_US)
    horizon_us = product.label.horizon // _US
    labels = label_rows(
        activity.user,
        activity.occurred_us,
        person,
        to_us_array(rows[AS_OF])[known],
        horizon_us=horizon_us,
        end_of_data_us=end_of_data_us(raw),
    )
    joined = rows[known].assign(**{OUTCOME: labels.dropped_out})[labels.mature]
    left_out = decided.left_out | {"user not in the log": int((~known).sum()), "outcome not known yet": int((~labels.mature).sum())}
    return replace(decided, rows=joined.reset_index(drop=True), left_out=left_out)


def _read(parts: list[Path], columns: list[str]) -> pd.DataFrame:
    try:
        tables = [pq.ParquetFile(part).read(columns=columns) for part in parts]
    except (OSError, pa.ArrowException) as exc:
        raise NoReceiptsError(f"receipts could not be read ({type(exc).__name__}: {exc}); move the broken file away") from exc
    if not tables:
        return pd.DataFrame({name: pd.Series(dtype="object") for name in columns}).astype({AS_OF: "datetime64[us, UTC]"})
    frame: Any = pa.concat_tables(tables).to_pandas()
    rows: pd.DataFrame = frame.drop_duplicates("decision_id")
    return rows
