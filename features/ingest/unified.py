"""Stores that know who stands for whom: what is written under an id reaches the person, and nothing revives who was erased.

Each wraps another store and follows one rule, that of `features.ports.IdentityStore`: write first, ask for the standing afterwards. An
alias or an erasure is recorded first and acts on what is stored afterwards, so whichever way two run at once, one sees the other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from features.core.alias import Alias, attach
from features.core.catalogue import Kind
from features.core.event import Event
from features.core.timeline import Timeline, TimelineFormatError, merge, unpack
from features.ports import (
    AliasLog,
    IdentityStore,
    ProfileStore,
    RawLog,
    Standing,
    StoredTimeline,
    TimelineStore,
    UnreadableUsersError,
    unreadable_timelines,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnifiedTimelineStore:
    """Timelines of persons: events of an attached id also go, known since the alias, to whom it is attached to, to the end of the chain.

    The id's own timeline is written, too: an alias that is accepted at the same time finds there what was merged before it.
    """

    inner: TimelineStore
    identities: IdentityStore
    kinds: Sequence[Kind]

    def read(self, user_ids: Sequence[str]) -> list[StoredTimeline]:
        """Timelines of the ids as they stand; whose to read is for the caller to ask `whom` first."""
        return self.inner.read(user_ids)

    def merge(self, updates: Mapping[str, Timeline]) -> None:
        """Merge each user's update into the stored timeline and those it is attached to; updates of erased users are dropped.

        Raises
        ------
        UnreadableUsersError
            Naming the users whose stored timeline cannot be read and was left as it is, then those whose update should have gone there,
            too; all else is stored.
        """
        unreadable = self._spread(updates, self.inner.merge)
        if unreadable is not None:
            raise unreadable

    def rebuild(self, updates: Mapping[str, Timeline]) -> None:
        """As `merge`, but a stored timeline that cannot be read is replaced by the update.

        Those of whom a user is attached to are not: an update of one of their ids is not all there is of them. Rebuild them, too.
        """
        self._spread(updates, self.inner.rebuild)

    def erase(self, user_ids: Sequence[str]) -> None:
        """Remove the users' timelines."""
        self.inner.erase(user_ids)

    def carry(self, user_id: str) -> None:
        """Merge what is stored of an id into whom it is attached to; doing it again changes nothing."""
        (stored,) = self.inner.read([user_id])
        try:
            timeline = unpack(stored.packed)
        except TimelineFormatError as exc:
            raise unreadable_timelines({user_id: exc}) from exc
        self.merge({user_id: timeline})

    def _spread(self, updates: Mapping[str, Timeline], write: Callable[[Mapping[str, Timeline]], None]) -> UnreadableUsersError | None:
        """Give the updates to ``write``, then merge them up the chains; the error as `merge` raises it."""
        standing = self.identities.standing(list(updates))
        level = {user_id: update for user_id, update in updates.items() if not _is_erased(standing, user_id)}
        unreadable, newer, holder = set[str](), set[str](), dict[str, str]()
        while level:
            error = _written(write, level)
            if error is not None:
                unreadable.update(error.user_ids)
                newer |= error.newer
            standing = self.identities.standing(list(level))
            if erased := [user_id for user_id in level if _is_erased(standing, user_id)]:
                self.inner.erase(erased)
            holder |= {user_id: known.link.user_id for user_id, known in standing.items() if known.link is not None}
            level, write = self._next(level, standing), self.inner.merge
        if not unreadable:
            return None
        return UnreadableUsersError("timeline", _reaching(unreadable, updates, holder), newer=_reaching(newer, updates, holder))

    def _next(self, level: Mapping[str, Timeline], standing: Mapping[str, Standing]) -> dict[str, Timeline]:
        """What the updates are to those whom their ids are attached to."""
        updates: dict[str, Timeline] = {}
        for user_id, known in standing.items():
            if known.link is not None and not known.is_erased:
                holder = known.link.user_id
                updates[holder] = merge(updates.get(holder, Timeline()), attach(level[user_id], known.link.known_us), self.kinds)
        return updates


@dataclass(frozen=True, slots=True, kw_only=True)
class UnifiedProfileStore:
    """Profiles of persons: what is known of an attached id fills what is not known of whom it is attached to.

    A ``false`` does more, for it may be a refused consent: it replaces what the user had, until they say otherwise themselves.
    """

    inner: ProfileStore
    identities: IdentityStore

    def read(self, user_ids: Sequence[str], names: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Attributes of the ids as they stand; those of ``names``, None: all."""
        return self.inner.read(user_ids, names)

    def write(self, rows: Mapping[str, Mapping[str, Any]], *, changed_us: int) -> None:
        """Set attributes of users; those of erased users are dropped."""
        standing = self.identities.standing(list(rows))
        kept = {user_id: attributes for user_id, attributes in rows.items() if not _is_erased(standing, user_id)}
        if not kept:
            return
        self.inner.write(kept, changed_us=changed_us)
        for user_id, known in self.identities.standing(list(kept)).items():
            self._settle(user_id, known, kept[user_id], changed_us)

    def write_history(self, history: Mapping[int, Mapping[str, Mapping[str, Any]]]) -> None:
        """Set attributes as of many instants: changed_us -> user -> attributes."""
        user_ids = list({user_id for rows in history.values() for user_id in rows})
        gone = _erased(self.identities, user_ids)
        kept = {at: {user_id: rows[user_id] for user_id in rows if user_id not in gone} for at, rows in history.items()}
        self.inner.write_history({at: rows for at, rows in kept.items() if rows})
        standing = self.identities.standing([user_id for user_id in user_ids if user_id not in gone])
        for changed_us, rows in sorted(kept.items()):
            for user_id in rows.keys() & standing.keys():
                self._settle(user_id, standing[user_id], rows[user_id], changed_us)

    def erase(self, user_ids: Sequence[str]) -> None:
        """Remove all attributes of the users."""
        self.inner.erase(user_ids)

    def carry(self, user_id: str) -> None:
        """Carry what is stored of an id to whom it is attached to; doing it again changes nothing."""
        attributes = self._readable(user_id)
        for known in self.identities.standing([user_id]).values():
            self._settle(user_id, known, attributes or {}, 0)

    def _settle(self, user_id: str, known: Standing, attributes: Mapping[str, Any], changed_us: int) -> None:
        """Undo what an erasure overtook; hand on what an alias asks for."""
        if known.is_erased:
            self.inner.erase([user_id])
        if known.is_erased or known.link is None:
            return
        holder, since_us = known.link.user_id, known.link.known_us
        had = self._readable(holder)
        if had is None:
            return
        carried, changed_us = _missing(attributes, had), max(changed_us, since_us)
        if carried:
            self.inner.write({holder: carried}, changed_us=changed_us)
        for next_known in self.identities.standing([holder]).values():
            self._settle(holder, next_known, attributes, changed_us)  # what the holder had went up when it was attached

    def _readable(self, user_id: str) -> dict[str, Any] | None:
        """Attributes; None where they cannot be read: such a profile gives and takes nothing, and has to be sent again anyway."""
        try:
            return self.inner.read([user_id])[0]
        except UnreadableUsersError:
            return None


def _missing(attributes: Mapping[str, Any], had: Mapping[str, Any]) -> dict[str, Any]:
    """What an id knows and its user does not, and what it denies."""
    return {name: value for name, value in attributes.items() if value is False or (value is not None and name not in had)}


class BulkRawLog(RawLog, Protocol):
    """A raw log that takes and gives whole tables."""

    def append_table(self, table: pa.Table) -> None:
        """Store a table in the layout of `features.ingest.event_table.SCHEMA`."""

    def scan(self) -> pa.Table:
        """Read every event once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedRawLog:
    """A raw log that takes nothing of erased users. Events stay under the id they came with: aliases apply when the log is read."""

    inner: BulkRawLog
    identities: IdentityStore

    def append(self, events: Sequence[Event]) -> None:
        """Store the events of users who are not erased."""
        user_ids = list({event.user_id for event in events})
        erased = _erased(self.identities, user_ids)
        self.inner.append([event for event in events if event.user_id not in erased])
        self._erase_again(user_ids, erased)

    def append_table(self, table: pa.Table) -> None:
        """Store the rows of users who are not erased."""
        user_ids = pc.unique(table["user_id"]).to_pylist()
        erased = _erased(self.identities, user_ids)
        if erased:
            table = table.filter(pc.invert(pc.is_in(table["user_id"], value_set=pa.array(sorted(erased), pa.string()))))
        self.inner.append_table(table)
        self._erase_again(user_ids, erased)

    def scan(self) -> pa.Table:
        """Read every event once."""
        return self.inner.scan()

    def erase(self, user_ids: Sequence[str]) -> None:
        """Remove every event of the users."""
        self.inner.erase(user_ids)

    def _erase_again(self, user_ids: Sequence[str], erased_before: frozenset[str]) -> None:
        """Take back what an erasure overtook."""
        if late := _erased(self.identities, user_ids) - erased_before:
            self.inner.erase(sorted(late))


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedAliasLog:
    """A log of aliases that takes none of erased users."""

    inner: AliasLog
    identities: IdentityStore

    def append(self, aliases: Sequence[Alias]) -> None:
        """Store the aliases of users who are not erased."""
        ids = list({user_id for alias in aliases for user_id in (alias.previous_id, alias.user_id)})
        erased = _erased(self.identities, ids)
        self.inner.append([alias for alias in aliases if erased.isdisjoint((alias.previous_id, alias.user_id))])
        if late := _erased(self.identities, ids) - erased:
            self.inner.erase(sorted(late))

    def erase(self, user_ids: Sequence[str]) -> None:
        """Remove every alias that names one of the users."""
        self.inner.erase(user_ids)


def _written(write: Callable[[Mapping[str, Timeline]], None], updates: Mapping[str, Timeline]) -> UnreadableUsersError | None:
    """The error naming users whose stored timeline cannot be read; the updates of all others are stored."""
    try:
        write(updates)
    except UnreadableUsersError as exc:
        return exc
    return None


def _reaching(ends: Collection[str], user_ids: Collection[str], holder: Mapping[str, str]) -> list[str]:
    """The ends, then those of the users whose chain passes one."""
    return [*sorted(ends), *(one for one in user_ids if one not in ends and _leads_to(one, ends, holder))]


def _leads_to(user_id: str, ends: Collection[str], holder: Mapping[str, str]) -> bool:
    """Whether the chain of an id passes one of these."""
    while user_id not in ends:
        if user_id not in holder:
            return False
        user_id = holder[user_id]
    return True


def _is_erased(standing: Mapping[str, Standing], user_id: str) -> bool:
    return user_id in standing and standing[user_id].is_erased


def _erased(identities: IdentityStore, user_ids: Sequence[str]) -> frozenset[str]:
    return frozenset(user_id for user_id, known in identities.standing(user_ids).items() if known.is_erased)
