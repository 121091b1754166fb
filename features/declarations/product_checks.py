"""What one key of ``product.yaml`` demands of another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from features.core.ages import age_name
from features.core.catalogue import Aggregation, window_text
from features.core.product import AttributeType
from features.declarations.faults import Fault, place, quote, unknown
from features.declarations.product_parts import attribute_model_input, expand, kinds_of
from features.declarations.product_schema import FeatureSchema, ProductSchema
from features.declarations.segment_checks import segment_faults

RESERVED_NAMES = ("user_id", "event_timestamp", "as_of", "snapshot_as_of", "feature_fingerprint", "dropped_out", "packed", "base", "when")
"""Columns and keys that the system itself uses beside features, attributes and causes."""


def product_faults(schema: ProductSchema) -> Iterator[Fault]:
    """Every fault that crosses keys, in the order of the file's sections."""
    yield from _group_faults(schema)
    yield from _cause_faults(schema)
    for index, feature in enumerate(schema.features):
        yield from _feature_faults(schema, feature, index)
    yield from _repeated_features(schema)
    yield from _label_faults(schema)
    yield from _profile_faults(schema)
    yield from segment_faults(schema)


def _group_faults(schema: ProductSchema) -> Iterator[Fault]:
    for group, members in schema.groups.items():
        if group in schema.kinds:
            yield Fault(path=place("groups", group), found="the name of a kind", expected="another name", advice="rename the group")
        for index, member in enumerate(members):
            if member not in schema.kinds:
                yield unknown(place("groups", group, index), member, list(schema.kinds), section="kinds")
            elif member in members[:index]:
                yield Fault(
                    path=place("groups", group, index), found=f"{quote(member)} again", expected="each kind once", advice="remove it"
                )


def _cause_faults(schema: ProductSchema) -> Iterator[Fault]:
    yield from _reserved("causes", schema.causes)


def _feature_faults(schema: ProductSchema, feature: FeatureSchema, index: int) -> Iterator[Fault]:
    known = [*schema.kinds, *schema.groups]
    for position, name in enumerate(feature.of):
        path = place("features", index, "of", position)
        if name not in known:
            yield unknown(path, name, known, section="kinds or groups")
        else:
            yield from _unfit_kinds(schema, feature.aggregation, name, path)
    if feature.cause not in (*schema.causes, "other"):
        yield unknown(place("features", index, "cause"), feature.cause, list(schema.causes), section="causes")


def _unfit_kinds(schema: ProductSchema, aggregation: Aggregation, name: str, path: str) -> Iterator[Fault]:
    """Kinds that lack what the aggregation reads."""
    members = {kind: schema.kinds[kind] for kind in kinds_of(schema, name) if kind in schema.kinds}
    if aggregation is Aggregation.SUM:
        without = [kind for kind, body in members.items() if body.value_unit is None]
        units = sorted({body.value_unit for body in members.values() if body.value_unit is not None})
        if without:
            yield Fault(
                path=path, found=f"sum over {', '.join(without)} without a value", expected="kinds with a value_unit", advice="count them"
            )
        elif len(units) > 1:
            yield Fault(
                path=path, found=f"sum over the units {', '.join(units)}", expected="kinds of one value_unit", advice="split the group"
            )
    if aggregation is Aggregation.DISTINCT_SUBJECTS and all(body.subject is None for body in members.values()):
        yield Fault(
            path=path, found=f"distinct_subjects over {name} without a subject", expected="a kind with a subject", advice="count it"
        )


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
            counts[name] += 1


def _label_faults(schema: ProductSchema) -> Iterator[Fault]:
    known = [*schema.kinds, *schema.groups]
    for index, name in enumerate(schema.label.activity):
        if name not in known:
            yield unknown(place("label", "activity", index), name, known, section="kinds or groups")
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
        if attribute.type is AttributeType.INSTANT and age_name(name) in schema.profile:
            path, found = place("profile", age_name(name)), f"the name of the age of {name}"
            yield Fault(path=path, found=found, expected="another name", advice="rename it")
        if attribute.type is AttributeType.TEXT and attribute_model_input(attribute) is True:
            path = place("profile", name, "model")
            yield Fault(path=path, found="true", expected="false for text", advice="make it a category or leave model out")


def _reserved(section: str, names: Any) -> Iterator[Fault]:
    for name in names:
        if name in RESERVED_NAMES:
            yield Fault(path=place(section, name), found="a name the system uses itself", expected="another name", advice="rename it")
