"""Erasing a person: every id of theirs, everywhere, such that nothing brings them back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from features.ports import IdentityStore


class Erasable(Protocol):
    """A place where something about users is kept."""

    def erase(self, user_ids: Sequence[str]) -> int | None:
        """Remove everything about the users; unknown users are no error, and doing it again is safe. Says how much, where it counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What one erasure found."""

    user_ids: tuple[str, ...]  # of the person; of them nothing is left but marks that do not hold them
    removed: int  # rows, messages and keys that were removed, where they were counted

    @property
    def found_anything(self) -> bool:
        """Whether something was stored under the id, an alias included."""
        return self.removed > 0 or len(self.user_ids) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """Erases persons.

    First all their ids are marked as erased, in one atomic step with finding them; from then on every store drops what is written about
    them. Then each place is emptied; the links between the ids go last. After a crash anywhere, erasing again completes it.

    Parameters
    ----------
    places
        By name, in the order in which they are emptied.
    compact
        Makes the database forget what it deleted, on disk, too.
    """

    identities: IdentityStore
    places: Mapping[str, Erasable]
    compact: Callable[[], None]

    def erase(self, user_id: str) -> Erased:
        """Erase the person whom ``user_id`` is an id of; an id that was never seen is marked all the same.

        Raises
        ------
        StoreError, LedgerError, EventStreamError
            If a place failed; erase again when it is back.
        """
        user_ids = self.identities.mark_erased(user_id)
        removed = sum(place.erase(user_ids) or 0 for place in self.places.values())
        self.identities.forget(user_ids)
        self.compact()
        return Erased(user_ids=user_ids, removed=removed)
