"""What an aggregation demands of the keys of its entry in ``product.yaml``."""

from __future__ import annotations

from collections.abc import Iterator

from features.core.catalogue import Aggregation, Direction, kind_of, subject_of, window_text
from features.core.families import CODES, FUNNELS, PARAMETERS, VALUED
from features.declarations.faults import Fault, place, quote, unknown
from features.declarations.product_parts import kinds_of
from features.declarations.product_schema import EVERYTHING, FeatureSchema, ProductSchema
from features.declarations.selector_checks import member_faults, overlap

KEYS = {
    "to": "the kind or group that of is set against",
    "first": "how many of the oldest events",
    "last": "how many of the newest events",
    "within": "the span",
    "half_life": "the time in which an event loses half of its weight",
    "hours": "two hours of the day such as [22, 6]",
    "zone": "whose hours",
}
"""Keys that only some aggregations have, and what they say."""

_OPTIONAL = {Aggregation.HOUR_SHARE: ("zone",)}

MOST_CODES = 1 << 31
"""A category of LightGBM is a 32-bit integer."""


def feature_faults(schema: ProductSchema, feature: FeatureSchema, index: int) -> Iterator[Fault]:
    """What is wrong with one entry of ``features``."""
    yield from _key_faults(feature, index)
    for position, name in enumerate(feature.of):
        yield from _of_faults(schema, feature, name, place("features", index, "of", position))
    if feature.to is not None:
        yield from _to_faults(schema, feature, place("features", index, "to"))
    yield from _number_faults(schema, feature, index)
    yield from _kept_faults(schema, feature, index)
    yield from _empty_faults(schema, feature, index)
    yield from _direction_faults(feature, index)
    if feature.cause not in (*schema.causes, "other"):
        yield unknown(place("features", index, "cause"), feature.cause, list(schema.causes), section="causes")


def _key_faults(feature: FeatureSchema, index: int) -> Iterator[Fault]:
    needed = PARAMETERS.get(feature.aggregation, ())
    for key, meaning in KEYS.items():
        path = place("features", index, key)
        declared = getattr(feature, key) is not None
        if key in needed and not declared:
            yield Fault(path=path, found="nothing", expected=meaning, advice=f"{feature.aggregation.value} needs it")
        if declared and key not in _keys_of(feature.aggregation):
            able = ", ".join(aggregation.value for aggregation in Aggregation if key in _keys_of(aggregation))
            yield Fault(path=path, found=f"a key of {able}", expected=f"no such key with {feature.aggregation.value}", advice="remove it")
    if "window" in needed and None in feature.windows:
        path = place("features", index, "windows", feature.windows.index(None))
        yield Fault(path=path, found=quote(EVERYTHING), expected="a duration", advice=f"{feature.aggregation.value} compares two windows")


def _keys_of(aggregation: Aggregation) -> tuple[str, ...]:
    return (*PARAMETERS.get(aggregation, ()), *_OPTIONAL.get(aggregation, ()))


def _of_faults(schema: ProductSchema, feature: FeatureSchema, name: str, path: str) -> Iterator[Fault]:
    if feature.aggregation in FUNNELS:
        if name not in schema.funnels:
            yield unknown(path, name, list(schema.funnels), section="funnels")
        return
    faults = list(_selector_faults(schema, name, path))
    yield from faults or _unfit_kinds(schema, feature.aggregation, name, path)


def _to_faults(schema: ProductSchema, feature: FeatureSchema, path: str) -> Iterator[Fault]:
    other = feature.to or ""
    yield from _selector_faults(schema, other, path)
    if feature.aggregation is Aggregation.SHARE_OF_FIRST:
        for name in feature.of:
            if (same := overlap(kinds_of(schema, name), kinds_of(schema, other))) is not None:
                found = f"{quote(other)}, which shares events with {quote(name)}: {' and '.join(dict.fromkeys(same))}"
                yield Fault(path=path, found=found, expected="other events than those of `of`", advice="let every event be on one side")


def _selector_faults(schema: ProductSchema, name: str, path: str) -> Iterator[Fault]:
    """What is wrong with the name of a kind or group, or with a kind and subject."""
    known = [*schema.kinds, *schema.groups]
    if subject_of(name) is None:
        if name not in known:
            yield unknown(path, name, known, section="kinds or groups")
        return
    yield from member_faults(schema, name, path)
    if not any(letter.isascii() and letter.isalnum() for letter in subject_of(name) or ""):
        advice = "put it into a group, whose name then stands in the feature's"
        yield Fault(path=path, found=quote(name), expected="a subject with a letter from a to z or a digit", advice=advice)


def _unfit_kinds(schema: ProductSchema, aggregation: Aggregation, name: str, path: str) -> Iterator[Fault]:
    """Kinds that lack what the aggregation reads."""
    members = {
        kind_of(selector): schema.kinds[kind_of(selector)] for selector in kinds_of(schema, name) if kind_of(selector) in schema.kinds
    }
    what = aggregation.value
    if aggregation in VALUED:
        without = [kind for kind, body in members.items() if body.value_unit is None]
        units = sorted({body.value_unit for body in members.values() if body.value_unit is not None})
        if without:
            found = f"{what} over {', '.join(without)} without a value"
            yield Fault(path=path, found=found, expected="kinds with a value_unit", advice="count them")
        elif len(units) > 1:
            found = f"{what} over the units {', '.join(units)}"
            yield Fault(path=path, found=found, expected="kinds of one value_unit", advice="split the group")
    if aggregation is Aggregation.DISTINCT_SUBJECTS and all(body.subject is None for body in members.values()):
        yield Fault(path=path, found=f"{what} over {name} without a subject", expected="a kind with a subject", advice="count it")


def _direction_faults(feature: FeatureSchema, index: int) -> Iterator[Fault]:
    if feature.aggregation in CODES and feature.direction is not Direction.NONE:
        path, found = place("features", index, "direction"), f"{feature.direction.value} of a code"
        yield Fault(path=path, found=found, expected="none: a greater code means nothing", advice="remove it")


def _number_faults(schema: ProductSchema, feature: FeatureSchema, index: int) -> Iterator[Fault]:
    """Numbers that cannot be together."""
    if feature.hours is not None and (feature.hours[0] == feature.hours[1] or feature.hours[0] == 24):  # noqa: PLR2004 - hours of a day
        path = place("features", index, "hours")
        yield Fault(
            path=path, found=str(feature.hours), expected="two different hours, the first from 0 to 23", advice="[0, 24] is the whole day"
        )
    if feature.aggregation is Aggregation.LAST_KINDS and feature.last is not None:
        for name in feature.of:
            n_codes = (len(kinds_of(schema, name)) + 1) ** feature.last
            if n_codes >= MOST_CODES:
                found = f"{feature.last} of {len(kinds_of(schema, name))} kinds of {name}: {n_codes} codes"
                yield Fault(
                    path=place("features", index, "last"), found=found, expected="less than 2147483648", advice="take fewer events or kinds"
                )


def _kept_faults(schema: ProductSchema, feature: FeatureSchema, index: int) -> Iterator[Fault]:
    """More events asked for than a timeline is sure to keep."""
    sides = [*feature.of, *([] if feature.to is None else [feature.to])]
    kinds = {kind_of(selector) for name in sides for selector in kinds_of(schema, name)} & schema.kinds.keys()
    for key, asked, kept in (("first", feature.first, "keep_first"), ("last", feature.last, "keep")):
        short = sorted(kind for kind in kinds if asked is not None and getattr(schema.kinds[kind], kept) < asked)
        if short:
            yield Fault(
                path=place("features", index, key),
                found=f"{asked}, with less kept of {', '.join(short)}",
                expected=f"at most the {kept} of every kind",
                advice=f"raise {kept} of these kinds or ask for fewer",
            )


def _empty_faults(schema: ProductSchema, feature: FeatureSchema, index: int) -> Iterator[Fault]:
    """What is allowed and says nothing."""
    if feature.aggregation in {Aggregation.RATIO, Aggregation.SECONDS_WAITING} and feature.to is not None:
        for name in feature.of:
            if set(kinds_of(schema, name)) == set(kinds_of(schema, feature.to)):
                found = f"{feature.aggregation.value} of {name} to itself"
                yield Fault(
                    path=place("features", index, "to"), found=found, expected="other events than those of `of`", advice="name others"
                )
    if feature.within is not None and any(window is not None and window <= feature.within for window in feature.windows):
        path = place("features", index, "within")
        yield Fault(path=path, found=window_text(feature.within), expected="a span shorter than every window", advice="count them instead")
