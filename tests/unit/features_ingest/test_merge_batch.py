from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from features.adapters.memory import MemoryTimelineStore
from features.core.event import Event
from features.core.product import Product
from features.core.timeline import Timeline, pack, timeline_from_events
from features.ingest.event_table import event_table
from features.ingest.merge_batch import USERS_PER_MERGE, merge_events, merge_table

START = datetime(2024, 5, 1, tzinfo=UTC)


def login(user: int, second: int) -> Event:
    at = START + timedelta(seconds=second)
    return Event(event_id=f"{user}-{second}", user_id=f"user-{user}", kind="login", occurred_at=at, received_at=at)


def store(product: Product) -> MemoryTimelineStore:
    return MemoryTimelineStore(kinds=product.catalogue.kinds, clock_us=lambda: 1)


@given(pairs=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=20), split=st.integers(0, 20))
def test_events_and_tables_in_any_batches_give_each_user_their_timeline(pairs: list[tuple[int, int]], split: int, product: Product) -> None:
    events = [login(user, second) for user, second in pairs]
    by_events, by_table = store(product), store(product)
    assert merge_events(events, product, by_events) == len({user for user, _ in pairs})
    merge_table(event_table(events[:split]), product, by_table, lambda _done, _total: None)
    merge_table(event_table(events[split:]), product, by_table, lambda _done, _total: None)
    for user in range(4):
        expected = pack(timeline_from_events([event for event in events if event.user_id == f"user-{user}"], product.catalogue.kinds))
        assert by_events.read([f"user-{user}"])[0].packed == expected
        assert by_table.read([f"user-{user}"])[0].packed == expected


class CountingStore(MemoryTimelineStore):
    """Remembers how many users each merge had."""

    def merge(self, updates: Mapping[str, Timeline]) -> None:
        self.__dict__.setdefault("sizes", []).append(len(updates))
        super().merge(updates)


def test_a_table_is_merged_in_batches_of_users_and_says_how_far_it_is(product: Product) -> None:
    counting = CountingStore(kinds=product.catalogue.kinds, clock_us=lambda: 1)
    done: list[tuple[int, int]] = []
    n_users = USERS_PER_MERGE + 1
    merge_table(event_table([login(user, 0) for user in range(n_users)]), product, counting, lambda *progress: done.append(progress))
    assert counting.__dict__["sizes"] == [USERS_PER_MERGE, 1]
    assert done == [(USERS_PER_MERGE, n_users), (n_users, n_users)]


def test_no_events_are_no_merge(product: Product) -> None:
    assert merge_events([], product, store(product)) == 0
