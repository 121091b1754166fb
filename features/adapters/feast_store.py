"""The timeline and profile stores over Feast; with `open_store` and `historical`, all that others need of it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import redis
from feast import FeatureStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from google.protobuf.message import DecodeError

from features.adapters.feast_history import SnapshotMissingError, historical, history_of, materialize_profiles
from features.adapters.feast_online_store import (
    PROFILE_VIEW,
    TIMELINE_VIEW,
    USER_ID,
    ConditionalWrite,
    Row,
    TimelineOnlineStore,
    VersionedBytes,
)
from features.adapters.feast_registry import open_store
from features.core.ages import canonical_instant
from features.core.catalogue import Kind
from features.core.event import from_us
from features.core.product import AttributeType, Product
from features.core.timeline import Timeline, TimelineFormatError, merge, pack, unpack
from features.ports import StoredTimeline, StoreError, StoreTimeoutError, UnreadableUsersError, unreadable_timelines

T = TypeVar("T")

__all__ = [
    "FeastProfileStore",
    "FeastTimelineStore",
    "SnapshotMissingError",
    "entity_key",
    "historical",
    "materialize_profiles",
    "open_store",
]

_USERS_PER_ROUND_TRIP = 500
_ATTEMPTS = 200
_LONGEST_PAUSE_S = 0.02


class FeastTimelineStore:
    """The live timelines in Feast's online store.

    A write reads the stored timelines and their versions, merges, and stores each only if its version is still the one that was read; the
    users that lost against another writer are read, merged and written again. A user whose timeline the merge does not change is not
    written at all. 500 users take two round trips.

    Parameters
    ----------
    store
        As `open_store` returns it.
    kinds
        The catalogue's kinds.
    clock_us
        Microseconds since the Unix epoch; versions follow it but never stand still or run backwards.
    pause_s
        Waits between attempts of users that lost.
    """

    def __init__(
        self, store: FeatureStore, *, kinds: Sequence[Kind], clock_us: Callable[[], int], pause_s: Callable[[float], None] = time.sleep
    ) -> None:
        self._store = store
        self._kinds = kinds
        self._clock_us = clock_us
        self._pause_s = pause_s
        self._view = store.get_feature_view(TIMELINE_VIEW)
        self._online = online_store_of(store)

    def read(self, user_ids: Sequence[str]) -> list[StoredTimeline]:
        """Timelines in the order asked for; one round trip.

        Raises
        ------
        StoreError
            If Redis does not answer.
        UnreadableUsersError
            Naming the users whose rows are not Feast's.
        """
        rows = dict(zip(user_ids, self._read_versioned(user_ids), strict=True))
        if unreadable := [user_id for user_id, row in rows.items() if row.packed is None]:
            raise UnreadableUsersError(TIMELINE_VIEW, unreadable)
        return [StoredTimeline(packed=rows[user_id].packed or b"", version_us=rows[user_id].version_us) for user_id in user_ids]

    def merge(self, updates: Mapping[str, Timeline]) -> None:
        """Merge each user's update into the stored timeline; returns once all are stored.

        Raises
        ------
        StoreError
            If Redis does not answer, or other writers always came first.
        UnreadableUsersError
            Naming the users whose stored timeline cannot be read; everybody else's update is stored.
        """
        unreadable = self._merge(updates, replaces=False)
        if unreadable:
            raise unreadable_timelines(unreadable)

    def rebuild(self, updates: Mapping[str, Timeline]) -> None:
        """As `merge`, but a stored timeline that cannot be read is replaced by the update.

        Raises
        ------
        StoreError
            If Redis does not answer, or other writers always came first.
        """
        self._merge(updates, replaces=True)

    def _merge(self, updates: Mapping[str, Timeline], *, replaces: bool) -> dict[str, TimelineFormatError]:
        """Users whose stored timeline cannot be read and was not replaced, and why."""
        user_ids, unreadable = list(updates), dict[str, TimelineFormatError]()
        for start in range(0, len(user_ids), _USERS_PER_ROUND_TRIP):
            chunk = {user_id: updates[user_id] for user_id in user_ids[start : start + _USERS_PER_ROUND_TRIP]}
            self._merge_chunk(chunk, None if replaces else unreadable)
        return unreadable

    def erase(self, user_ids: Sequence[str]) -> None:
        """Remove the users' timelines, and their profiles with them: Feast keeps both under one key.

        Raises
        ------
        StoreError
            If Redis does not answer.
        """
        with _as_store_error("erase timelines"):
            self._online.delete_users(self._store.config, user_ids)

    def _merge_chunk(self, updates: Mapping[str, Timeline], unreadable: dict[str, TimelineFormatError] | None) -> None:
        pending = updates
        for attempt in range(_ATTEMPTS):
            lost = self._attempt(pending, unreadable)
            if not lost:
                return
            pending = {user_id: updates[user_id] for user_id in lost}
            self._pause_s(random.uniform(0, min(_LONGEST_PAUSE_S, 0.0005 * 2**attempt)))  # noqa: S311 - to part writers, not to hide anything
        raise StoreError(
            f"{len(pending)} timelines not stored: lost against other writers {_ATTEMPTS} times; retry"  # not whose: it goes into logs
        )

    def _attempt(self, updates: Mapping[str, Timeline], unreadable: dict[str, TimelineFormatError] | None) -> list[str]:
        """Users whose write lost against another writer; those who cannot be read go into ``unreadable``, or are replaced without it."""
        user_ids = list(updates)
        writes: dict[str, ConditionalWrite] = {}
        for user_id, row in zip(user_ids, self._read_versioned(user_ids), strict=True):
            stored = _timeline(row)
            if isinstance(stored, TimelineFormatError):
                if unreadable is not None:
                    unreadable[user_id] = stored
                    continue
                stored = Timeline()
            packed = pack(merge(stored, updates[user_id], self._kinds))
            if packed != row.packed:
                version_us = max(row.version_us + 1, self._clock_us())
                writes[user_id] = ConditionalWrite(packed=packed, expected=row.version, version_us=version_us)
        done = self._write(list(writes), list(writes.values()))
        return [user_id for user_id, was_done in zip(writes, done, strict=True) if not was_done]

    def _read_versioned(self, user_ids: Sequence[str]) -> list[VersionedBytes]:
        with _as_store_error("read timelines"):
            return self._online.read_versioned(self._store.config, self._view, user_ids)

    def _write(self, user_ids: Sequence[str], writes: Sequence[ConditionalWrite]) -> list[bool]:
        with _as_store_error("write timelines"):
            return self._online.compare_and_set(self._store.config, self._view, user_ids, writes)


class FeastProfileStore:
    """The newest attributes of users in Feast's online store, every change also in the offline history that training joins.

    Each attribute keeps its newest value by ``changed_us``, whatever order changes arrive in; at the same microsecond the change that
    arrives later counts. The history is written first: a change that is online is in the history, too.
    """

    def __init__(self, store: FeatureStore, product: Product) -> None:
        self._store = store
        self._types = {attribute.name: attribute.type for attribute in product.profile}
        self._view = store.get_feature_view(PROFILE_VIEW) if product.profile else None
        self._online = online_store_of(store)
        self._history = history_of(store) if product.profile else None

    def read(self, user_ids: Sequence[str], names: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Attributes by name, in the order asked for; unknown users and unset attributes are left out. One round trip.

        Parameters
        ----------
        names
            Declared attributes to read, which costs less than all; None: all.

        Raises
        ------
        StoreError
            If Redis does not answer.
        UnreadableUsersError
            Naming the users whose rows are not Feast's.
        """
        if self._view is None:
            return [{} for _ in user_ids]
        view, asked = self._view, list(self._types if names is None else names)
        with _as_store_error("read profiles"):
            rows = _read_rows(lambda users: self._online.online_read(self._store.config, view, _keys(users), asked), user_ids, PROFILE_VIEW)
        return [{name: value for name, proto in (values or {}).items() if (value := python_of(proto)) is not None} for _, values in rows]

    def write(self, rows: Mapping[str, Mapping[str, Any]], *, changed_us: int) -> None:
        """Set attributes of users (those not named keep their value); None unsets.

        Raises
        ------
        StoreError
            If Redis does not answer, or an attribute is not declared or not of its type; then nothing is written.
        """
        self.write_history({changed_us: rows})

    def write_history(self, history: Mapping[int, Mapping[str, Mapping[str, Any]]]) -> None:
        """Set attributes as of many instants, as `write` does for one: what an import of past changes wants.

        Raises
        ------
        StoreError
            As `write`.
        """
        data: list[Row] = [
            (
                entity_key(user_id),
                {name: self._proto(user_id, name, value) for name, value in attributes.items()},
                from_us(changed_us),
                None,
            )
            for changed_us, rows in history.items()
            for user_id, attributes in rows.items()
            if attributes
        ]
        if not data or self._view is None:
            return
        if self._history is not None:
            self._history.append_history(history)
        with _as_store_error("write profiles"):
            for start in range(0, len(data), _USERS_PER_ROUND_TRIP):
                self._online.online_write_batch(self._store.config, self._view, data[start : start + _USERS_PER_ROUND_TRIP], None)

    def erase(self, user_ids: Sequence[str]) -> None:
        """Remove all attributes of the users and their history, and their timelines with them: Feast keeps both under one key."""
        if self._history is not None:
            self._history.erase(user_ids)
        with _as_store_error("erase profiles"):
            self._online.delete_users(self._store.config, user_ids)

    def restore(self) -> None:
        """Load everybody's newest attributes from the offline history, as after the loss of Redis; newer ones that are online stay."""
        if self._view is not None:
            with _as_store_error("restore profiles"):
                materialize_profiles(self._store)

    def _proto(self, user_id: str, name: str, value: Any) -> Value:
        if name not in self._types:
            raise StoreError(f"user {user_id!r}: profile attribute {name!r} is not declared, expected one of {sorted(self._types)}")
        if value is None:
            return Value()
        kind = self._types[name]
        if kind is AttributeType.BOOLEAN and isinstance(value, bool):
            return Value(bool_val=value)
        if kind is AttributeType.NUMBER and isinstance(value, int | float) and not isinstance(value, bool):
            return Value(double_val=float(value))
        if kind in {AttributeType.CATEGORY, AttributeType.TEXT} and isinstance(value, str):
            return Value(string_val=value)
        if kind is AttributeType.INSTANT and value == canonical_instant(value):
            return Value(string_val=value)
        raise StoreError(f"user {user_id!r}: profile attribute {name!r} is {value!r}, expected a {kind.value}")


def entity_key(user_id: str) -> EntityKey:
    """Feast's key of a user."""
    return EntityKey(join_keys=[USER_ID], entity_values=[Value(string_val=user_id)])


def _keys(user_ids: Sequence[str]) -> list[EntityKey]:
    return [entity_key(user_id) for user_id in user_ids]


def _read_rows(read: Callable[[Sequence[str]], list[T]], user_ids: Sequence[str], view: str) -> list[T]:
    """Feast fails the whole read for one row it cannot decode: then each user is read alone, to name those that are to blame."""
    try:
        return read(user_ids)
    except DecodeError as exc:
        if len(user_ids) == 1:
            raise UnreadableUsersError(view, user_ids) from exc
    rows, unreadable = [], []
    for user_id in user_ids:
        try:
            rows += read([user_id])
        except DecodeError:
            unreadable.append(user_id)
    if unreadable:
        raise UnreadableUsersError(view, unreadable)
    return rows


def _timeline(row: VersionedBytes) -> Timeline | TimelineFormatError:
    """The stored timeline, or why it cannot be read."""
    if row.packed is None:
        return TimelineFormatError("timeline: the row is not Feast's")
    try:
        return unpack(row.packed)
    except TimelineFormatError as exc:
        return exc


def online_store_of(store: FeatureStore) -> TimelineOnlineStore:
    """The online store of ours in a feature store that `open_store` returned."""
    online = store.provider.online_store
    if not isinstance(online, TimelineOnlineStore):
        raise StoreError(f"the feature store's online store is {type(online).__name__}, expected TimelineOnlineStore; use open_store")
    return online


def python_of(proto: Value) -> Any:
    """The plain value in one of Feast's; None when it is unset."""
    which = proto.WhichOneof("val")
    return None if which is None else getattr(proto, which)


@contextmanager
def _as_store_error(action: str) -> Iterator[None]:
    try:
        yield
    except redis.TimeoutError as exc:
        raise StoreTimeoutError(f"could not {action}: {exc}; is Redis overloaded or stopped?") from exc
    except redis.RedisError as exc:
        raise StoreError(f"could not {action}: {exc}; is Redis running at the configured address?") from exc
