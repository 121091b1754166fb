"""A product as a value: its catalogue, causes, label, profile attributes, segments, consent to collection and external logs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from functools import cached_property

from features.core.ages import age_name
from features.core.catalogue import Catalogue, Direction
from features.core.condition import Condition, Test


class AttributeType(StrEnum):
    """Type of a profile attribute."""

    CATEGORY = "category"
    NUMBER = "number"
    BOOLEAN = "boolean"
    INSTANT = "instant"  # ISO 8601 in UTC; the model and conditions see its age at as_of (`features.core.ages`), never itself
    TEXT = "text"  # carried and readable by the policy (time zone, e-mail), never a model input


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """A slowly changing fact about a user."""

    name: str
    type: AttributeType
    model: bool = True  # False: readable by the policy, hidden from the model
    direction: Direction = Direction.NONE  # how risk is expected to move as a number, an age or a yes grows
    description: str = ""
    cohort: bool = False  # its values name those who come together, whose base rates may differ; one attribute at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A group of features with one remedy."""

    name: str
    actionable: bool = True  # False: no message can help (a fact of the calendar)
    sentence: str = ""  # in plain words, for people


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Users whose profile has all of these values and for whom all conditions hold; one that asks for nothing is everybody's."""

    name: str
    where: Mapping[str, str | float | bool] = field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()

    @cached_property
    def tests(self) -> tuple[Test, ...]:
        """What the conditions ask."""
        return tuple(condition.test for condition in self.conditions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmentation:
    """One way to divide the users; the first segment that matches is the user's."""

    name: str
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpineRule:
    """At which instants a user's past is turned into training rows."""

    every: timedelta = timedelta(days=1)
    start_after: timedelta = timedelta(days=1)  # after the user's first event
    stop_after: timedelta = timedelta(days=60)  # after the user's first event
    active_within: timedelta | None = None  # only instants with activity in (as_of - this, as_of]
    at_midnight: bool = False  # move each instant forward to the next UTC midnight


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Dropout: no activity in (as_of, as_of + horizon]."""

    activity: tuple[str, ...]  # kinds that count as activity
    horizon: timedelta
    spine: SpineRule = field(default_factory=SpineRule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """Whose behaviour may be kept: those who said yes, and those who never said where that is enough. It defines no feature."""

    attribute: str  # boolean profile attribute: true = this person's events may be kept, false = they may not
    unless_said: bool = False  # what holds for somebody who never said


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Everything declared in ``product.yaml``, validated."""

    name: str
    description: str
    catalogue: Catalogue
    causes: tuple[Cause, ...]
    label: Label
    profile: tuple[Attribute, ...] = ()
    segments: tuple[Segment, ...] = ()  # the primary segmentation, by which thresholds differ; the first that matches is the user's
    segmentations: tuple[Segmentation, ...] = ()  # further ones; a user has at most one segment in each
    collection: Collection | None = None  # None: everybody's behaviour is kept
    logs: tuple[object, ...] = ()  # how to read external files; `features.declarations.log` defines them

    @property
    def model_attributes(self) -> tuple[Attribute, ...]:
        """Profile attributes as the model may see them: those not hidden from it, no text, and of an instant its age, a number."""
        shown = [attribute for attribute in self.profile if attribute.model and attribute.type is not AttributeType.TEXT]
        return tuple(replace(a, name=age_name(a.name), type=AttributeType.NUMBER) if a.type is AttributeType.INSTANT else a for a in shown)

    @property
    def cohort(self) -> str | None:
        """Name of the attribute whose values name the cohorts; None where none is declared."""
        return next((attribute.name for attribute in self.profile if attribute.cohort), None)

    @property
    def instants(self) -> tuple[str, ...]:
        """Names of the profile attributes that are instants."""
        return tuple(attribute.name for attribute in self.profile if attribute.type is AttributeType.INSTANT)
