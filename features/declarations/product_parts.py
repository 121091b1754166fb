"""From the parts of ``product.yaml`` to core values."""

from __future__ import annotations

from features.core.catalogue import Aggregation, Catalogue, Feature, Kind
from features.core.product import Attribute, AttributeType, Cause, Label, Segment, Segmentation, SpineRule
from features.declarations.product_schema import AttributeSchema, FeatureSchema, LabelSchema, ProductSchema, Segments

_UNITS = {
    Aggregation.COUNT: "count",
    Aggregation.SECONDS_SINCE_LAST: "s",
    Aggregation.SECONDS_SINCE_FIRST: "s",
    Aggregation.ACTIVE_DAYS: "days",
    Aggregation.SESSION_COUNT: "sessions",
    Aggregation.STREAK_DAYS: "days",
}


def kinds_of(schema: ProductSchema, name: str) -> tuple[str, ...]:
    """List the kinds that a kind's or group's name stands for."""
    return tuple(schema.groups.get(name, [name]))


def expand(schema: ProductSchema, entry: FeatureSchema) -> tuple[Feature, ...]:
    """List the features of one entry: for each `of`, for each window, in declared order."""
    return tuple(
        Feature(
            aggregation=entry.aggregation,
            of=name,
            kinds=kinds_of(schema, name),
            window=window,
            cause=entry.cause,
            unit=_unit(schema, entry.aggregation, name),
            direction=entry.direction,
            description=entry.description,
        )
        for name in entry.of
        for window in entry.windows
    )


def _unit(schema: ProductSchema, aggregation: Aggregation, name: str) -> str:
    members = [schema.kinds[kind] for kind in kinds_of(schema, name) if kind in schema.kinds]
    if aggregation is Aggregation.SUM:
        return next((kind.value_unit for kind in members if kind.value_unit), "count")
    if aggregation is Aggregation.DISTINCT_SUBJECTS:
        return next((kind.subject for kind in members if kind.subject), "count")
    return _UNITS[aggregation]


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
        Attribute(name=name, type=body.type, model=attribute_model_input(body), description=body.description)
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


def _segments(declared: Segments) -> tuple[Segment, ...]:
    return tuple(Segment(name=name, where=dict(body.where), conditions=tuple(body.when)) for name, body in declared.items())
