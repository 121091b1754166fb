"""Names in ``policy.yaml`` that must stand elsewhere: in the product, or in another section."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from features.core.ages import age_name
from features.core.condition import Condition
from features.core.product import Product, Segment
from features.core.segments import LEARNED
from features.declarations.faults import Fault, one_of, quote
from serving.decision.policy import SegmentCondition

_LEARNED_ID = re.compile(r"s[1-9][0-9]*", re.ASCII)


def unless_known(found: str, names: Collection[str], path: str, section: str) -> Iterator[Fault]:
    """A fault unless ``found`` is one of the names."""
    if found not in names:
        yield Fault(
            path=path,
            found=quote(found),
            expected=one_of(list(names), like=str(found)),
            advice=f"declare it under {section} or correct the name",
        )


def condition_faults(condition: Condition | SegmentCondition, path: str, product: Product) -> Iterator[Fault]:
    """Faults of a condition that asks for what the product does not have."""
    if isinstance(condition, Condition):
        ages = [age_name(name) for name in product.instants]
        yield from unless_known(condition.feature, [*product.catalogue.feature_names, *ages], path, "features of product.yaml")
    elif condition.segmentation == LEARNED:
        if _LEARNED_ID.fullmatch(condition.segment) is None:  # which there are, only a trained model knows
            advice = "take it from the table of segments in the training run"
            yield Fault(path=path, found=quote(condition.segment), expected="the id of a learned segment such as s3", advice=advice)
    else:
        known: dict[str | None, Sequence[Segment]] = {None: product.segments, **{s.name: s.segments for s in product.segmentations}}
        if condition.segmentation not in known:
            names = [*(s.name for s in product.segmentations), LEARNED]
            yield from unless_known(condition.segmentation or "", names, path, "segmentations of product.yaml")
        else:
            names = [segment.name for segment in known[condition.segmentation]]
            yield from unless_known(condition.segment, names, path, "that segmentation in product.yaml")
