"""Who stands for whom, in dictionaries: the shipped twin of the store in Redis."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from features.core.alias import Alias
from features.ports import AliasRefusal, Link, Standing


class MemoryIdentityStore:
    """Links and erasures that end with the process; safe to use from several threads.

    Examples
    --------
    >>> MemoryIdentityStore().standing(["nobody"])
    {}
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._links: dict[str, Link] = {}
        self._erased: set[str] = set()

    def claim(self, alias: Alias) -> AliasRefusal | None:
        """Attach; the first accepted alias of a previous id wins."""
        with self._lock:
            if not self._erased.isdisjoint((alias.previous_id, alias.user_id)):
                return AliasRefusal.ERASED
            stored = self._links.get(alias.previous_id)
            if stored is not None and stored.user_id != alias.user_id:
                return AliasRefusal.CONFLICT
            if stored is None and self._end_of(alias.user_id) == alias.previous_id:
                return AliasRefusal.CYCLE
            known_us = alias.known_us if stored is None else min(alias.known_us, stored.known_us)
            self._links[alias.previous_id] = Link(user_id=alias.user_id, known_us=known_us)
            return None

    def standing(self, user_ids: Sequence[str]) -> dict[str, Standing]:
        """Standing of the ids that are attached or erased."""
        with self._lock:
            special = [user_id for user_id in user_ids if user_id in self._links or user_id in self._erased]
            return {user_id: Standing(link=self._links.get(user_id), is_erased=user_id in self._erased) for user_id in special}

    def ids_of(self, user_id: str) -> tuple[str, ...]:
        """All ids of a person, the one all others are attached to first."""
        with self._lock:
            return self._ids_of(user_id)

    def mark_erased(self, user_id: str) -> tuple[str, ...]:
        """`ids_of`, all of them marked as erased."""
        with self._lock:
            ids = self._ids_of(user_id)
            self._erased.update(ids)
            return ids

    def forget(self, user_ids: Sequence[str]) -> None:
        """Remove the ids from all links."""
        with self._lock:
            gone = set(user_ids)
            self._links = {previous_id: link for previous_id, link in self._links.items() if gone.isdisjoint((previous_id, link.user_id))}

    def _end_of(self, user_id: str) -> str:
        while (link := self._links.get(user_id)) is not None:
            user_id = link.user_id
        return user_id

    def _ids_of(self, user_id: str) -> tuple[str, ...]:
        ids = [self._end_of(user_id)]
        for holder in ids:  # grows while it is walked
            ids += sorted(previous_id for previous_id, link in self._links.items() if link.user_id == holder)
        return tuple(ids)
