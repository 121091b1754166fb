"""Timeline and profile of a user in one read: both views of Feast lie in one hash, so one HMGET gets them.

The keys, fields and values are Feast's own (its online store format); a test holds what is read here equal to what the stores of
`features.adapters.feast_store` and Feast's `get_online_features` read.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import redis
from feast import FeatureStore
from feast.protos.feast.types.Value_pb2 import Value
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from features.adapters.feast_online_store import PACKED, PROFILE_VIEW, TIMELINE_VIEW, packed_of, user_keys
from features.adapters.feast_store import online_store_of, python_of
from features.core.product import AttributeType, Product

_UNREADABLE = (DecodeError, redis.RedisError)
_SHARED = frozenset({AttributeType.CATEGORY, AttributeType.BOOLEAN})
"""Types whose values many users share. Others may be somebody's own, and are not kept beyond the call."""


class FeastRows:
    """What to ask the online store's Redis about users, and what the replies say; whoever asks sends it with other questions.

    Parameters
    ----------
    store
        As `features.adapters.feast_store.open_store` returns it.
    product
        Whose profile attributes are read.
    """

    def __init__(self, store: FeatureStore, product: Product) -> None:
        self._config = store.config
        self._online = online_store_of(store)
        self._names = tuple(attribute.name for attribute in product.profile)
        self._readers = tuple(_shared_value if attribute.type in _SHARED else _value for attribute in product.profile)
        packed, _ = self._online.fields(store.get_feature_view(TIMELINE_VIEW), [PACKED])
        profile = self._online.fields(store.get_feature_view(PROFILE_VIEW), self._names) if self._names else []
        self._fields = (packed, *profile)

    @property
    def client(self) -> redis.Redis:
        """Where to ask."""
        return self._online.client(self._config)

    def commands(self, user_ids: Sequence[str]) -> list[tuple[str | bytes, ...]]:
        """One command for each user."""
        return [("HMGET", key, *self._fields) for key in user_keys(self._config, user_ids)]

    def timeline(self, reply: Any) -> bytes | None:
        """Packed timeline of a reply; b"" for an unknown user, None where it cannot be read."""
        return None if isinstance(reply, Exception) else packed_of(reply[0] or b"")

    def profile(self, reply: Any) -> dict[str, Any] | None:
        """Attributes of a reply that are set; None where they cannot be read."""
        try:
            return self._profile(reply)
        except _UNREADABLE:
            return None

    def _profile(self, reply: Any) -> dict[str, Any]:
        if isinstance(reply, Exception):
            raise reply
        if not self._names:
            return {}
        Timestamp.FromString(reply[-1] or b"")  # Feast reads no row whose timestamp is not one
        known = zip(self._names, self._readers, reply[1:], strict=False)
        values = {name: read(value) for name, read, value in known if value}
        return {name: value for name, value in values.items() if value is not None}


def _value(serialised: bytes) -> Any:
    return python_of(Value.FromString(serialised))


@lru_cache(maxsize=1_024)
def _shared_value(serialised: bytes) -> Any:
    """Decoded once and not for every user again."""
    return _value(serialised)
