"""Decision ids that say where their receipt is, without saying whose it is."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32
_ID = re.compile(r"d(?P<tag>[0-9a-f]{16})-[0-9a-hjkmnp-tv-z]{26}")
_TIME_BITS, _RANDOM_BITS = 48, 80
_CHARACTERS = 26

ENTROPY_BYTES = _RANDOM_BITS // 8
"""Random bytes that an id needs."""


@lru_cache(maxsize=4096)  # asked three times in one decision
def user_tag(user_id: str) -> str:
    """16 hex digits that stand for the user in keys: the hash tag that keeps all of a user's ledger keys in one cluster slot.

    Examples
    --------
    >>> user_tag("ada")
    'fdee430d40bd57de'
    """
    return hashlib.sha256(user_id.encode()).hexdigest()[:16]


def decision_id(user_id: str, now_us: int, entropy: bytes) -> str:
    """``d`` + user tag + ``-`` + 26 characters: 48 bits of milliseconds, then 80 random bits (a ULID), so a user's ids sort by time.

    Examples
    --------
    >>> decision_id("ada", 1_772_366_400_000_000, bytes(10))
    'dfdee430d40bd57de-01kjmma2g00000000000000000'
    """
    milliseconds = (now_us // 1000) % (1 << _TIME_BITS)
    number = (milliseconds << _RANDOM_BITS) | int.from_bytes(entropy[:ENTROPY_BYTES], "big")
    characters = [_ALPHABET[(number >> (5 * place)) & 31] for place in reversed(range(_CHARACTERS))]
    return f"d{user_tag(user_id)}-{''.join(characters)}"


def made_us(decision_id: str) -> int | None:
    """When the id was made, to the millisecond; None when it is no decision id.

    Examples
    --------
    >>> made_us("dfdee430d40bd57de-01kjmma2g00000000000000000")
    1772366400000000
    """
    if _ID.fullmatch(decision_id) is None:
        return None
    number = 0
    for character in decision_id.rpartition("-")[2]:
        number = number << 5 | _ALPHABET.index(character)
    return (number >> _RANDOM_BITS) * 1000


def tag_of(decision_id: str) -> str | None:
    """The user tag inside a decision id; None when it is no decision id.

    Examples
    --------
    >>> tag_of("d0123456789abcdef-01hqxkz8000000000000000000")
    '0123456789abcdef'
    >>> tag_of("anything else") is None
    True
    """
    match = _ID.fullmatch(decision_id)
    return match["tag"] if match else None
