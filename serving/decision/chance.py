"""Chance that can be repeated: draws that follow from ids alone, so that a decision replays to the same bytes."""

from __future__ import annotations

import hashlib

VERSION = 1
"""Raised whenever the same ids would draw other numbers; old receipts then no longer replay."""

_BITS = 53  # all that a float holds


def draw(purpose: str, of: str) -> float:
    """A number in [0, 1), uniform over ids, independent between purposes.

    Examples
    --------
    >>> draw("holdout:2026", "ada") == draw("holdout:2026", "ada") != draw("holdout:2027", "ada")
    True
    """
    digest = hashlib.sha256(f"{VERSION}\x1f{purpose}\x1f{of}".encode()).digest()
    return float((int.from_bytes(digest[:8], "big") >> (64 - _BITS)) / (1 << _BITS))


def pick(purpose: str, of: str, n: int) -> int:
    """One of 0 .. n - 1, each with the chance 1 / n.

    Examples
    --------
    >>> pick("arm", "d1", 1)
    0
    """
    return min(int(draw(purpose, of) * n), n - 1)
