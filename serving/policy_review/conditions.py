"""What follows from conditions: one from another, and that some can never hold together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import combinations

from features.core.catalogue import Aggregation, Feature, kind_of
from features.core.condition import Comparison, Condition
from features.core.product import Product, Segment
from serving.decision.policy import Membership, SegmentCondition

_DAY = timedelta(days=1)

Either = Condition | SegmentCondition

_OF_ANY_SIGN = {Aggregation.SUM, Aggregation.MEAN, Aggregation.MAX, Aggregation.TREND}
_SHARES = {Aggregation.HOUR_SHARE, Aggregation.SHARE_OF_FIRST}
_EVENTS = {Aggregation.COUNT, Aggregation.BURST}
_WITHIN_WINDOW = {Aggregation.SECONDS_SINCE_LAST, Aggregation.SECONDS_SINCE_FIRST, Aggregation.SECONDS_WAITING}


def implies(given: Either, asked: Either, product: Product | None = None) -> bool:
    """Whether ``asked`` holds wherever ``given`` does.

    Parameters
    ----------
    product
        Says what features count, so that ``count_x_2m >= 3`` is known to imply ``count_x_7d >= 3``; None: each feature for itself.

    Examples
    --------
    >>> three, two = (Condition(feature="f", comparison=Comparison.AT_LEAST, value=value) for value in (3.0, 2.0))
    >>> implies(three, two), implies(two, three)
    (True, False)
    """
    if given == asked:
        return True
    if isinstance(given, SegmentCondition) and isinstance(asked, SegmentCondition):
        is_elsewhere = given.segmentation == asked.segmentation and given.segment != asked.segment
        return is_elsewhere and (given.membership, asked.membership) == (Membership.IS, Membership.IS_NOT)
    if not isinstance(given, Condition) or not isinstance(asked, Condition) or _is_lower(given) is not _is_lower(asked):
        return False
    less, more = (given.feature, asked.feature) if _is_lower(asked) else (asked.feature, given.feature)
    if less != more and not _counts_all_of(more, less, product):
        return False
    further = given.value > asked.value if _is_lower(asked) else given.value < asked.value
    return further or (given.value == asked.value and (_is_strict(given) or not _is_strict(asked)))


def _counts_all_of(more: str, less: str, product: Product | None) -> bool:
    """Whether both features are counts, and every event that one counts is counted by the other: within its window, of its kinds."""
    if product is None:
        return False
    counts = [one for one in product.catalogue.features if one.name in (less, more) and one.aggregation is Aggregation.COUNT]
    if len(counts) != len({less, more}):
        return False
    inner, outer = sorted(counts, key=lambda one: one.name == more)
    is_longer = outer.window is None or (inner.window is not None and inner.window <= outer.window)
    return is_longer and set(inner.kinds) <= set(outer.kinds)


def contradiction(conditions: Iterable[Either], product: Product | None = None) -> str:
    """Why the conditions cannot all hold, in words; "" where they can, as far as is known.

    Examples
    --------
    >>> low = Condition(feature="f", comparison=Comparison.AT_MOST, value=2.0)
    >>> high = Condition(feature="f", comparison=Comparison.AT_LEAST, value=3.0)
    >>> contradiction([low, high])
    'f <= 2 and f >= 3 cannot both hold'
    """
    given = tuple(conditions)
    numbers = [condition for condition in given if isinstance(condition, Condition)]
    segments = [condition for condition in given if isinstance(condition, SegmentCondition)]
    found = (*_out_of_range(numbers, product), *_apart(numbers), *_in_two_segments(segments), *_in_no_segment(segments, product))
    return found[0] if found else ""


def always_holds(conditions: Sequence[Either], product: Product | None) -> bool:
    """Whether all conditions hold of everybody: of counts, which are never undefined, none asks for more than what there is at least."""
    counts = {one.name for one in product.catalogue.features if one.aggregation is Aggregation.COUNT} if product is not None else set()
    return all(
        isinstance(one, Condition) and one.feature in counts and _is_lower(one) and one.compare(0.0, one.value) for one in conditions
    )


def _apart(conditions: Sequence[Condition]) -> Iterator[str]:
    by_feature = sorted(conditions, key=lambda c: (c.feature, _is_lower(c), c.value))
    for one, other in ((a, b) for a in by_feature for b in by_feature if a.feature == b.feature and not _is_lower(a) and _is_lower(b)):
        if one.value < other.value or (one.value == other.value and (_is_strict(one) or _is_strict(other))):
            yield f"{text(one)} and {text(other)} cannot both hold"


def _out_of_range(conditions: Sequence[Condition], product: Product | None) -> Iterator[str]:
    """Conditions that no value of the feature satisfies."""
    features = {} if product is None else {feature.name: feature for feature in product.catalogue.features}
    for condition in conditions:
        if product is None or condition.feature not in features:
            continue
        least, most = _range(features[condition.feature], product)
        bound, word = (most, "at most") if _is_lower(condition) else (least, "at least")
        if not condition.compare(bound, condition.value):
            yield f"{text(condition)} cannot hold: {condition.feature} is {word} {bound:.12g}"


def _range(feature: Feature, product: Product) -> tuple[float, float]:
    """Least and greatest value, as far as the definition says."""
    least = -math.inf if feature.aggregation in _OF_ANY_SIGN else 0.0
    if feature.aggregation in _SHARES or _is_part_of_whole(feature):
        return least, 1.0
    if feature.aggregation in _WITHIN_WINDOW and feature.window is not None:
        return least, math.nextafter(feature.window.total_seconds(), 0.0)  # events as old as it lie outside
    if feature.aggregation is Aggregation.ACTIVE_DAYS and feature.window is not None:
        return least, -(-feature.window // _DAY) + 1  # the window may cut its first day and its last
    if feature.aggregation in _EVENTS:
        kinds = {kind_of(selector) for selector in feature.kinds}
        return least, sum(kind.keep + kind.keep_first for kind in product.catalogue.kinds if kind.name in kinds)
    return least, math.inf


def _is_part_of_whole(feature: Feature) -> bool:
    """Whether each event above the line of a ratio is one below it."""
    return feature.aggregation is Aggregation.RATIO and set(feature.kinds) <= set(feature.to_kinds)


def _in_two_segments(conditions: Sequence[SegmentCondition]) -> Iterator[str]:
    for one, other in combinations(conditions, 2):
        is_same, memberships = one.segment == other.segment, {one.membership, other.membership}
        is_both = memberships == {Membership.IS} and not is_same
        is_in_and_out = len(memberships) > 1 and is_same
        if one.segmentation == other.segmentation and (is_both or is_in_and_out):
            yield f"{text(one)} and {text(other)} cannot both hold"


def _in_no_segment(conditions: Sequence[SegmentCondition], product: Product | None) -> Iterator[str]:
    """All segments excluded, one by one: who is in none satisfies nothing."""
    segments: dict[str | None, Sequence[Segment]] = {}
    if product is not None:
        segments = {None: product.segments, **{one.name: one.segments for one in product.segmentations}}
    for segmentation, known in segments.items():
        excluded = {c.segment for c in conditions if c.segmentation == segmentation and c.membership is Membership.IS_NOT}
        if excluded and excluded >= {segment.name for segment in known}:
            yield f"{_segmentation(segmentation)} has no segment but {', '.join(sorted(excluded))}, which are all excluded"


def _is_lower(condition: Condition) -> bool:
    return condition.comparison in (Comparison.AT_LEAST, Comparison.ABOVE)


def _is_strict(condition: Condition) -> bool:
    return condition.comparison in (Comparison.ABOVE, Comparison.BELOW)


def lower_bound(condition: Either) -> float:
    """The number that the condition asks for at least; -inf where it asks for none.

    Examples
    --------
    >>> lower_bound(Condition(feature="f", comparison=Comparison.ABOVE, value=3.0))
    3.0
    """
    return condition.value if isinstance(condition, Condition) and _is_lower(condition) else -math.inf


def text(condition: Either) -> str:
    """The condition as it is written.

    Examples
    --------
    >>> text(SegmentCondition(segmentation=None, membership=Membership.IS, segment="free"))
    'segment == free'
    """
    if isinstance(condition, Condition):
        return f"{condition.feature} {condition.comparison.value} {condition.value:g}"
    return f"{_segmentation(condition.segmentation)} {condition.membership.value} {condition.segment}"


def _segmentation(name: str | None) -> str:
    return "segment" if name is None else f"segment.{name}"
