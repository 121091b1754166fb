"""What acting after a delay does to dropout, learned where delays were drawn at random.

    logit P(dropout | x, act a in slot s) = logit m(x) - r(x, a, s)

m is the prognosis, the chance of dropout averaged over all that was tried; r what the action in that slot takes from its logit. On this
scale an effect is smallest where dropout is sure or unlikely: the middle is savable. Each of several members has r without one fold of the
users, so that their spread says how sure it is (a delete-a-group jackknife). Whoever is away, savable and receptive at s is in r, since
whoever was drawn for s stayed drawn.

References
----------
Robinson (1988), https://doi.org/10.2307/1912705; Nie and Wager (2021), https://doi.org/10.1093/biomet/asaa076;
Kott (2001), https://www.scb.se/contentassets/ca21efb41fee47d293bbee5bf7be7fb3/the-delete-a-group-jackknife.pdf
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import ModelError
from models.risk import RiskModel
from models.timing.hazard import Asked
from models.timing.periods import HOURS_OF_DAY, HOURS_OF_WEEK, hour_of_week

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

SLOT_INPUTS = ("action", "log_delay", "is_at_once", "local_hour", "from_midnight", "from_six", "weekday", "habit", "prognosis")
"""What a row has besides the model inputs of its (user, as_of)."""


def slot_rows(kept: Asked, action: IntArray, delay_s: FloatArray, prognosis: FloatArray, *, shift_h: int = 0) -> FloatArray:
    """Inputs of r, shape (n_rows, n_kept + n_slot_inputs), for one action and delay a row.

    ``kept`` has only the model inputs that r looks at, see `Asked.keeping`.

    Hours of the day come thrice, as the hour and as the distances from midnight and from six: so that a tree need not be told by two
    splits that 23:00 and 01:00 are neighbours.
    """
    at_us = kept.as_of_us + (delay_s * 1e6).astype(np.int64)
    of_week = hour_of_week(at_us, kept.utc_offset_s)
    hour = (of_week + shift_h) % HOURS_OF_DAY
    columns = (
        action,
        np.log1p(delay_s / 3600),
        delay_s < AT_ONCE_S,
        hour,
        _hours_from(hour, 0),
        _hours_from(hour, 6),
        of_week // HOURS_OF_DAY,
        kept.habit[np.arange(len(of_week)), of_week] * HOURS_OF_WEEK,
        prognosis,
    )
    return np.concatenate([kept.encoded, np.stack([np.asarray(column, np.float64) for column in columns], axis=1)], axis=1)


AT_ONCE_S = 1_800.0
"""Up to this delay a message still meets the person who was there at as_of."""
_SHIFTS_H = (-2, 0, 2)
"""Predictions are means over these shifts of the local clock: what works at eight works nearly as well at nine."""


def _hours_from(hour: IntArray, centre: int) -> IntArray:
    off = (hour - centre) % HOURS_OF_DAY
    return np.minimum(off, HOURS_OF_DAY - off)


LEAST_RISK, MOST_RISK = 0.02, 0.98
"""The prognosis is kept within these: its logit must not run away."""


def averaged(
    members: Sequence[RiskModel], kept: Asked, action: IntArray, delay_s: FloatArray, *, prognosis: FloatArray
) -> FloatArray:
    """Minus r by every member, averaged over `_SHIFTS_H`, shape (n_members, n_rows)."""
    shifted = [slot_rows(kept, action, delay_s, prognosis, shift_h=shift_h) for shift_h in _SHIFTS_H]
    return np.array([np.mean([member.raw_scores(rows) for rows in shifted], axis=0) for member in members])


def dropout_after(prognosis: FloatArray, change: FloatArray) -> FloatArray:
    """P(dropout) when the logit of the prognosis changes; shapes broadcast."""
    logit = np.log(prognosis / (1.0 - prognosis)) + change
    return np.asarray(1.0 / (1.0 + np.exp(-logit)), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """Expected reductions of P(dropout), one per row and slot, for every member."""

    members: FloatArray  # (n_members, n_rows, n_slots) as each member sees it

    @property
    def mean(self) -> FloatArray:
        """Reduction, shape (n_rows, n_slots)."""
        return np.asarray(self.members.mean(axis=0), dtype=np.float64)

    @property
    def se(self) -> FloatArray:
        """Its standard error, shape (n_rows, n_slots)."""
        return jackknife_se(self.members)

    def gain_over(self, base: IntArray) -> tuple[FloatArray, FloatArray]:
        """Reduction beyond that of each row's base slot, and its standard error, shapes (n_rows, n_slots)."""
        rows = np.arange(self.members.shape[1])
        gains = self.members - self.members[:, rows, base][:, :, None]
        return gains.mean(axis=0), jackknife_se(gains)


def jackknife_se(members: FloatArray) -> FloatArray:
    """Standard error of an estimate from its values without one group each, along the first axis.

    Examples
    --------
    >>> jackknife_se(np.array([1.0, 3.0])).item()
    1.0
    """
    n_members = len(members)
    deviations = members - members.mean(axis=0)
    return np.asarray(np.sqrt((n_members - 1) / n_members * (deviations**2).sum(axis=0)), dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class ResponseModel:
    """m and the members of r, as LightGBM's texts, with the check that they passed on users whom they had not seen.

    ``slope`` is that of the observed advantage of a slot on the predicted one, among held-out users: 1 when predictions are right, near 0
    when they are noise. Where it is not clear of 0, no effect of timing is shown and nothing is chosen by it.
    """

    prognosis_text: str
    member_texts: tuple[str, ...]
    n_inputs: int  # of m
    columns: tuple[int, ...]  # of the inputs that r looks at
    actions: tuple[str, ...]  # by code; the first is to do nothing
    delays_s: tuple[float, ...]  # those that were drawn
    n_rows: int  # randomised rows that it was learned from
    slope: float
    slope_se: float
    gain: float  # reduction of dropout by the chosen slots over "now" among held-out users
    gain_se: float
    _prognosis: RiskModel = field(init=False, repr=False, compare=False)
    _members: tuple[RiskModel, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Load the models now."""
        if len(self.member_texts) < 2:  # noqa: PLR2004 - one has no spread
            raise ModelError(f"the response model has {len(self.member_texts)} members, expected at least 2; fit the timing model again")
        object.__setattr__(self, "_prognosis", RiskModel(self.prognosis_text, self.n_inputs))
        width = len(self.columns) + len(SLOT_INPUTS)
        object.__setattr__(self, "_members", tuple(RiskModel(text, width) for text in self.member_texts))

    @property
    def is_shown(self) -> bool:
        """Whether held-out users show that it matters when to act: the slope is clear of 0, one-sided at 99 %."""
        return self.slope > _CLEAR * self.slope_se

    def prognosis(self, encoded: FloatArray) -> FloatArray:
        """m(x), shape (n_rows,)."""
        return np.asarray(1.0 / (1.0 + np.exp(-self._prognosis.raw_scores(encoded))), dtype=np.float64)

    def effects(self, asked: Asked, action: IntArray, delays_s: FloatArray) -> Effects:
        """Reduction of P(dropout) by each row's action in each slot.

        Parameters
        ----------
        action
            Codes of ``actions``, shape (n_rows,).
        delays_s
            Slots after as_of, shape (n_slots,); between and beyond the delays that were drawn the trees carry on what is nearest.
        """
        prognosis, kept = np.clip(self.prognosis(asked.encoded), LEAST_RISK, MOST_RISK), asked.keeping(self.columns)
        slots = [averaged(self._members, kept, action, np.full(len(action), delay_s), prognosis=prognosis) for delay_s in delays_s]
        nothing = averaged(self._members, kept, np.zeros_like(action), np.zeros(len(action)), prognosis=prognosis)
        without = dropout_after(prognosis, nothing)[:, :, None]
        return Effects(members=without - np.stack([dropout_after(prognosis, taken) for taken in slots], axis=2))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "prognosis_text": self.prognosis_text,
            "member_texts": list(self.member_texts),
            "n_inputs": self.n_inputs,
            "columns": list(self.columns),
            "actions": list(self.actions),
            "delays_s": list(self.delays_s),
            "n_rows": self.n_rows,
            "slope": self.slope,
            "slope_se": self.slope_se,
            "gain": self.gain,
            "gain_se": self.gain_se,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ResponseModel:
        """Invert `to_json`."""
        lists = ("member_texts", "columns", "actions", "delays_s")
        return cls(**{name: tuple(value) if name in lists else value for name, value in content.items()})


_CLEAR = 2.33
