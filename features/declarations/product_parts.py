"""From the parts of ``product.yaml`` to core values."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from features.core.catalogue import Aggregation, Catalogue, Feature, Kind, kind_of
from features.core.families import FUNNELS, VALUED
from features.core.product import Attribute, AttributeType, Cause, Collection, Label, Segment, Segmentation, SpineRule
from features.declarations.product_schema import AttributeSchema, FeatureSchema, LabelSchema, ProductSchema, Segments
from features.declarations.sentences import sentence, unit_of
from features.declarations.zones import zone_data


def kinds_of(schema: ProductSchema, name: str) -> tuple[str, ...]:
    """List the selectors that a selector's or group's name stands for."""
    return tuple(schema.groups.get(name, [name]))


def expand(schema: ProductSchema, entry: FeatureSchema) -> tuple[Feature, ...]:
    """List the features of one entry: for each `of`, for each window, in declared order."""
    return tuple(_described(_feature(schema, entry, name, window), entry) for name in entry.of for window in entry.windows)


def _feature(schema: ProductSchema, entry: FeatureSchema, name: str, window: timedelta | None) -> Feature:
    return Feature(
        aggregation=entry.aggregation,
        of=name,
        kinds=tuple(schema.funnels.get(name, ())) if entry.aggregation in FUNNELS else kinds_of(schema, name),
        window=window,
        to=entry.to,
        to_kinds=() if entry.to is None else kinds_of(schema, entry.to),
        first=entry.first,
        last=entry.last,
        within=entry.within,
        half_life=entry.half_life,
        hours=None if entry.hours is None else (entry.hours[0], entry.hours[1]),
        zone=None if entry.zone is None else zone_data(entry.zone),
        cause=entry.cause,
        unit=_unit(schema, entry.aggregation, name),
        direction=entry.direction,
    )


def _described(feature: Feature, entry: FeatureSchema) -> Feature:
    return replace(feature, description=entry.description or sentence(feature))


def _unit(schema: ProductSchema, aggregation: Aggregation, name: str) -> str:
    """What the number counts: for values and subjects what the kinds say, else what the aggregation says."""
    members = [schema.kinds[kind_of(selector)] for selector in kinds_of(schema, name) if kind_of(selector) in schema.kinds]
    if aggregation in VALUED:
        return next((kind.value_unit for kind in members if kind.value_unit), "count")
    if aggregation is Aggregation.DISTINCT_SUBJECTS:
        return next((kind.subject for kind in members if kind.subject), "count")
    return unit_of(aggregation)


def catalogue(schema: ProductSchema) -> Catalogue:
    """Kinds and features, in declared order."""
    kinds = tuple(Kind(name=name, **body.model_dump()) for name, body in schema.kinds.items())
    return Catalogue(kinds=kinds, features=tuple(feature for entry in schema.features for feature in expand(schema, entry)))


def causes(schema: ProductSchema) -> tuple[Cause, ...]:
    """List the declared causes; ``other``, for which nothing can be done, is always among them."""
    declared = tuple(Cause(name=name, **body.model_dump()) for name, body in schema.causes.items())
    return declared if "other" in schema.causes else (*declared, Cause(name="other", actionable=False))


def label(schema: ProductSchema) -> Label:
    """Build the label; groups are replaced by their kinds, each once."""
    declared: LabelSchema = schema.label
    activity = dict.fromkeys(kind for name in declared.activity for kind in kinds_of(schema, name))
    return Label(activity=tuple(activity), horizon=declared.horizon, spine=SpineRule(**declared.spine.model_dump()))


def profile(schema: ProductSchema) -> tuple[Attribute, ...]:
    """Attributes, in declared order."""
    return tuple(
        Attribute(
            name=name,
            type=body.type,
            model=attribute_model_input(body),
            direction=body.direction,
            description=body.description,
            cohort=body.cohort,
        )
        for name, body in schema.profile.items()
    )


def attribute_model_input(body: AttributeSchema) -> bool:
    """Whether the model sees the attribute: as declared, else yes for everything but text."""
    return body.type is not AttributeType.TEXT if body.model is None else body.model


def segments(schema: ProductSchema) -> tuple[Segment, ...]:
    """Segments, in declared order: the first that matches is the user's."""
    return _segments(schema.segments)


def segmentations(schema: ProductSchema) -> tuple[Segmentation, ...]:
    """Further segmentations, in declared order."""
    return tuple(Segmentation(name=name, segments=_segments(body)) for name, body in schema.segmentations.items())


def collection(schema: ProductSchema) -> Collection | None:
    """Whose behaviour may be kept; None where nothing is declared: everybody's."""
    declared = schema.collection
    return None if declared is None else Collection(attribute=declared.attribute, unless_said=declared.unless_said == "kept")


def _segments(declared: Segments) -> tuple[Segment, ...]:
    return tuple(Segment(name=name, where=dict(body.where), conditions=tuple(body.when)) for name, body in declared.items())
