"""What one key of ``product.yaml`` demands of another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from features.core.ages import age_name
from features.core.catalogue import Direction, subject_of, window_text
from features.core.product import AttributeType
from features.declarations.faults import Fault, one_of, place, quote, unknown
from features.declarations.feature_checks import feature_faults
from features.declarations.product_parts import attribute_model_input, expand, kinds_of
from features.declarations.product_schema import ProductSchema
from features.declarations.segment_checks import segment_faults
from features.declarations.selector_checks import funnel_faults, group_faults

RESERVED_NAMES = ("user_id", "event_timestamp", "as_of", "snapshot_as_of", "feature_fingerprint", "dropped_out", "packed", "base", "when")
"""Columns and keys that the system itself uses beside features, attributes and causes."""
_LEFT_OUT = "_y"
"""Columns of this ending Feast's offline joins drop as if they were the right side's doubles (0.67, infra/offline_stores/ibis.py)."""


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
    yield from segment_faults(schema)
    yield from _collection_faults(schema)


def _cause_faults(schema: ProductSchema) -> Iterator[Fault]:
    yield from _reserved("causes", schema.causes)


def _repeated_features(schema: ProductSchema) -> Iterator[Fault]:
    counts: Counter[str] = Counter()
    ages = (age_name(name) for name, body in schema.profile.items() if body.type is AttributeType.INSTANT)
    taken = {*RESERVED_NAMES, *schema.profile, *ages}
    for index, feature in enumerate(schema.features):
        for name in (made.name for made in expand(schema, feature)):
            if counts[name]:
                yield Fault(path=place("features", index), found=f"{name} again", expected="each feature once", advice="remove one of them")
            if name in taken:
                yield Fault(
                    path=place("features", index), found=f"{name}, a name in use", expected="another name", advice="rename the attribute"
                )
            if name.endswith(_LEFT_OUT):
                yield Fault(
                    path=place("features", index),
                    found=name,
                    expected=f"no name that ends in {_LEFT_OUT}, since Feast leaves such columns out of its joins",
                    advice="rename the kind, group or subject",
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
    yield from _cohort_faults(schema)
    for name, attribute in schema.profile.items():
        if attribute.type is AttributeType.INSTANT and age_name(name) in schema.profile:
            path, found = place("profile", age_name(name)), f"the name of the age of {name}"
            yield Fault(path=path, found=found, expected="another name", advice="rename it")
        if attribute.type is AttributeType.TEXT and attribute_model_input(attribute) is True:
            path = place("profile", name, "model")
            yield Fault(path=path, found="true", expected="false for text", advice="make it a category or leave model out")
        if attribute.direction is not Direction.NONE and attribute.type in (AttributeType.CATEGORY, AttributeType.TEXT):
            path, found = place("profile", name, "direction"), f"{attribute.direction.value} of a {attribute.type.value}"
            yield Fault(path=path, found=found, expected="none", advice="only what can grow has a direction")


def _cohort_faults(schema: ProductSchema) -> Iterator[Fault]:
    cohorts = [name for name, attribute in schema.profile.items() if attribute.cohort]
    for name in cohorts:
        if schema.profile[name].type is not AttributeType.CATEGORY:
            path, found = place("profile", name, "cohort"), f"true of a {schema.profile[name].type.value}"
            yield Fault(path=path, found=found, expected="false", advice="only the values of a category name cohorts")
    for name in cohorts[1:]:
        path, found = place("profile", name, "cohort"), f"a second one beside {cohorts[0]}"
        yield Fault(path=path, found=found, expected="one attribute at most", advice="choose the one by which base rates differ more")


def _collection_faults(schema: ProductSchema) -> Iterator[Fault]:
    if schema.collection is None:
        return
    fitting = [name for name, attribute in schema.profile.items() if attribute.type is AttributeType.BOOLEAN]
    name = schema.collection.attribute
    if name not in fitting:
        advice = "declare it as boolean under profile or correct the name"
        yield Fault(path=place("collection", "attribute"), found=quote(name), expected=one_of(fitting), advice=advice)


def _reserved(section: str, names: Any) -> Iterator[Fault]:
    for name in names:
        if name in RESERVED_NAMES:
            yield Fault(path=place(section, name), found="a name the system uses itself", expected="another name", advice="rename it")
