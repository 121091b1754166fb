"""One person under several ids: whom an id stands for."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from features.ports import IdentityStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whom an id stands for now."""

    user_id: str  # the end of the chain of aliases
    is_erased: bool
    previous_ids: tuple[str, ...] = ()  # along the chain, the id asked about first; none where it stands for itself


def whom(identities: IdentityStore, user_ids: Sequence[str]) -> list[Person]:
    """Whom each id stands for, in the order given: one round trip where no id is attached, one more for each step of the longest chain.

    Raises
    ------
    StoreError
        If the store cannot be reached.
    """
    chains, asked = [[user_id] for user_id in user_ids], list(user_ids)
    erased: set[str] = set()
    while asked:
        standing = identities.standing(list(dict.fromkeys(asked)))
        erased.update(user_id for user_id, known in standing.items() if known.is_erased)
        following = {user_id: known.link.user_id for user_id, known in standing.items() if known.link is not None}
        asked = [following[user_id] for user_id in dict.fromkeys(asked) if user_id in following]
        for chain in chains:
            if chain[-1] in following:
                chain.append(following[chain[-1]])
    return [_person(chain, erased) for chain in chains]


def _person(chain: Sequence[str], erased: AbstractSet[str]) -> Person:
    return Person(user_id=chain[-1], is_erased=not erased.isdisjoint((chain[0], chain[-1])), previous_ids=tuple(chain[:-1]))
