"""When people are not seen, whatever else was drawn for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt

from features.core.event import to_us
from training.clocked import Sent
from training.latent import Ints

_SPAN_US = 10**13  # more than any simulated time, so that (person, time) is one number


@dataclass(frozen=True, slots=True, kw_only=True)
class Absences:
    """Open intervals in which somebody is not seen, ordered by person and time; at most one begins at an instant of a person."""

    person: Ints
    from_us: Ints
    until_us: Ints
    start: datetime  # of the world

    def covers(self, person: Ints, instant_us: Ints) -> npt.NDArray[np.bool_]:
        """Whether each person is absent at each instant; shape of ``person``."""
        if len(self.person) == 0:
            return np.zeros(len(person), dtype=np.bool_)
        key = self._key(self.person, self.from_us)
        latest = np.searchsorted(key, self._key(person, instant_us)) - 1  # the last that began before
        same = (latest >= 0) & (self.person[latest] == person)
        return np.asarray(same & (instant_us < self.until_us[latest]), dtype=np.bool_)

    def _key(self, person: Ints, instant_us: Ints) -> Ints:
        return np.asarray(person * _SPAN_US + (instant_us - to_us(self.start)), dtype=np.int64)

    @classmethod
    def never(cls, start: datetime) -> Absences:
        """Nobody is absent."""
        none = np.zeros(0, dtype=np.int64)
        return cls(person=none, from_us=none, until_us=none, start=start)


def without_absent(sent: Sent, absent: Absences) -> Sent:
    """Leave out the end of visits that an absence cut short."""
    here = ~absent.covers(sent.person, sent.occurred_us)[sent.order]
    return replace(sent, order=sent.order[here], received_us=sent.received_us[here])
