"""What the features side needs from the outside world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from features.core.event import Event
from features.core.timeline import Timeline


class StoreError(Exception):
    """A store could not be reached or answered wrongly; the cause is chained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTimeline:
    """One user's timeline as the online store holds it."""

    packed: bytes  # b"" when the user is unknown
    version_us: int  # the row's compare-and-set version; 0 when the user is unknown


class TimelineStore(Protocol):
    """The live timelines; every write is a merge, so nothing a concurrent writer wrote is lost."""

    def read(self, user_ids: Sequence[str]) -> list[StoredTimeline]:
        """Timelines in the order asked for."""

    def merge(self, updates: Mapping[str, Timeline]) -> None:
        """Merge each user's update into the stored timeline; returns once all are stored."""


class ProfileStore(Protocol):
    """The newest value of every profile attribute."""

    def read(self, user_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Attributes by name, in the order asked for; unknown users and unset attributes are left out."""

    def write(self, rows: Mapping[str, Mapping[str, Any]], *, changed_us: int) -> None:
        """Set attributes of users (those not named keep their value)."""

    def write_history(self, history: Mapping[int, Mapping[str, Mapping[str, Any]]]) -> None:
        """Set attributes as of many instants: changed_us -> user -> attributes; what an import of past changes wants."""


class RawLog(Protocol):
    """Every admitted event, for ever; the source of every training set."""

    def append(self, events: Sequence[Event]) -> None:
        """Durable once this returns. The same event twice is stored twice and read once."""
