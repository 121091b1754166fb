"""Who stands for whom, in Redis: one script attaches, so no two callers can attach one id to two users."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from importlib.resources import files
from typing import Any, TypeVar

import redis

from features.core.alias import Alias
from features.ports import AliasRefusal, Link, Standing, StoreError, StoreTimeoutError

T = TypeVar("T")

_IDS_PER_ROUND_TRIP = 1_000


class RedisIdentityStore:
    """Links and erasures under ``stillhere:{<product>:alias}:``, all in one cluster slot, so that chains are checked atomically.

    ``links`` is a hash (previous id to received_us and user id), ``held:<user id>`` the set of ids attached to a user, and ``erased`` a set
    of SHA-1 sums: enough to recognise an erased id, nothing to read it from.

    Parameters
    ----------
    client
        Answers bytes; a Redis that neither evicts nor forgets.
    product
        Name of the product.
    """

    def __init__(self, client: redis.Redis, *, product: str) -> None:
        self._client = client
        self._salt = f"{product}\n"
        prefix = f"stillhere:{{{product}:alias}}"
        self._links, self._erased, self._held = f"{prefix}:links", f"{prefix}:erased", f"{prefix}:held:"

    def claim(self, alias: Alias) -> AliasRefusal | None:
        """Attach, atomically; the first accepted alias of a previous id wins."""
        arguments = [alias.previous_id, alias.user_id, alias.known_us, self._mark(alias.previous_id), self._mark(alias.user_id)]
        answer = self._ask(lambda: self._claim(keys=[self._links, self._held + alias.user_id, self._erased], args=arguments))
        return AliasRefusal(answer.decode()) if answer else None

    def standing(self, user_ids: Sequence[str]) -> dict[str, Standing]:
        """Standing of the ids that are attached or erased; one round trip for each thousand."""
        found: dict[str, Standing] = {}
        for start in range(0, len(user_ids), _IDS_PER_ROUND_TRIP):
            found |= self._standing(user_ids[start : start + _IDS_PER_ROUND_TRIP])
        return found

    def ids_of(self, user_id: str) -> tuple[str, ...]:
        """All ids of a person, the one all others are attached to first."""
        return self._ids_of(user_id, erase=False)

    def mark_erased(self, user_id: str) -> tuple[str, ...]:
        """`ids_of`, all of them marked as erased in the same step."""
        return self._ids_of(user_id, erase=True)

    def forget(self, user_ids: Sequence[str]) -> None:
        """Remove the ids from all links."""
        if not user_ids:
            return

        def remove() -> None:
            with self._client.pipeline(transaction=True) as pipeline:
                pipeline.hdel(self._links, *user_ids)
                pipeline.delete(*(self._held + user_id for user_id in user_ids))
                pipeline.execute()

        self._ask(remove)

    def standing_commands(self, user_ids: Sequence[str]) -> list[tuple[str, ...]]:
        """What asks Redis for the standing of at least one and at most a thousand ids; `standing_of` reads the replies."""
        marks = [self._mark(user_id) for user_id in user_ids]
        return [("HMGET", self._links, *user_ids), ("SMISMEMBER", self._erased, *marks)]

    @staticmethod
    def standing_of(user_ids: Sequence[str], replies: Sequence[Any]) -> dict[str, Standing]:
        """Standing of the ids that are attached or erased."""
        links, erased = replies
        return {
            user_id: Standing(link=_link(stored), is_erased=bool(is_erased))
            for user_id, stored, is_erased in zip(user_ids, links, erased, strict=True)
            if stored is not None or is_erased
        }

    def _standing(self, user_ids: Sequence[str]) -> dict[str, Standing]:
        def read() -> Any:
            with self._client.pipeline(transaction=False) as pipeline:
                for command in self.standing_commands(user_ids):
                    pipeline.execute_command(*command)
                return pipeline.execute()

        return self.standing_of(user_ids, self._ask(read))

    def _ids_of(self, user_id: str, *, erase: bool) -> tuple[str, ...]:
        arguments = [user_id, self._held, int(erase), self._salt]
        return tuple(found.decode() for found in self._ask(lambda: self._person(keys=[self._links, self._erased], args=arguments)))

    def _mark(self, user_id: str) -> str:
        return hashlib.sha1((self._salt + user_id).encode(), usedforsecurity=False).hexdigest()  # what Lua in Redis can compute, too

    @cached_property
    def _claim(self) -> Any:
        return self._client.register_script(files("features.adapters").joinpath("alias_claim.lua").read_bytes())

    @cached_property
    def _person(self) -> Any:
        return self._client.register_script(files("features.adapters").joinpath("alias_person.lua").read_bytes())

    @staticmethod
    def _ask(command: Callable[[], T]) -> T:
        try:
            return command()
        except redis.TimeoutError as exc:
            raise StoreTimeoutError(f"aliases could not be read or written: {exc}; is Redis overloaded or stopped?") from exc
        except redis.RedisError as exc:
            raise StoreError(f"aliases could not be read or written ({type(exc).__name__}: {exc}); start Redis") from exc


def _link(stored: bytes | None) -> Link | None:
    if stored is None:
        return None
    known_us, _, user_id = stored.decode().partition(" ")
    return Link(user_id=user_id, known_us=int(known_us))
