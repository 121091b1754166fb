"""A condition on the segment that a user is in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Membership(StrEnum):
    """How a segment condition compares; a user without a segment in that segmentation satisfies neither."""

    IS = "=="
    IS_NOT = "!="


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentCondition:
    """In which segment of one segmentation the user must be, or must not be."""

    segmentation: str | None  # None: the primary one
    membership: Membership
    segment: str
