"""Feast's Redis online store, whose writes of `timeline` and `profile` are atomic scripts in Feast's own key format."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

import redis
import redis.asyncio
from feast import FeatureView, RepoConfig, utils
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value, ValueType
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError
from redis.retry import Retry

from features.adapters.embedded_redis import read_endpoint
from features.core.event import to_us
from features.ports import StoreError

TIMELINE_VIEW = "timeline"
PACKED = "packed"
PROFILE_VIEW = "profile"

USER_ID = "user_id"
_LENGTH = struct.Struct("<I")

_COMPARE_AND_SET = """
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3], ARGV[4], ARGV[5])
if ARGV[6] ~= '0' then redis.call('EXPIRE', KEYS[1], ARGV[6]) end
return 1
"""
"""KEYS: the user. ARGV: version field, version expected ('' = no row), new version, value field, value, ttl in seconds ('0' = none)."""

_SET_IF_NEWER = """
local function newer(field)
  local stored = tonumber(redis.call('HGET', KEYS[1], field) or '')
  return not stored or tonumber(ARGV[4]) >= stored
end
for i = 6, #ARGV, 3 do
  if newer(ARGV[i]) then redis.call('HSET', KEYS[1], ARGV[i], ARGV[4], ARGV[i + 1], ARGV[i + 2]) end
end
if newer(ARGV[3]) then redis.call('HSET', KEYS[1], ARGV[3], ARGV[4], ARGV[1], ARGV[2]) end
if ARGV[5] ~= '0' then redis.call('EXPIRE', KEYS[1], ARGV[5]) end
return 1
"""
"""KEYS: the user. ARGV: timestamp field, timestamp, row's change field, change in microseconds, ttl in seconds, then for each attribute its
change field, its value field and its value. An instant that is not there or cannot be read is older than any."""

Row: TypeAlias = tuple[EntityKey, dict[str, Value], datetime, datetime | None]


class TimelineOnlineStoreConfig(RedisOnlineStoreConfig):  # type: ignore[misc]
    """Where the online store's Redis is; the first of these that is set counts.

    ``redis_url``; the bundled Redis that runs over ``bundled_dir`` at the moment; Feast's own ``connection_string``.
    """

    type: Literal["features.adapters.feast_online_store.TimelineOnlineStore"] = "features.adapters.feast_online_store.TimelineOnlineStore"
    redis_url: str | None = None
    bundled_dir: str | None = None
    timeout_s: float = 2.0  # of one command and of connecting
    full_scan_for_deletion: bool | None = False  # removing a view from the registry must not delete anyone's timeline

    def address(self) -> str | None:
        """The URL to connect to; None means Feast's ``connection_string``.

        Raises
        ------
        StoreError
            If only ``bundled_dir`` is set and no Redis runs over it.
        """
        if self.redis_url and not self.redis_url.startswith("$"):  # a variable of feature_store.yaml that is not set stays as it is
            return self.redis_url
        if self.bundled_dir is None:
            return None
        if (url := read_endpoint(Path(self.bundled_dir))) is None:
            raise StoreError(f"no Redis runs over {Path(self.bundled_dir).resolve()}; start one (`make up`) or set STILLHERE_REDIS_URL")
        return url


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionedBytes:
    """A user's packed timeline with the version it was read at."""

    packed: bytes | None  # b"" when there is none, None when it is not one of Feast's values
    version: bytes  # Feast's row timestamp as stored; b"" when there is none

    @property
    def version_us(self) -> int:
        """The version in microseconds; 0 when there is none that can be read."""
        try:
            return Timestamp.FromString(self.version).ToMicroseconds() if self.version else 0
        except DecodeError:
            return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionalWrite:
    """A packed timeline to store, unless someone else has stored another since ``expected`` was read."""

    packed: bytes
    version_us: int  # greater than that of `expected`
    expected: bytes


class TimelineOnlineStore(RedisOnlineStore):  # type: ignore[misc]
    """Feast's Redis store for every view but two, which concurrent writers may not overwrite blindly.

    ``timeline`` is written by `compare_and_set` alone: whatever writes it through Feast (push, materialize, write_to_online_store) is
    refused, because it would replace live bytes. ``profile`` may be written either way: each attribute keeps its newest value,
    whatever order the changes arrive in (of two changes at the same microsecond, the one that arrives later).
    """

    _client: Any = None
    _client_async: Any = None

    def client(self, config: RepoConfig) -> redis.Redis:
        """The client of the online store's Redis."""
        client: redis.Redis = self._get_client(config.online_store)
        return client

    def fields(self, table: FeatureView, names: Sequence[str]) -> list[str | bytes]:
        """Under which fields of a user's hash the values of a view lie, its row timestamp last."""
        found: list[str | bytes] = self._generate_hset_keys_for_features(table, list(names))[1]
        return found

    def read_versioned(self, config: RepoConfig, table: FeatureView, user_ids: Sequence[str]) -> list[VersionedBytes]:
        """Packed timelines with their versions, in the order asked for; one round trip."""
        _, fields = self._generate_hset_keys_for_features(table, [PACKED])
        keys = user_keys(config, user_ids)
        rows = self._read_hash_fields(config, [(key, fields) for key in keys])
        return [VersionedBytes(packed=packed_of(value or b""), version=version or b"") for value, version in rows]

    def compare_and_set(
        self, config: RepoConfig, table: FeatureView, user_ids: Sequence[str], writes: Sequence[ConditionalWrite]
    ) -> list[bool]:
        """Whether each write was done; those that were not lost against another writer. One round trip."""
        _, (value_field, version_field) = self._generate_hset_keys_for_features(table, [PACKED])
        keys = user_keys(config, user_ids)
        arguments = [
            [key, version_field, write.expected, _timestamp(write.version_us), value_field, _bytes_value(write.packed), _ttl_s(config)]
            for key, write in zip(keys, writes, strict=True)
        ]
        return [reply == 1 for reply in self._run_script(config, _COMPARE_AND_SET, arguments)]

    def delete_users(self, config: RepoConfig, user_ids: Sequence[str]) -> None:
        """Delete all that is stored of the users: one key each holds every view. Feast itself has no such operation."""
        keys = user_keys(config, user_ids)
        with self._get_client(config.online_store).pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.delete(key)
            pipe.execute()

    def online_write_batch(self, config: RepoConfig, table: FeatureView, data: list[Row], progress: Callable[[int], Any] | None) -> None:
        """Write rows as Feast asks for it, within the rules of the class."""
        if table.name == TIMELINE_VIEW:
            raise StoreError(
                f"the view {TIMELINE_VIEW!r} is written by merging alone, got {len(data)} rows through Feast (push, materialize or "
                "write_to_online_store), which would overwrite live events; use features.adapters.feast_store.FeastTimelineStore.merge"
            )
        if table.name != PROFILE_VIEW:
            super().online_write_batch(config, table, data, progress)
            return
        self._run_script(config, _SET_IF_NEWER, [self._profile_arguments(config, table, row) for row in data])
        if progress:
            progress(len(data))

    async def online_write_batch_async(
        self, config: RepoConfig, table: FeatureView, data: list[Row], progress: Callable[[int], Any] | None
    ) -> None:
        """As `online_write_batch`; the two views of ours are written without waiting for other tasks."""
        if table.name in {TIMELINE_VIEW, PROFILE_VIEW}:
            self.online_write_batch(config, table, data, progress)
            return
        await super().online_write_batch_async(config, table, data, progress)

    def _profile_arguments(self, config: RepoConfig, table: FeatureView, row: Row) -> list[Any]:
        entity_key, values, changed_at, _ = row
        changed_us = to_us(utils.make_tzaware(changed_at))
        *value_fields, timestamp_field = self._generate_hset_keys_for_features(table, list(values))[1] if values else [f"_ts:{table.name}"]
        (key,) = self._generate_redis_keys_for_entities(config, [entity_key])
        arguments = [key, timestamp_field, _timestamp(changed_us), f"_at:{table.name}", changed_us, _ttl_s(config)]
        for name, field in zip(values, value_fields, strict=True):
            arguments += [f"_at:{table.name}:{name}", field, values[name].SerializeToString()]
        return arguments

    def _run_script(self, config: RepoConfig, script: str, arguments: Sequence[Sequence[Any]]) -> list[Any]:
        """Replies of one script run for each list of arguments (the key first); one round trip unless Redis must be taught the script."""
        client = self._get_client(config.online_store)
        digest = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()  # how Redis names scripts
        replies = _pipelined(client, digest, arguments)
        unknown = [index for index, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:  # a Redis that was restarted or flushed has forgotten its scripts; nothing of these was run
            client.script_load(script)
            for index, reply in zip(unknown, _pipelined(client, digest, [arguments[index] for index in unknown]), strict=True):
                replies[index] = reply
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    def _get_client(self, online_store_config: RedisOnlineStoreConfig) -> Any:
        if self._client is None and (url := _address(online_store_config)) is not None:
            self._client = redis.Redis.from_url(url, **_connection(online_store_config))
        return super()._get_client(online_store_config)

    async def _get_client_async(self, online_store_config: RedisOnlineStoreConfig) -> Any:
        if self._client_async is None and (url := _address(online_store_config)) is not None:
            self._client_async = redis.asyncio.Redis.from_url(url, **_connection(online_store_config, asynchronous=True))
        return await super()._get_client_async(online_store_config)


def _address(config: RedisOnlineStoreConfig) -> str | None:
    return config.address() if isinstance(config, TimelineOnlineStoreConfig) else None


def _connection(config: RedisOnlineStoreConfig, *, asynchronous: bool = False) -> dict[str, Any]:
    timeout_s = config.timeout_s if isinstance(config, TimelineOnlineStoreConfig) else None
    # One immediate retry covers a pooled connection that the server has closed; redis-py's default would wait up to 10 s in a request.
    # A timeout is not retried: who stalls would be waited for twice.
    retry_of = redis.asyncio.retry.Retry if asynchronous else Retry
    retry = retry_of(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
    return {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s, "retry": retry}


def _pipelined(client: Any, digest: str, arguments: Sequence[Sequence[Any]]) -> list[Any]:
    """Replies, exceptions among them."""
    if not arguments:
        return []
    with client.pipeline(transaction=False) as pipe:
        for key, *rest in arguments:
            pipe.evalsha(digest, 1, key, *rest)
        replies: list[Any] = pipe.execute(raise_on_error=False)
    return replies


def user_keys(config: RepoConfig, user_ids: Sequence[str]) -> list[bytes]:
    """Feast's keys of users, without an object for each: that costs more than the read itself. A test holds them equal to Feast's."""
    names = [_LENGTH.pack(number) for number in (1, ValueType.STRING, len(USER_ID))]
    head, project = b"".join([*names, USER_ID.encode(), _LENGTH.pack(ValueType.STRING)]), config.project.encode()
    users = [user_id.encode() for user_id in user_ids]
    return [b"".join((head, _LENGTH.pack(len(user)), user, project)) for user in users]


def _timestamp(instant_us: int) -> bytes:
    timestamp = Timestamp()
    timestamp.FromMicroseconds(instant_us)
    serialised: bytes = timestamp.SerializeToString()
    return serialised


def packed_of(value: bytes) -> bytes | None:
    """The packed timeline in a serialised value of Feast's; None when it is none of Feast's."""
    try:
        packed: bytes = Value.FromString(value).bytes_val
    except DecodeError:
        return None
    return packed


def _bytes_value(packed: bytes) -> bytes:
    serialised: bytes = Value(bytes_val=packed).SerializeToString()
    return serialised


def _ttl_s(config: RepoConfig) -> int:
    return config.online_store.key_ttl_seconds or 0
