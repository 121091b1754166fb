"""``signals.yaml`` beside product.yaml: read, and checked against the product."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from features.core.product import Product
from features.declarations.faults import DeclarationError, Fault, place, quote, unknown
from features.declarations.fields import Name, PositiveDuration, Text
from features.declarations.yaml_file import Declared, load_validated
from training.thresholds.signals import BY_SEGMENT, AlertWhen, Signal, SignalSet, Worse

SIGNALS_FILE = "signals.yaml"


class SignalSchema(Declared):
    """One signal."""

    feature: Name
    unit: Text
    worse: Annotated[Worse, Field(strict=False)]
    severity: Literal["critical", "high", "medium", "low"]
    quantile: Annotated[float, Field(gt=0.0, lt=1.0)]
    absolute: float
    ratio: Annotated[float, Field(gt=0.0)]
    alert_when: Annotated[AlertWhen, Field(strict=False)]
    baseline_floor: float | None = None
    sentence: str = ""


class SignalsSchema(Declared):
    """The whole file."""

    version: Literal[1] = 1
    by: Name
    window: PositiveDuration
    least_users: Annotated[int, Field(ge=1)] = 30
    signals: dict[Name, SignalSchema]


def load_signals(file: Path, product: Product) -> SignalSet:
    """The signals that the file declares, checked against the product: names, units, and on which side of 1 a ratio lies.

    Raises
    ------
    DeclarationError
        If the file is missing or wrong; every fault is named.

    Examples
    --------
    >>> from features.declarations.product_file import load_product
    >>> product = load_product(Path("products/onboarding"))
    >>> [signal.severity for signal in load_signals(Path("products/onboarding/signals.yaml"), product).signals]
    ['high', 'medium', 'low', 'critical']
    """
    schema = load_validated(file, SignalsSchema)
    if faults := list(_faults(schema, product)):
        raise DeclarationError(file, faults)
    signals = tuple(Signal(name=name, **body.model_dump()) for name, body in schema.signals.items())
    return SignalSet(by=schema.by, window=schema.window, least_users=schema.least_users, signals=signals)


def _faults(schema: SignalsSchema, product: Product) -> Iterator[Fault]:
    attributes = [BY_SEGMENT, *(attribute.name for attribute in product.model_attributes)]
    if schema.by not in attributes:
        yield unknown("by", schema.by, attributes, section="profile")
    units = {feature.name: feature.unit for feature in product.catalogue.features}
    for name, signal in schema.signals.items():
        if signal.feature not in units:
            yield unknown(place("signals", name, "feature"), signal.feature, list(units), section="features")
        elif signal.unit != units[signal.feature]:
            advice = f"{signal.feature} is in {units[signal.feature]}: convert absolute and baseline_floor, then write that unit"
            yield Fault(path=place("signals", name, "unit"), found=quote(signal.unit), expected=units[signal.feature], advice=advice)
        yield from _ratio_faults(name, signal)


def _ratio_faults(name: str, signal: SignalSchema) -> Iterator[Fault]:
    above = signal.worse is Worse.ABOVE
    if (signal.ratio <= 1) if above else (signal.ratio >= 1):
        expected = f"{'more' if above else 'less'} than 1, since worse is {signal.worse.value}"
        yield Fault(path=place("signals", name, "ratio"), found=quote(signal.ratio), expected=expected, advice="what is usual is no alert")
