"""A product as a value: its catalogue, causes, label, profile attributes, segments and external logs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from features.core.catalogue import Catalogue


class AttributeType(StrEnum):
    """Type of a profile attribute."""

    CATEGORY = "category"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TEXT = "text"  # carried and readable by the policy (time zone, e-mail), never a model input


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """A slowly changing fact about a user."""

    name: str
    type: AttributeType
    model: bool = True  # False: readable by the policy, hidden from the model
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A group of features with one remedy."""

    name: str
    actionable: bool = True  # False: no message can help (a fact of the calendar)
    sentence: str = ""  # in plain words, for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Users whose profile has all of these values; the first segment that matches is the user's."""

    name: str
    where: Mapping[str, str | float | bool]


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
class Product:
    """Everything declared in ``product.yaml``, validated."""

    name: str
    description: str
    catalogue: Catalogue
    causes: tuple[Cause, ...]
    label: Label
    profile: tuple[Attribute, ...] = ()
    segments: tuple[Segment, ...] = ()
    logs: tuple[object, ...] = ()  # how to read external files; `features.declarations.log` defines them

    @property
    def model_attributes(self) -> tuple[Attribute, ...]:
        """Profile attributes that the model may see: those not hidden from it, and no text."""
        return tuple(attribute for attribute in self.profile if attribute.model and attribute.type is not AttributeType.TEXT)
