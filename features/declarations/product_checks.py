"""What one key of ``product.yaml`` demands of another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from features.core.catalogue import subject_of, window_text
from features.core.product import AttributeType
from features.declarations.faults import Fault, place, quote, unknown
from features.declarations.feature_checks import feature_faults
from features.declarations.product_parts import attribute_model_input, expand, kinds_of
from features.declarations.product_schema import AttributeSchema, ProductSchema
from features.declarations.selector_checks import funnel_faults, group_faults

RESERVED_NAMES = ("user_id", "event_timestamp", "as_of", "snapshot_as_of", "feature_fingerprint", "dropped_out", "packed", "base")
"""Columns and keys that the system itself uses beside features, attributes and causes."""

_VALUE_TYPES: dict[AttributeType, tuple[type, ...]] = {
    AttributeType.CATEGORY: (str,),
    AttributeType.TEXT: (str,),
    AttributeType.NUMBER: (int, float),
    AttributeType.BOOLEAN: (bool,),
}


def product_faults(schema: ProductSchema) -> Iterator[Fault]:
    """Every fault that crosses keys, in the order of the file's sections."""
    yield from group_faults(schema)
    yield from funnel_faults(schema)
    yield from _cause_faults(schema)
    for index, feature in enumerate(schema.features):
        yield from feature_faults(schema, feature, index)
    yield from _repeated_features(schema)
    yield from _label_faults(schema)
    yield from _profile_faults(schema)
    yield from _segment_faults(schema)


def _cause_faults(schema: ProductSchema) -> Iterator[Fault]:
    yield from _reserved("causes", schema.causes)


def _repeated_features(schema: ProductSchema) -> Iterator[Fault]:
    counts: Counter[str] = Counter()
    for index, feature in enumerate(schema.features):
        for name in (made.name for made in expand(schema, feature)):
            if counts[name]:
                yield Fault(path=place("features", index), found=f"{name} again", expected="each feature once", advice="remove one of them")
            if name in RESERVED_NAMES or name in schema.profile:
                yield Fault(
                    path=place("features", index), found=f"{name}, a name in use", expected="another name", advice="rename the attribute"
                )
            counts[name] += 1


def _label_faults(schema: ProductSchema) -> Iterator[Fault]:
    known = [*schema.kinds, *schema.groups]
    for index, name in enumerate(schema.label.activity):
        path = place("label", "activity", index)
        if name not in known:
            yield unknown(path, name, known, section="kinds or groups")
        elif part := next((member for member in kinds_of(schema, name) if subject_of(member) is not None), None):
            yield Fault(path=path, found=f"{name} with {part}", expected="whole kinds", advice="name kinds without a subject")
    spine = schema.label.spine
    if spine.stop_after < spine.start_after:
        yield Fault(
            path=place("label", "spine", "stop_after"),
            found=window_text(spine.stop_after),
            expected=f"at least start_after, {window_text(spine.start_after)}",
            advice="raise it",
        )


def _profile_faults(schema: ProductSchema) -> Iterator[Fault]:
    yield from _reserved("profile", schema.profile)
    for name, attribute in schema.profile.items():
        if attribute.type is AttributeType.TEXT and attribute_model_input(attribute) is True:
            path = place("profile", name, "model")
            yield Fault(path=path, found="true", expected="false for text", advice="make it a category or leave model out")


def _segment_faults(schema: ProductSchema) -> Iterator[Fault]:
    for segment, where in schema.segments.items():
        for name, value in where.items():
            path = place("segments", segment, name)
            attribute = schema.profile.get(name)
            if attribute is None:
                yield unknown(path, name, list(schema.profile), section="profile")
            elif not _fits(value, attribute):
                yield Fault(path=path, found=quote(value), expected=f"a {attribute.type.value}", advice="one value of the attribute's type")


def _fits(value: Any, attribute: AttributeSchema) -> bool:
    allowed = _VALUE_TYPES[attribute.type]
    return isinstance(value, allowed) and (bool in allowed or not isinstance(value, bool))


def _reserved(section: str, names: Any) -> Iterator[Fault]:
    for name in names:
        if name in RESERVED_NAMES:
            yield Fault(path=place(section, name), found="a name the system uses itself", expected="another name", advice="rename it")
