"""Training rows through Feast's point-in-time join, and what would make them lie."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from feast import FeatureStore

from features.adapters.behaviour import BEHAVIOUR_VIEW
from features.adapters.feast_objects import (
    ARROW_TYPES,
    EVENT_TIMESTAMP,
    FEATURE_FINGERPRINT,
    SNAPSHOT_AS_OF,
    SNAPSHOTS_VIEW,
    training_service_name,
)
from features.adapters.feast_online_store import PROFILE_VIEW, USER_ID
from features.adapters.profile_history import ProfileHistory
from features.ports import StoreError

_EXAMPLES = 3


class SnapshotMissingError(StoreError):
    """A training row has no snapshot computed at its own as_of and by the current catalogue; build the snapshots of this spine first."""


def historical(store: FeatureStore, spine: pd.DataFrame, *, on_refused: Callable[[pd.DataFrame], None] | None = None) -> pd.DataFrame:
    """The spine's rows with their features and their profile as of then; what is not exactly of then is refused.

    Feast joins the newest snapshot *at or before* a row, so where one is missing an older one would silently take its place. A row counts
    only if its snapshot was computed for the row's own instant, by the catalogue that is registered.

    Parameters
    ----------
    store
        As `open_store` returns it.
    spine
        ``user_id``, ``event_timestamp`` (the as_of, with a time zone) and any further columns, which are kept.
    on_refused
        Called with the refused rows, which are then left out. Without it, refused rows are an error.

    Returns
    -------
    DataFrame
        In the spine's order: its columns, ``snapshot_as_of``, ``feature_fingerprint``, a column per feature and per profile attribute.

    Raises
    ------
    SnapshotMissingError
        If rows are refused and ``on_refused`` was not given, or if no row can be used because the snapshots are another catalogue's.
    """
    fingerprint = store.get_on_demand_feature_view(BEHAVIOUR_VIEW).tags[FEATURE_FINGERPRINT]
    service = store.get_feature_service(training_service_name(fingerprint))
    if any(projection.name == PROFILE_VIEW for projection in service.feature_view_projections):
        history_of(store).refresh()
    _check_columns(store, fingerprint)
    numbered = spine.assign(**{_ROW: range(len(spine))})
    with _quiet_ibis():
        joined = store.get_historical_features(entity_df=numbered, features=service).to_df()
    joined = joined.sort_values(_ROW).drop(columns=_ROW).reset_index(drop=True)
    usable = (joined[SNAPSHOT_AS_OF] == joined[EVENT_TIMESTAMP]) & (joined[FEATURE_FINGERPRINT] == fingerprint)
    if not usable.all():
        _refuse(joined[~usable], len(joined), fingerprint, on_refused)
    rows: pd.DataFrame = joined[usable].reset_index(drop=True)
    return rows


_ROW = "__spine_row"


def _check_columns(store: FeatureStore, fingerprint: str) -> None:
    """Refuse a snapshots file without the columns of the registered catalogue; Feast's own words for it are those of DuckDB."""
    view = store.get_feature_view(SNAPSHOTS_VIEW)
    missing = sorted({field.name for field in view.features} - set(pq.read_schema(view.batch_source.path).names))
    if missing:
        raise SnapshotMissingError(
            f"{view.batch_source.path} has no column {', '.join(missing[:_EXAMPLES])} ({len(missing)} missing in all): it was written for "
            f"another catalogue than {fingerprint}; build the snapshots again"
        )


def _refuse(rows: pd.DataFrame, n_rows: int, fingerprint: str, on_refused: Callable[[pd.DataFrame], None] | None) -> None:
    if on_refused is not None:
        on_refused(rows.reset_index(drop=True))
        return
    marks = [USER_ID, EVENT_TIMESTAMP, SNAPSHOT_AS_OF, FEATURE_FINGERPRINT]
    raise SnapshotMissingError(
        f"{len(rows)} of {n_rows} training rows have no snapshot at their own as_of by catalogue {fingerprint}; build the snapshots of "
        f"this spine first. The first of them, with what Feast would have joined:\n{rows[marks].head(_EXAMPLES).to_string(index=False)}"
    )


def history_of(store: FeatureStore) -> ProfileHistory:
    """The offline history behind the store's `profile` view."""
    view = store.get_feature_view(PROFILE_VIEW)
    if view.batch_source is None:
        raise StoreError(f"the view {PROFILE_VIEW!r} has no offline source; register the product again with open_store")
    return ProfileHistory(Path(view.batch_source.path), {field.name: ARROW_TYPES[field.dtype] for field in view.features})


def materialize_profiles(store: FeatureStore, *, until: datetime | None = None) -> None:
    """Load the newest attributes of all users from the offline history into the online store, as after the loss of Redis.

    Newer attributes that are online already stay.

    Parameters
    ----------
    until
        Changes after this instant are left out; None: none are.
    """
    history_of(store).refresh()
    end = until or datetime.max.replace(tzinfo=UTC)
    with _quiet_ibis(), redirect_stdout(StringIO()):  # where Feast prints what it does
        store.materialize(start_date=datetime(1970, 1, 1, tzinfo=UTC), end_date=end, feature_views=[PROFILE_VIEW])


@contextmanager
def _quiet_ibis() -> Iterator[None]:
    """Hide that ibis 12 calls DuckDB 2 by an old name; Feast has every deprecation shown to everyone."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"fetch_arrow_table\(\) is deprecated", DeprecationWarning)
        yield
