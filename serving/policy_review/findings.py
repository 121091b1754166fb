"""What a review brings up."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Finding(StrEnum):
    """What kind of thing was found."""

    DEAD = "dead"  # it can never have any effect
    CONFLICT = "conflict"  # two rules that work against each other; which one wins is said
    NOTE = "note"  # it works, and should be known


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One thing that was found."""

    kind: Finding
    path: str  # in policy.yaml
    sentence: str
