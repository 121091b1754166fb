"""The shape of ``product.yaml``: keys, types and defaults. What crosses keys is checked in `product_checks`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from features.core.catalogue import Aggregation, Direction
from features.core.product import AttributeType
from features.declarations.conditions import ConditionText
from features.declarations.fields import Duration, Name, OneOrMore, PositiveDuration, Selector, Text, TimeZone
from features.declarations.log_schema import LogSchema
from features.declarations.yaml_file import Declared

EVERYTHING = "all"
"""Stands for "no window" in ``windows``: everything the timeline keeps."""


class KindSchema(Declared):
    """An event kind; all keys may be left out."""

    keep: Annotated[int, Field(ge=1, le=10_000)] = 64
    keep_first: Annotated[int, Field(ge=0, le=1_000)] = 2
    subject: Text | None = None
    value_unit: Text | None = None
    description: str = ""


class CauseSchema(Declared):
    """A cause group; all keys may be left out."""

    actionable: bool = True
    sentence: str = ""


def _window(value: Any) -> Any:
    return None if value == EVERYTHING else value


def _everything() -> list[timedelta | None]:
    return [None]


Window = Annotated[PositiveDuration | None, BeforeValidator(_window)]


class FeatureSchema(Declared):
    """One aggregation over one or more selectors or groups and one or more windows: |of| x |windows| features, `of` outermost.

    Which of the keys from `to` to `zone` an aggregation has is checked in `feature_checks`.
    """

    aggregation: Annotated[Aggregation, Field(strict=False)]
    of: Annotated[list[Selector], Field(min_length=1), OneOrMore]
    windows: Annotated[list[Window], Field(min_length=1), OneOrMore] = Field(default_factory=_everything)
    to: Selector | None = None
    first: Annotated[int, Field(ge=1, le=10_000)] | None = None
    last: Annotated[int, Field(ge=1, le=30)] | None = None
    within: PositiveDuration | None = None
    half_life: PositiveDuration | None = None
    hours: Annotated[list[Annotated[int, Field(ge=0, le=24)]], Field(min_length=2, max_length=2)] | None = None
    zone: TimeZone | None = None
    cause: Name = "other"
    direction: Annotated[Direction, Field(strict=False)] = Direction.NONE
    description: str = ""


class SpineSchema(Declared):
    """When a user's past becomes training rows."""

    every: PositiveDuration = timedelta(days=1)
    start_after: Duration = timedelta(days=1)
    stop_after: PositiveDuration = timedelta(days=60)
    active_within: PositiveDuration | None = None
    at_midnight: bool = False


class LabelSchema(Declared):
    """What dropping out means."""

    activity: Annotated[list[Name], Field(min_length=1), OneOrMore]
    horizon: PositiveDuration
    spine: SpineSchema = SpineSchema()


class AttributeSchema(Declared):
    """A profile attribute."""

    type: Annotated[AttributeType, Field(strict=False)]
    model: bool | None = None  # None: true, except for text
    direction: Annotated[Direction, Field(strict=False)] = Direction.NONE
    cohort: bool = False
    description: str = ""


class SegmentSchema(Declared):
    """Attributes with the value each must have, and under ``when`` conditions; all may be left out."""

    model_config = ConfigDict(extra="allow")

    when: Annotated[list[ConditionText], OneOrMore] = Field(default_factory=list)

    @property
    def where(self) -> dict[str, Any]:
        """Every key but ``when``."""
        return self.model_extra or {}


class CollectionSchema(Declared):
    """Whose behaviour may be kept."""

    attribute: Name
    unless_said: Literal["refused", "kept"] = "refused"


def _empty_when_absent(value: Any) -> Any:
    return {} if value is None else value


Segments = dict[Name, Annotated[SegmentSchema, BeforeValidator(_empty_when_absent)]]


class ProductSchema(Declared):
    """All of ``product.yaml``."""

    version: Literal[1] = 1
    name: Name
    description: Text
    kinds: Annotated[dict[Name, Annotated[KindSchema, BeforeValidator(_empty_when_absent)]], Field(min_length=1)]
    groups: dict[Name, Annotated[list[Selector], Field(min_length=1)]] = Field(default_factory=dict)
    funnels: dict[Name, Annotated[list[Selector], Field(min_length=1)]] = Field(default_factory=dict)
    causes: dict[Name, Annotated[CauseSchema, BeforeValidator(_empty_when_absent)]] = Field(default_factory=dict)
    features: Annotated[list[FeatureSchema], Field(min_length=1)]
    label: LabelSchema
    profile: dict[Name, AttributeSchema] = Field(default_factory=dict)
    segments: Segments = Field(default_factory=dict)
    segmentations: dict[Name, Annotated[Segments, Field(min_length=1)]] = Field(default_factory=dict)
    collection: Annotated[CollectionSchema | None, BeforeValidator(_empty_when_absent)] = None  # left empty it is a fault, not everybody's
    logs: dict[Name, LogSchema] = Field(default_factory=dict)
