"""What every feature means, said again slowly: plain Python over raw events, one definition at a time.

It shares nothing with the timeline or the kernel but the event itself; where the two disagree, read this one first. Which events
are kept is in `tests/oracle_facts.py`, what is made of them in `tests/oracle_definitions.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

from features.core.catalogue import Catalogue
from features.core.event import Event
from tests.oracle_definitions import DEFINITIONS, Sight
from tests.oracle_facts import distinct, kept_of


def oracle_vector(events: Iterable[Event], as_of_us: int, catalogue: Catalogue, *, known_us: int | None = None) -> list[float]:
    """All features of one user at ``as_of_us``, from all their events, as known at ``known_us`` (left out: at ``as_of_us``)."""
    until_us = as_of_us if known_us is None else known_us
    known = [fact for fact in distinct(events) if fact.known_us <= until_us]
    kept = [fact for kind in catalogue.kinds for fact in kept_of(kind, known)]
    sights = [Sight(feature=feature, kept=kept, as_of_us=as_of_us) for feature in catalogue.features]
    return [float(DEFINITIONS[sight.feature.aggregation](sight)) for sight in sights]
