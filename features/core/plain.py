"""A feature's definition as plain data and back, for whoever has to carry a catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from features.core.catalogue import Aggregation, Feature, Zone

_MICROSECOND = timedelta(microseconds=1)
_DURATIONS = ("window", "within", "half_life")
_TUPLES = ("kinds", "to_kinds", "hours")
_AS_THEY_ARE = ("of", "to", "first", "last")


def feature_to_plain(feature: Feature) -> dict[str, Any]:
    """What of a feature makes its number: texts, whole numbers and lists of them; what is not set is left out.

    Examples
    --------
    >>> feature_to_plain(Feature(aggregation=Aggregation.COUNT, of="login", kinds=("login",), window=timedelta(seconds=1)))
    {'aggregation': 'count', 'of': 'login', 'kinds': ['login'], 'window': 1000000}
    """
    plain: dict[str, Any] = {"aggregation": feature.aggregation.value}
    plain |= {name: getattr(feature, name) for name in _AS_THEY_ARE}
    plain |= {name: list(getattr(feature, name) or ()) or None for name in _TUPLES}
    for name in _DURATIONS:
        duration = getattr(feature, name)
        plain[name] = None if duration is None else duration // _MICROSECOND
    if feature.zone is not None:
        plain["zone"] = [feature.zone.name, list(feature.zone.starts_us), list(feature.zone.offsets_s)]
    return {name: value for name, value in plain.items() if value is not None}


def feature_from_plain(plain: Mapping[str, Any]) -> Feature:
    """The inverse of `feature_to_plain`, as far as numbers and names go."""
    fields: dict[str, Any] = {name: plain[name] for name in _AS_THEY_ARE if name in plain}
    fields |= {name: tuple(plain[name]) for name in _TUPLES if name in plain}
    fields |= {name: plain[name] * _MICROSECOND for name in _DURATIONS if name in plain}
    if "zone" in plain:
        name, starts_us, offsets_s = plain["zone"]
        fields["zone"] = Zone(name=name, starts_us=tuple(starts_us), offsets_s=tuple(offsets_s))
    return Feature(aggregation=Aggregation(plain["aggregation"]), **{"kinds": (), **fields})
