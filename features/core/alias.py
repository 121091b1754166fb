"""One person under several ids: what an alias says, and what it does to a timeline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from features.core.event import to_us
from features.core.layout import KNOWN
from features.core.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """Whoever used ``previous_id`` is ``user_id``; from its arrival on, for good, and for all events of the previous id."""

    previous_id: str  # attached to at most one user, for ever
    user_id: str  # may itself be attached: chains are followed to their end
    occurred_at: datetime  # aware; as sent
    received_at: datetime  # aware; of the same alias sent several times the earliest counts

    @property
    def known_us(self) -> int:
        """From when on the events of the previous id are known for the user."""
        return to_us(self.received_at)


def attach(timeline: Timeline, known_us: int) -> Timeline:
    """The timeline as it becomes another user's at ``known_us``: no event of it was known for them before.

    What is kept, and the order, depend on when events occurred and not on when they became known; so attaching commutes with merging,
    and attaching twice at different instants is attaching at the later one.

    Examples
    --------
    >>> from datetime import UTC
    >>> from features.core.catalogue import Kind
    >>> from features.core.event import Event
    >>> from features.core.timeline import timeline_from_events
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> login = Event(event_id="1", user_id="phone-7", kind="login", occurred_at=noon, received_at=noon)
    >>> timeline = timeline_from_events([login], [Kind(name="login")])
    >>> [attach(timeline, to_us(noon) + late_us).newest_known_us - to_us(noon) for late_us in (-5, 5)]
    [0, 5]
    """
    if timeline.n_events == 0:
        return timeline
    events = timeline.events.copy()
    np.maximum(events[KNOWN], known_us, out=events[KNOWN])
    return replace(timeline, events=events)
