"""From a raw log to a training frame: spine and labels, snapshots, Feast's point-in-time join."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.backfill.columns import RawColumns, read_fingerprinted
from features.backfill.snapshots import snapshots_of
from features.backfill.spine import log_spine, read_labels
from features.core.product import Product
from features.declarations.log import LabelsLog
from features.home import Home
from training.errors import EmptyLogError, LeakError, NoMatureLabelsError, UnknownLabelsError
from training.frame import AS_OF, OUTCOME, USER, TrainingFrame, carried_attributes, with_ages
from training.pipeline import Report, say_nothing

Join = Callable[[Product, Home, pa.Table, pa.Table], pd.DataFrame]
"""(product, home, spine, snapshots) to the spine's rows with features and profile as of then."""

_OFFLINE = "redis://127.0.0.1:1"  # the point-in-time join reads files alone; nothing listens here
_KNOWN_AT = "known_at"

IMPLIED = "implied"
"""Instead of a labels log's name: outcomes that the log itself implies."""


def build_frame(
    product: Product,
    home: Home,
    *,
    labels: str | None = None,
    join: Join | None = None,
    now: datetime | None = None,
    report: Report = say_nothing,
) -> TrainingFrame:
    """Build the mature rows of everything imported so far.

    Parameters
    ----------
    labels
        Name of the labels log to learn from, known only from its ``known_at`` on; `IMPLIED`: the outcomes that the activity in the log
        itself implies, at the instants of the spine rule. Default: the first labels log that the product declares, else `IMPLIED`.
    join
        How features and profile come to the spine's rows; default `feast_join`.
    now
        Labels that became known later are left out; default: the clock.

    Raises
    ------
    EmptyLogError
        If nothing was imported.
    NoMatureLabelsError
        If no label is known yet.
    """
    given = label_source(product, labels)
    report("reading the raw log", 0.0)
    raw, data_fingerprint = read_fingerprinted(home.raw_dir(product.name), product)
    if len(raw.columns) == 0:
        raise EmptyLogError(
            f"the raw log of product {product.name} in {home.raw_dir(product.name)} has no events, expected some;"
            f" import a log first: stillhere import <file> --product products/{product.name}"
        )
    report("reading the raw log", 1.0)
    report("building snapshots", 0.0)
    spine = _mature_spine(product, home, raw, given=given, now=now or datetime.now(UTC))
    snapshots = snapshots_of(raw, product, spine)
    report("building snapshots", 1.0)
    report("joining through Feast", 0.0)
    rows = (join or feast_join)(product, home, spine, snapshots)
    report("joining through Feast", 1.0)
    return replace(frame_of(product, rows, horizon=horizon_of(product, given)), data_fingerprint=data_fingerprint)


def feast_join(product: Product, home: Home, spine: pa.Table, snapshots: pa.Table) -> pd.DataFrame:
    """Write the snapshots where Feast reads them, and join them with the profile as of each row."""
    from features.adapters.feast_history import historical
    from features.adapters.feast_store import open_store
    from features.adapters.profile_history import write_parquet

    path = home.snapshots_file(product.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_parquet(snapshots, path)
    store = open_store(product, home, _OFFLINE)
    joined: pd.DataFrame = historical(
        store, spine.select([USER, AS_OF, OUTCOME]).rename_columns([USER, "event_timestamp", OUTCOME]).to_pandas()
    )
    return joined.rename(columns={"event_timestamp": AS_OF})


def features_join(product: Product, home: Home, spine: pa.Table, snapshots: pa.Table) -> pd.DataFrame:  # noqa: ARG001 - the shape of Join
    """Put spine and snapshots side by side, without profile: for benchmarks and products without attributes."""
    if spine[USER] != snapshots[USER] or spine[AS_OF] != snapshots["snapshot_as_of"]:
        raise LeakError("snapshots are not of the spine's own rows, in its order; build them from this spine")
    rows: pd.DataFrame = pd.concat(
        [spine.select([USER, AS_OF, OUTCOME]).to_pandas(), snapshots.select(list(product.catalogue.feature_names)).to_pandas()], axis=1
    )
    return rows


def frame_of(product: Product, rows: pd.DataFrame, *, horizon: timedelta) -> TrainingFrame:
    """Keep what a model may see, and the cohort, ordered by as_of and user."""
    rows = with_ages(product, rows)
    attributes = [name for name in carried_attributes(product) if name in rows.columns]
    columns = [USER, AS_OF, OUTCOME, *product.catalogue.feature_names, *attributes]
    ordered = rows[columns].sort_values([AS_OF, USER], kind="stable", ignore_index=True)
    return TrainingFrame(product=product, rows=ordered.astype({OUTCOME: bool}), horizon=horizon)


def label_source(product: Product, labels: str | None) -> LabelsLog | None:
    """Pick the labels log of that name; None where the labels follow from the log itself.

    Raises
    ------
    UnknownLabelsError
        If the product declares no such labels log.
    """
    given = {log.name: log for log in product.logs if isinstance(log, LabelsLog)}
    if labels is None:
        return next(iter(given.values()), None)
    if labels == IMPLIED:
        return None
    if labels not in given:
        raise UnknownLabelsError(f"product {product.name} declares no labels log {labels!r}, expected one of {[IMPLIED, *given]}")
    return given[labels]


def horizon_of(product: Product, given: LabelsLog | None) -> timedelta:
    """How long after as_of a row's label is known."""
    return product.label.horizon if given is None else max(given.known_after - given.as_of_after, timedelta(0))


def _mature_spine(product: Product, home: Home, raw: RawColumns, *, given: LabelsLog | None, now: datetime) -> pa.Table:
    spine = log_spine(raw, product) if given is None else read_labels(given, _labels_dir(home, product, given))
    known: Any = pc.less_equal(spine[_KNOWN_AT], pa.scalar(now, pa.timestamp("us", tz="UTC")))
    mature = spine.filter(known)
    if mature.num_rows == 0:
        raise NoMatureLabelsError(_no_labels(product, given, spine.num_rows))
    return mature


def _labels_dir(home: Home, product: Product, given: LabelsLog) -> Path:
    return home.labels_file(product.name, given.name).parent


def _no_labels(product: Product, given: LabelsLog | None, n_rows: int) -> str:
    if given is not None:
        return (
            f"product {product.name}: none of {n_rows} labels of the log {given.name} is known yet, expected some;"
            " import the label file, or wait until the labels are known"
        )
    return (
        f"product {product.name}: no row's outcome is known yet, since the log ends before the first horizon"
        f" ({product.label.horizon.days} days) does; import a longer log, or declare a shorter label.horizon in product.yaml"
    )
