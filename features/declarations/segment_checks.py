"""What segments in ``product.yaml`` demand of its features and its profile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from features.core.ages import age_name
from features.core.product import AttributeType
from features.core.segments import LEARNED
from features.declarations.faults import Fault, place, quote, unknown
from features.declarations.product_parts import expand
from features.declarations.product_schema import AttributeSchema, ProductSchema, Segments, SegmentSchema

_VALUE_TYPES: dict[AttributeType, tuple[type, ...]] = {
    AttributeType.CATEGORY: (str,),
    AttributeType.TEXT: (str,),
    AttributeType.NUMBER: (int, float),
    AttributeType.BOOLEAN: (bool,),
    AttributeType.INSTANT: (),
}
_ADVICE = {AttributeType.INSTANT: "ask for its age under when"}


def segment_faults(schema: ProductSchema) -> Iterator[Fault]:
    """Every fault of ``segments``, then of ``segmentations``."""
    yield from _of_one(schema, schema.segments, "segments")
    for name, segments in schema.segmentations.items():
        if name == LEARNED:
            path, expected = place("segmentations", name), "another name"
            yield Fault(path=path, found="the name of the segmentation that training learns", expected=expected, advice="rename it")
        yield from _of_one(schema, segments, "segmentations", name)


def _of_one(schema: ProductSchema, segments: Segments, *steps: str) -> Iterator[Fault]:
    everybody = None
    for name, segment in segments.items():
        if everybody is not None:
            found = f"a segment after {everybody}, which is everybody's"
            yield Fault(path=place(*steps, name), found=found, expected="nothing after it", advice=f"move {everybody} to the end")
        if not segment.where and not segment.when:
            everybody = everybody or name
        yield from _attribute_faults(schema, segment, *steps, name)
        yield from _condition_faults(schema, segment, *steps, name)


def _attribute_faults(schema: ProductSchema, segment: SegmentSchema, *steps: str) -> Iterator[Fault]:
    for name, value in segment.where.items():
        path, attribute = place(*steps, name), schema.profile.get(name)
        if attribute is None:
            yield unknown(path, name, list(schema.profile), section="profile")
        elif not _fits(value, attribute):
            advice = _ADVICE.get(attribute.type, "one value of the attribute's type")
            expected = "no instant" if attribute.type is AttributeType.INSTANT else f"a {attribute.type.value}"
            yield Fault(path=path, found=quote(value), expected=expected, advice=advice)


def _condition_faults(schema: ProductSchema, segment: SegmentSchema, *steps: str) -> Iterator[Fault]:
    names = [feature.name for entry in schema.features for feature in expand(schema, entry)]
    names += [age_name(name) for name, body in schema.profile.items() if body.type is AttributeType.INSTANT]
    for index, condition in enumerate(segment.when):
        if condition.feature not in names:
            yield unknown(place(*steps, "when", index), condition.feature, names, section="features")


def _fits(value: Any, attribute: AttributeSchema) -> bool:
    allowed = _VALUE_TYPES[attribute.type]
    return isinstance(value, allowed) and (bool in allowed or not isinstance(value, bool))
