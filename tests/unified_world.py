"""One product whose profiles are unified, over the shipped memory twins, with every call to a store countable and breakable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from features.adapters.alias_log import MemoryAliasLog
from features.adapters.memory import MemoryProfileStore, MemoryTimelineStore
from features.adapters.memory_identities import MemoryIdentityStore
from features.adapters.raw_log import MemoryRawLog
from features.core.product import Product
from features.ingest.unified import GuardedAliasLog, GuardedRawLog, UnifiedProfileStore, UnifiedTimelineStore
from features.ports import StoreError
from serving.adapters.memory_event_stream import MemoryEventStream
from serving.adapters.memory_ledger import MemoryLedger
from serving.identity import Attacher
from serving.worker import Worker


class Fuse:
    """Counts the calls that write something and breaks one of them: the store behind it is then away, once."""

    def __init__(self, breaks_at: int | None = None, *, before: bool = True) -> None:
        self.breaks_at = breaks_at
        self.before = before  # False: the store does what it is told, and the answer is lost
        self.calls = 0

    def around(self, store: Any, *writes: str) -> Any:
        return _Fused(store, self, frozenset(writes))

    def call(self, write: Callable[[], Any]) -> Any:
        self.calls += 1
        breaks = self.calls == self.breaks_at
        if breaks and self.before:
            raise StoreError("the store is away, before")
        answer = write()
        if breaks:
            raise StoreError("the store is away, after")
        return answer


class _Fused:
    def __init__(self, store: Any, fuse: Fuse, writes: frozenset[str]) -> None:
        self._store, self._fuse, self._writes = store, fuse, writes

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in self._writes:
            return method
        return lambda *args, **named: self._fuse.call(lambda: method(*args, **named))


class UnifiedWorld:
    """The stores of one product and a worker over them."""

    def __init__(self, product: Product, *, fuse: Fuse | None = None, clock_us: Callable[[], int] = lambda: 1) -> None:
        fuse = fuse or Fuse()
        self.product = product
        self.clock_us = clock_us
        kinds = product.catalogue.kinds
        self.identities = fuse.around(MemoryIdentityStore(), "claim")
        self.stored_timelines = fuse.around(MemoryTimelineStore(kinds=kinds, clock_us=clock_us), "merge")
        self.stored_profiles = fuse.around(MemoryProfileStore(), "write", "write_history")
        self.stored_events = MemoryRawLog()
        self.stored_aliases = MemoryAliasLog()
        self.ledger = fuse.around(MemoryLedger(), "adopt")
        self.stream = fuse.around(MemoryEventStream(), "acknowledge")
        self.timelines = UnifiedTimelineStore(inner=self.stored_timelines, identities=self.identities, kinds=kinds)
        self.profiles = UnifiedProfileStore(inner=self.stored_profiles, identities=self.identities)
        self.raw_log = GuardedRawLog(inner=fuse.around(self.stored_events, "append"), identities=self.identities)
        self.alias_log = GuardedAliasLog(inner=fuse.around(self.stored_aliases, "append"), identities=self.identities)

    @property
    def attacher(self) -> Attacher:
        stores = {"timelines": self.timelines, "profiles": self.profiles, "contacts": self.ledger}
        return Attacher(product=self.product.name, identities=self.identities, log=self.alias_log, **stores)

    def worker(self) -> Worker:
        stores = {"timelines": self.timelines, "profiles": self.profiles, "raw_log": self.raw_log}
        return Worker(
            product=self.product,
            stream=self.stream,
            exporter=None,
            attacher=self.attacher,
            now_us=self.clock_us,
            log_delay_us=0,
            **stores,
        )

    def packed(self, user_id: str) -> bytes:
        """The timeline stored under an id."""
        return self.stored_timelines.read([user_id])[0].packed

    def contents(self, *user_ids: str) -> list[Any]:
        """All that is kept about ids, to compare worlds by."""
        return [
            [self.packed(user_id) for user_id in user_ids],
            self.stored_profiles.read(user_ids),
            [self.ledger.contacts(self.product.name, user_id, since_us=0) for user_id in user_ids],
            self.identities.standing(user_ids),
            {(alias.previous_id, alias.user_id, alias.known_us) for alias in self.stored_aliases.aliases},
            {(row["user_id"], row["event_hash"], row["received_at"]) for row in self.stored_events.scan().to_pylist()},
        ]
