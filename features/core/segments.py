"""Which segments a user is in: a pure function of (vector, profile, as_of), evaluated anew at every decision."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from features.core.product import Product, Segment

LEARNED = "learned"
"""The segmentation that training learns from behaviour; a product cannot declare one of this name."""

Numbers = Mapping[str, float]
Profile = Mapping[str, Any]


def segment_of(segments: Sequence[Segment], numbers: Numbers | None, profile: Profile | None) -> str | None:
    """The first segment of which everything holds; None when there is none, or when it cannot be told.

    Parameters
    ----------
    segments
        Of one segmentation, in declared order.
    numbers
        Features and ages by name; None when they could not be computed. A segment that asks for one then leaves the question open:
        "the rest" is not assumed of somebody about whom nothing is known.
    profile
        Attributes by name; None when they could not be read, likewise.

    Examples
    --------
    >>> from features.core.condition import Comparison, Condition
    >>> often = Condition(feature="count_login_7d", comparison=Comparison.AT_LEAST, value=3.0)
    >>> segments = [Segment(name="engaged", conditions=(often,)), Segment(name="at_risk")]
    >>> segment_of(segments, {"count_login_7d": 4.0}, {}), segment_of(segments, {"count_login_7d": 2.0}, {}), segment_of(segments, None, {})
    ('engaged', 'at_risk', None)
    """
    for segment in segments:
        verdict = _matches(segment, numbers, profile)
        if verdict is None:
            return None
        if verdict:
            return segment.name
    return None


def segments_of(product: Product, numbers: Numbers | None, profile: Profile | None) -> dict[str, str]:
    """The user's segment in each of the product's named segmentations; one without is left out."""
    found = {}
    for segmentation in product.segmentations:
        segment = segment_of(segmentation.segments, numbers, profile)
        if segment is not None:
            found[segmentation.name] = segment
    return found


def _matches(segment: Segment, numbers: Numbers | None, profile: Profile | None) -> bool | None:
    """Whether everything holds; None where it cannot be told."""
    if segment.where:
        if profile is None:
            return None
        if not segment.where.items() <= profile.items():
            return False
    if segment.conditions:
        if numbers is None:
            return None
        for name, compare, value in segment.tests:  # asked of every segment at every decision: a call for each would double its time
            if not compare(numbers.get(name, math.nan), value):  # NaN satisfies none
                return False
    return True
