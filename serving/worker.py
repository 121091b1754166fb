"""The stream worker: accepted messages become timelines, profiles and raw log, and only then are forgotten.

The order is what makes a crash harmless: merge (idempotent), append to the raw log (read once however often appended), acknowledge. A
worker killed anywhere in between leaves its messages pending; another worker, or its own next start, takes them and the result is the same.

Where the product asks for consent to collection, an event of somebody whose behaviour may not be kept is acknowledged and nothing else:
not merged, not logged, not buried. What counts is what the person had said when the worker came to the event: their stored profile, changed
by what lies before the event in the stream. It is acknowledged before any answer behind it is written, so that nothing collected without
consent comes back with a later yes; and events that were kept are logged and acknowledged before a later no is written, so that a worker
killed in between keeps or drops them as before (while an alias is carried out it may drop one that it would have kept, never keep one that
it would have dropped). Of an answer that is refused for something else the no counts; it is buried once all before it is acknowledged.
That is one person's order as long as one worker reads their messages; what another worker takes over later is judged by what holds by then.

In a rolling upgrade a worker may meet timelines that a newer one wrote. It can do nothing with events of those users, and nothing is wrong
with them: they stay pending, neither logged nor acknowledged nor buried, until a newer worker takes them over.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from threading import Event as Flag
from typing import Protocol

from features.adapters.memory import MemoryTimelineStore
from features.core.alias import Alias
from features.core.event import Event, from_us
from features.core.product import Product
from features.ingest.admission import ProfileChange
from features.ingest.answers import StoredAnswers
from features.ingest.collection import ids_in, judged
from features.ingest.merge_batch import merge_events
from features.ingest.rejection import Rejection
from features.ingest.sinks import changes_by_instant
from features.ingest.stream_message import Item, read_message, told_by
from features.ports import AliasRefusal, ProfileStore, RawLog, StoreError, TimelineStore, UnreadableUsersError
from serving import bootstrap
from serving.identity import Attacher, alias_rejection
from serving.ports import EventStream, EventStreamError, StreamEntry

_log = logging.getLogger(__name__)

_BATCH = 500  # entries of each partition per read
_MAX_UNLOGGED = 5_000  # entries gathered before the raw log is written whatever the delay
_BLOCK_MS = 200  # of one read; also how soon a stop is noticed
_RETRY_S = 1.0  # after a store failed


class Exporter(Protocol):
    """Copies receipts to where analysts read them."""

    def export(self) -> int:
        """Export what is new; the number of receipts."""


@dataclass(slots=True, kw_only=True)
class Worker:
    """Applies accepted messages, in batches.

    Parameters
    ----------
    log_delay_us
        How long merged events may wait for the raw log file that they share; their timelines do not wait.
    export_every_us
        Between two exports of receipts.
    claim_every_us
        Between two looks for entries that another worker left.
    abandoned_after_ms
        How long ago that worker must have taken them.
    now_us
        The clock.
    """

    product: Product
    stream: EventStream
    timelines: TimelineStore
    profiles: ProfileStore
    raw_log: RawLog
    exporter: Exporter | None
    now_us: Callable[[], int]
    log_delay_us: int = 2_000_000
    export_every_us: int = 5_000_000
    claim_every_us: int = 10_000_000
    abandoned_after_ms: int = 30_000
    attacher: Attacher | None = None  # None: aliases are buried
    _unlogged: list[Event] = field(default_factory=list)
    _unlogged_aliases: list[Alias] = field(default_factory=list)
    _unacknowledged: list[StreamEntry] = field(default_factory=list)
    _unfinished: set[str] = field(default_factory=set)  # persons of whom events were kept that are not acknowledged, where consent is asked
    _n_not_kept: int = 0  # events not kept for want of consent since that was last logged
    _oldest_us: int = 0  # when the first of `_unlogged` was taken
    _exported_us: int = 0
    _claimed_us: int = 0
    _is_outdated: bool = False  # met a timeline of a newer version: what it leaves is for a newer worker, so it takes nothing over

    def run(self, stop: Flag) -> None:
        """Work until ``stop`` is set, then finish what was taken. A store that fails is tried again until it answers."""
        recovered = False
        while not stop.is_set():
            try:
                if not recovered:
                    self.recover()
                    recovered = True
                self.step(block_ms=_BLOCK_MS)
            except (StoreError, EventStreamError):
                _log.exception("a store failed; trying again in %s s", _RETRY_S)
                self._forget_unfinished()
                recovered = False
                stop.wait(_RETRY_S)
        self.finish()

    def recover(self) -> int:
        """Apply what a reader before us took and never acknowledged; the number of messages.

        Those of another live worker may be among them: merging twice changes nothing.
        """
        self._claimed_us = self.now_us()
        entries = self.stream.claim(idle_ms=0, limit=_BATCH)
        self._apply(entries)
        self._flush()
        return len(entries)

    def step(self, *, block_ms: int) -> int:
        """One round: read, merge, and whatever is due; the number of messages read."""
        entries = self.stream.read(limit=_BATCH, block_ms=block_ms)
        self._apply(entries)
        now_us = self.now_us()
        if not self._is_outdated and now_us - self._claimed_us >= self.claim_every_us:
            self._take_over(now_us)
        if self._unacknowledged and (now_us - self._oldest_us >= self.log_delay_us or len(self._unacknowledged) >= _MAX_UNLOGGED):
            self._flush()
        if now_us - self._exported_us >= self.export_every_us:
            self._export(now_us)
        return len(entries)

    def _take_over(self, now_us: int) -> None:
        """Apply what another worker took long ago and never acknowledged; our own, which wait for the raw log, are left out."""
        self._claimed_us = now_us
        ours = {(entry.partition, entry.entry_id) for entry in self._unacknowledged}
        left = self.stream.claim(idle_ms=self.abandoned_after_ms, limit=_BATCH)
        self._apply([entry for entry in left if (entry.partition, entry.entry_id) not in ours])

    def finish(self) -> None:
        """Write and acknowledge what was taken, and export; for an orderly stop."""
        try:
            self._flush()
            self._export(self.now_us())
        except (StoreError, EventStreamError):
            _log.exception("could not finish; what is unacknowledged is taken again at the next start")

    def _apply(self, entries: Sequence[StreamEntry]) -> None:
        read = [(entry, read_message(entry.body, self.product)) for entry in entries]
        if self.product.collection is None:
            self._apply_read(read)
        elif read:
            identities = None if self.attacher is None else self.attacher.identities
            stored = StoredAnswers(collection=self.product.collection, profiles=self.profiles, identities=identities)
            for is_refused_no, part in groupby(read, key=_is_refused_no):
                if is_refused_no:  # it is buried at once: a yes before it, delivered again, would outlive it
                    self._flush()
                self._apply_judged(list(part), stored)

    def _apply_judged(self, read: Sequence[tuple[StreamEntry, Item | Rejection]], stored: StoredAnswers) -> None:
        """Apply what may be kept, as much at a time as can be judged together, and forget the rest.

        It is forgotten before anything that could change the answer is written.
        """
        told = [told_by(entry.body, item) for entry, item in read]
        answers, done = stored.of(ids_in(told)), 0
        while done < len(read):
            if not self._unfinished.isdisjoint(answers.silences(told[done])):
                self._flush()
            takes = judged(told[done:], answers, self._unfinished)
            portion = list(zip(read[done : done + len(takes)], takes, strict=True))
            self._forget([entry for (entry, _), is_taken in portion if not is_taken])
            self._apply_read([one for one, is_taken in portion if is_taken])
            stored.after_aliases(told[done : done + len(takes)], answers, ahead=told[done + len(takes) :])
            done += len(takes)

    def _forget(self, entries: Sequence[StreamEntry]) -> None:
        """Acknowledge events that may not be kept, without a trace but their number."""
        if entries:
            self.stream.acknowledge(entries)
            self._n_not_kept += len(entries)

    def _apply_read(self, read: Sequence[tuple[StreamEntry, Item | Rejection]]) -> None:
        if not read:
            return
        changes = [change for change in (_change_in(item) for _, item in read) if change is not None]
        if changes:
            self.profiles.write_history(changes_by_instant(changes))
        admitted = self._admitted(read)
        events = [item for _, item in admitted if isinstance(item, Event)]
        broken, newer = self._merge(events)
        if broken:
            # Events that are in the raw log are what a rebuild brings back; so they are logged before they are buried.
            self.raw_log.append([event for event in events if event.user_id in broken])
        mergeable = [(entry, item) for entry, item in admitted if not (isinstance(item, Event) and item.user_id in newer)]
        good = [entry for entry, item in mergeable if self._is_applied(entry, item, broken)]
        self._oldest_us = self._oldest_us if self._unacknowledged else self.now_us()
        self._unlogged += [event for event in events if event.user_id not in broken | newer]
        self._unacknowledged += good

    def _admitted(self, read: Sequence[tuple[StreamEntry, Item | Rejection]]) -> list[tuple[StreamEntry, Item]]:
        """What the entries say; those that cannot be applied are buried."""
        admitted: list[tuple[StreamEntry, Item]] = []
        for entry, item in read:
            if isinstance(item, Rejection):
                self._bury(entry, item)
            else:
                admitted.append((entry, item))
        return admitted

    def _merge(self, events: Sequence[Event]) -> tuple[frozenset[str], frozenset[str]]:
        """Users whose stored timeline is broken, and those whose timeline a newer worker wrote; all other events are merged."""
        try:
            if events:
                merge_events(events, self.product, self.timelines)
        except UnreadableUsersError as exc:
            self._leave(len(exc.newer))
            return frozenset(exc.user_ids) - exc.newer, exc.newer
        return frozenset(), frozenset()

    def _leave(self, n_users: int) -> None:
        """Entries stay pending, for the timelines of these users were written by a newer version."""
        if n_users:
            self._is_outdated = True
            _log.warning("left the events of %d users to a newer worker, which wrote their timelines: upgrade this one", n_users)

    def _is_applied(self, entry: StreamEntry, item: Item, unreadable: frozenset[str]) -> bool:
        """Whether all that an entry asks for was done, its alias included; an entry that is not was buried or left to a newer worker."""
        if isinstance(item, Event):
            if item.user_id in unreadable:
                self._bury(entry, _unreadable(item.user_id, "the event is in the raw log"))
            return item.user_id not in unreadable
        return self._attached(entry, item if isinstance(item, Alias) else item.alias)

    def _attached(self, entry: StreamEntry, alias: Alias | None) -> bool:
        """Carry out the alias that an entry asks for; False when the entry is buried, or left to a newer worker."""
        if alias is None:
            return True
        if self.attacher is None:
            self._bury(entry, Rejection(code="malformed", field="type", message="type: got an alias, expected none: nothing here attaches"))
            return False
        try:
            refusal = self.attacher.attach(alias)
        except UnreadableUsersError as exc:
            if exc.newer:
                self._leave(len(exc.newer))
                return False
            self.attacher.record([alias])  # which is what a rebuild reads it from; so before it is buried
            self._bury(entry, _unreadable(alias.user_id, "the alias holds"))
            return False
        if refusal is None:
            self._unlogged_aliases.append(alias)
        elif refusal is not AliasRefusal.ERASED:  # of the erased not even a dead letter is kept
            self._bury(entry, alias_rejection(alias, refusal))
            return False
        return True

    def _bury(self, entry: StreamEntry, rejection: Rejection) -> None:
        # Not the message: it may name users, and a log file is out of an erasure's reach.
        _log.warning("dead letter %s of partition %d: %s %s", entry.entry_id, entry.partition, rejection.code, rejection.field)
        self.stream.bury(entry, f"{rejection.code}: {rejection.message}")

    def _flush(self) -> None:
        if self._unlogged:
            self.raw_log.append(self._unlogged)
        if self._unlogged_aliases and self.attacher is not None:
            self.attacher.record(self._unlogged_aliases)
        if self._unacknowledged:
            self.stream.acknowledge(self._unacknowledged)
        self._forget_unfinished()

    def _forget_unfinished(self) -> None:
        """Start afresh; what was not acknowledged stays pending in the stream."""
        self._unlogged, self._unlogged_aliases, self._unacknowledged, self._unfinished = [], [], [], set()

    def _export(self, now_us: int) -> None:
        self._exported_us = now_us
        if self._n_not_kept:
            _log.info("did not keep %d events of people who are not to be tracked", self._n_not_kept)
            self._n_not_kept = 0
        if self.exporter is not None:
            self.exporter.export()


def _is_refused_no(one: tuple[StreamEntry, Item | Rejection]) -> bool:
    return isinstance(one[1], Rejection) and one[1].taken is not None


def _change_in(item: Item | Rejection) -> ProfileChange | None:
    """The attributes that an item gives; of one that is refused the no that counts all the same."""
    change = item.taken if isinstance(item, Rejection) else item
    return change if isinstance(change, ProfileChange) and change.attributes else None


def _unreadable(user_id: str, what_was_done: str) -> Rejection:
    message = f"the stored timeline of user {user_id!r} cannot be read; {what_was_done}: run `stillhere rebuild`"
    return Rejection(code="unreadable_timeline", field="", message=message)


def warm_up(product: Product) -> None:
    """Compile the kernel before the first event waits for it; nothing is stored."""
    start = from_us(bootstrap.now_us())
    event = Event(event_id="-", user_id="-", kind=product.catalogue.kinds[0].name, occurred_at=start, received_at=start)
    merge_events([event], product, MemoryTimelineStore(kinds=product.catalogue.kinds, clock_us=bootstrap.now_us))


def worker_of(opened: bootstrap.Installation) -> Worker:
    """Make the worker of an installation."""
    settings = opened.settings
    return Worker(
        product=opened.product,
        stream=opened.stream,
        timelines=opened.timelines,
        profiles=opened.profiles,
        raw_log=opened.raw_log,
        exporter=opened.exporter,
        attacher=opened.attacher,
        now_us=bootstrap.now_us,
        log_delay_us=int(settings.log_delay_s * 1_000_000),
        export_every_us=int(settings.export_every_s * 1_000_000),
    )


def main() -> None:
    """Run until SIGTERM or SIGINT; what ``stillhere serve`` starts beside the service."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    stop = Flag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    settings = bootstrap.settings_from_environment()
    opened = bootstrap.installation(settings, bootstrap.required_redis_url(settings))
    opened.require_durable_redis()
    worker = worker_of(opened)
    warm_up(opened.product)
    _log.info("worker of %s started", worker.product.name)
    worker.run(stop)
    opened.close()
    _log.info("worker of %s stopped", worker.product.name)


if __name__ == "__main__":
    main()
