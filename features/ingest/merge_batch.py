"""From batches of events to merged timelines: one merge a user, however many events they sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa

from features.backfill.columns import RawColumns, columns_from_table
from features.core.columns import columns_from_events
from features.core.event import Event
from features.core.product import Product
from features.core.timeline import Timeline, timelines_from_columns
from features.ports import TimelineStore, UnreadableUsersError

USERS_PER_MERGE = 500


def merge_events(events: Sequence[Event], product: Product, store: TimelineStore) -> int:
    """Merge events of any users, in any order, duplicates allowed; all are stored once this returns.

    Returns
    -------
    int
        How many users had events.

    Raises
    ------
    StoreError
        If the store failed; merging the same events again is safe.
    UnreadableUsersError
        Naming the users whose stored timeline cannot be read; everybody else's events are stored.
    """
    kinds = product.catalogue.kinds
    columns, user_ids = columns_from_events(events, kinds)
    store.merge(dict(zip(user_ids, timelines_from_columns(columns, len(user_ids), kinds), strict=True)))
    return len(user_ids)


def merge_table(table: pa.Table, product: Product, store: TimelineStore, on_merged: Callable[[int, int], None]) -> int:
    """Merge a table in the raw log's layout, `USERS_PER_MERGE` users at a time; ``on_merged(users done, users)`` after each.

    Returns and raises as `merge_events`.
    """
    return store_columns(columns_from_table(table, product.catalogue.kinds), product, store.merge, on_merged)


def store_columns(
    raw: RawColumns, product: Product, write: Callable[[Mapping[str, Timeline]], None], on_merged: Callable[[int, int], None]
) -> int:
    """Give each user's timeline to ``write``, `USERS_PER_MERGE` users at a time; who cannot be read is named once all others are stored."""
    user_ids, unreadable, newer = raw.user_ids.tolist(), list[str](), set[str]()
    timelines = timelines_from_columns(raw.columns, len(user_ids), product.catalogue.kinds)
    for start in range(0, len(user_ids), USERS_PER_MERGE):
        stop = min(start + USERS_PER_MERGE, len(user_ids))
        try:
            write(dict(zip(user_ids[start:stop], timelines[start:stop], strict=True)))
        except UnreadableUsersError as exc:
            unreadable += exc.user_ids
            newer |= exc.newer
        on_merged(stop, len(user_ids))
    if unreadable:
        raise UnreadableUsersError("timeline", unreadable, newer=newer)
    return len(user_ids)
