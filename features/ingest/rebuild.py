"""From the raw log back to the timelines: after bytes that cannot be read, and after a kind's ``keep`` was raised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from features.backfill.columns import RawColumns, read_columns
from features.core.product import Product
from features.ingest.merge_batch import store_columns
from features.ports import TimelineStore


def rebuild(
    raw_dir: Path, product: Product, store: TimelineStore, on_merged: Callable[[int, int], None], user_ids: Sequence[str] = ()
) -> RawColumns:
    """Merge every event of the raw log into the timelines, which replaces those that cannot be read; idempotent.

    Events that come in meanwhile are kept: a rebuild may run beside a worker.

    Parameters
    ----------
    on_merged
        ``on_merged(users done, users)`` after each portion.
    user_ids
        Only these users; none named: all.

    Returns
    -------
    RawColumns
        What was merged; a user who was named and is not among its ``user_ids`` has no event in the log and was left alone.

    Raises
    ------
    StoreError
        If the store failed; rebuilding again is safe.

    Examples
    --------
    >>> from datetime import timedelta
    >>> from features.adapters.memory import MemoryTimelineStore
    >>> from features.core.catalogue import Catalogue, Kind
    >>> from features.core.product import Label
    >>> kinds = (Kind(name="login"),)
    >>> product = Product(name="p", description="", catalogue=Catalogue(kinds=kinds, features=()), causes=(),
    ...                   label=Label(activity=("login",), horizon=timedelta(days=30)))
    >>> store = MemoryTimelineStore(kinds=kinds, clock_us=lambda: 1)
    >>> len(rebuild(Path("/nowhere"), product, store, lambda done, total: None).user_ids)
    0
    """
    raw = read_columns(raw_dir, product, user_ids)
    store_columns(raw, product, store.rebuild, on_merged)
    return raw
