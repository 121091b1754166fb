"""What acting after a delay does to dropout, learned where delays were drawn at random.

    logit P(dropout | x, act a in slot s) = logit m(x) - r(x, a, s)

m is the prognosis, the chance of dropout averaged over all that was tried; r what the action in that slot takes from its logit. On this
scale an effect is smallest where dropout is sure or unlikely: the middle is savable. Each of several members has r without one fold of the
users, so that their spread says how sure it is (a delete-a-group jackknife). Whoever is away, savable and receptive at s is in r, since
whoever was drawn for s stayed drawn.

Two errors are told apart. The *fit's*, that spread, decides whether a slot is clearly better. The *interval* shown to people adds by how
much predictions were found to miss the outcomes of left-out users beyond chance (`Miss`): what shrinkage takes away, and what r does not
see. It is an interval of the mean over people who look alike to the trial. By how much one person differs from their likes no trial can
tell: each has one outcome under one delay.

References
----------
Zhang and Richardson (2025), https://doi.org/10.48550/arXiv.2506.07469, on what trials cannot tell of one person;
Robinson (1988), https://doi.org/10.2307/1912705; Nie and Wager (2021), https://doi.org/10.1093/biomet/asaa076;
Kott (2001), https://www.scb.se/contentassets/ca21efb41fee47d293bbee5bf7be7fb3/the-delete-a-group-jackknife.pdf
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from features.core.weekly import HOURS_OF_DAY, HOURS_OF_WEEK, hour_of_week
from models.errors import ModelError
from models.risk import RiskModel
from models.timing.hazard import Asked

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

CORE_INPUTS = ("action", "log_delay", "is_at_once", "local_hour", "from_midnight", "from_six", "prognosis")
"""What r always looks at. The hour of the day comes thrice, so that a tree need not learn that 23:00 and 1:00 are neighbours."""
OPTIONAL_INPUTS = ("weekday", "habit", "after_usual")
"""What r looks at where it is worth it: weekday, habit at the slot (1 is average), hours after the user's usual hour, 0 to 23."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What r looks at beside `CORE_INPUTS`."""

    columns: tuple[int, ...]  # model inputs of the (user, as_of)
    optional: tuple[str, ...]  # of `OPTIONAL_INPUTS`

    @property
    def width(self) -> int:
        """Numbers in one row."""
        return len(self.columns) + len(CORE_INPUTS) + len(self.optional)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What is done to each row's user, and when: one element per row."""

    action: IntArray
    delay_s: FloatArray  # within this module also (n_rows, k), or (1, k) for all rows alike: k slots
    prognosis: FloatArray  # m(x)


def slot_rows(asked: Asked, act: Act, sight: Sight) -> FloatArray:
    """Inputs of r, shape (n_rows, sight.width); the action is the first."""
    return _inputs(asked, replace(act, delay_s=act.delay_s[:, None]), sight, np.zeros(1))[:, 0]


def _inputs(asked: Asked, act: Act, sight: Sight, shift_s: FloatArray) -> FloatArray:
    """Of every row in k slots, shape (n_rows, k, sight.width): delays (n_rows or 1, k), the local clock put forward by ``shift_s`` (k,)."""
    delay_s = act.delay_s
    at_us = asked.as_of_us[:, None] + ((delay_s + shift_s) * 1e6).astype(np.int64)
    of_week = hour_of_week(at_us, asked.utc_offset_s[:, None])
    hour, n_core = of_week % HOURS_OF_DAY, len(CORE_INPUTS)
    rows = np.empty((*of_week.shape, sight.width))
    core = (
        act.action[:, None],
        np.log1p(delay_s / 3600),
        delay_s < AT_ONCE_S,
        hour,
        _FROM_MIDNIGHT[hour],
        _FROM_SIX[hour],
        act.prognosis[:, None],
    )
    for place, column in enumerate(core):
        rows[..., place] = column
    for place, name in enumerate(sight.optional, n_core):
        rows[..., place] = _OPTIONAL[name](asked, of_week)
    rows[..., n_core + len(sight.optional) :] = asked.encoded[:, None, list(sight.columns)]
    return rows


def _weekday(asked: Asked, of_week: IntArray) -> IntArray:  # noqa: ARG001 - all optional inputs are asked alike
    return of_week // HOURS_OF_DAY


def _habit(asked: Asked, of_week: IntArray) -> FloatArray:
    share: FloatArray = np.take_along_axis(asked.habit, of_week, axis=1) * HOURS_OF_WEEK
    return share


def _after_usual(asked: Asked, of_week: IntArray) -> FloatArray:
    """Hours since the circular mean of the user's day."""
    day = asked.habit.reshape(-1, 7, HOURS_OF_DAY).sum(axis=1)
    usual = np.arctan2(day @ _SIN, day @ _COS) / (2 * np.pi) * HOURS_OF_DAY
    return np.asarray((of_week - usual[:, None]) % HOURS_OF_DAY, dtype=np.float64)


_ANGLE = 2 * np.pi * np.arange(HOURS_OF_DAY) / HOURS_OF_DAY
_SIN, _COS = np.sin(_ANGLE), np.cos(_ANGLE)
_OPTIONAL: Mapping[str, Callable[[Asked, IntArray], FloatArray | IntArray]] = {
    "weekday": _weekday,
    "habit": _habit,
    "after_usual": _after_usual,
}

AT_ONCE_S = 1_800.0
"""Up to this delay a message still meets the person who was there at as_of."""
_SHIFTS_H = (-2, 0, 2)
"""Predictions are means over these shifts of the local clock: what works at eight works nearly as well at nine."""
_SHIFTS_S = np.array(_SHIFTS_H) * 3600.0


def _hours_from(centre: int) -> IntArray:
    """Of each hour of the day, on the clock's circle."""
    off = (np.arange(HOURS_OF_DAY) - centre) % HOURS_OF_DAY
    return np.minimum(off, HOURS_OF_DAY - off)


_FROM_MIDNIGHT, _FROM_SIX = _hours_from(0), _hours_from(6)


LEAST_RISK, MOST_RISK = 0.02, 0.98
"""The prognosis is kept within these: its logit must not run away."""


def averaged(members: Sequence[RiskModel], asked: Asked, act: Act, sight: Sight) -> FloatArray:
    """Minus r by every member, averaged over `_SHIFTS_H`, shape (n_members, n_rows)."""
    return _averaged(members, asked, replace(act, delay_s=act.delay_s[:, None]), sight)[:, :, 0]


def _averaged(members: Sequence[RiskModel], asked: Asked, act: Act, sight: Sight) -> FloatArray:
    """The same in each of k slots, shape (n_members, n_rows, k), by one call of each member; delays as of `_inputs`."""
    n_slots, n_shifts = act.delay_s.shape[1], len(_SHIFTS_H)
    every = replace(act, delay_s=np.concatenate([act.delay_s] * n_shifts, axis=1))
    rows = _inputs(asked, every, sight, np.repeat(_SHIFTS_S, n_slots))
    flat, shape = rows.reshape(-1, sight.width), (len(rows), n_shifts, n_slots)
    return np.array([member.raw_scores(flat).reshape(shape).mean(axis=1) for member in members])


def dropout_after(prognosis: FloatArray, change: FloatArray) -> FloatArray:
    """P(dropout) when the logit of the prognosis changes; shapes broadcast."""
    logit = np.log(prognosis / (1.0 - prognosis)) + change
    return np.asarray(1.0 / (1.0 + np.exp(-logit)), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """By how much predictions miss the mean outcome of left-out users beyond chance: root mean squares, in chances of dropout.

    Learned by `training.timing.response_miss`.
    """

    expected: float = 0.0  # of the reduction by acting in a slot, over doing nothing
    gain: tuple[float, ...] = ()  # of the gain over acting now, one for each drawn delay; none: 0 everywhere

    def gain_at(self, delays_s: FloatArray, drawn_s: Sequence[float]) -> FloatArray:
        """Of slots after these delays, shape (n_slots,): linear between the drawn delays, which ascend, and as the last beyond them.

        Examples
        --------
        >>> Miss(gain=(0.0, 0.02)).gain_at(np.array([0.0, 1800.0, 7200.0]), (0.0, 3600.0)).tolist()
        [0.0, 0.01, 0.02]
        """
        gain = np.interp(delays_s, drawn_s, self.gain) if self.gain else np.zeros(len(delays_s))
        return np.asarray(gain, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """Expected reductions of P(dropout), one per row and slot, for every member."""

    members: FloatArray  # (n_members, n_rows, n_slots) as each member sees it
    miss: float  # of the reduction, see `Miss`
    gain_miss: FloatArray  # (n_slots,) of the gain over acting now

    @property
    def mean(self) -> FloatArray:
        """Reduction, shape (n_rows, n_slots)."""
        return np.asarray(self.members.mean(axis=0), dtype=np.float64)

    @property
    def se(self) -> FloatArray:
        """The fit's standard error of the reduction, shape (n_rows, n_slots)."""
        return jackknife_se(self.members)

    @property
    def spread(self) -> FloatArray:
        """Standard error of the reduction for intervals: the fit's and the miss, shape (n_rows, n_slots)."""
        return np.asarray(np.hypot(self.se, self.miss), dtype=np.float64)

    def gain_over(self, base: IntArray) -> tuple[FloatArray, FloatArray]:
        """Reduction beyond that of each row's base slot, and the fit's standard error, which advice goes by; shapes (n_rows, n_slots)."""
        rows = np.arange(self.members.shape[1])
        gains = self.members - self.members[:, rows, base][:, :, None]
        return gains.mean(axis=0), jackknife_se(gains)

    def gain_spread(self, base: IntArray) -> FloatArray:
        """Standard error of `gain_over` for intervals: the fit's, and the misses of the slot and of its base; shape (n_rows, n_slots).

        The base slot itself has none: its gain is 0 by definition.
        """
        is_other = np.arange(len(self.gain_miss)) != base[:, None]
        miss = np.hypot(self.gain_miss, self.gain_miss[base][:, None]) * is_other
        return np.asarray(np.hypot(self.gain_over(base)[1], miss), dtype=np.float64)


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
    nothing_changes: tuple[float, ...]  # of each member: what doing nothing adds to the logit of m, on average over everybody
    n_inputs: int  # of m
    sight: Sight  # what r looks at
    actions: tuple[str, ...]  # by code; the first is to do nothing
    delays_s: tuple[float, ...]  # those that were drawn
    n_rows: int  # randomised rows that it was learned from
    slope: float
    slope_se: float
    gain: float  # reduction of dropout by the chosen slots over "now" among held-out users
    gain_se: float
    miss: Miss = Miss()
    _prognosis: RiskModel = field(init=False, repr=False, compare=False)
    _members: tuple[RiskModel, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Load the models now."""
        if len(self.member_texts) < 2:  # noqa: PLR2004 - one has no spread
            raise ModelError(f"the response model has {len(self.member_texts)} members, expected at least 2; fit the timing model again")
        object.__setattr__(self, "_prognosis", RiskModel(self.prognosis_text, self.n_inputs))
        width = self.sight.width
        object.__setattr__(self, "_members", tuple(RiskModel(text, width) for text in self.member_texts))

    @property
    def is_shown(self) -> bool:
        """Whether held-out users show that it matters when to act: the slope is clear of 0, one-sided at 99 %."""
        return self.slope > _CLEAR * self.slope_se

    def code_of(self, names: Sequence[str]) -> int | None:
        """Code of the action that has the first of these names that any has; None where none has, as doing nothing is no action."""
        return next((self.actions.index(name) for name in names if name in self.actions[1:]), None)

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
        prognosis = np.clip(self.prognosis(asked.encoded), LEAST_RISK, MOST_RISK)
        changes = _averaged(self._members, asked, Act(action=action, delay_s=delays_s[None], prognosis=prognosis), self.sight)
        without = dropout_after(prognosis, np.array(self.nothing_changes)[:, None])[:, :, None]
        return Effects(
            members=without - dropout_after(prognosis[:, None], changes),
            miss=self.miss.expected,
            gain_miss=self.miss.gain_at(delays_s, self.delays_s),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "prognosis_text": self.prognosis_text,
            "member_texts": list(self.member_texts),
            "nothing_changes": list(self.nothing_changes),
            "n_inputs": self.n_inputs,
            "columns": list(self.sight.columns),
            "optional": list(self.sight.optional),
            "actions": list(self.actions),
            "delays_s": list(self.delays_s),
            "n_rows": self.n_rows,
            "slope": self.slope,
            "slope_se": self.slope_se,
            "gain": self.gain,
            "gain_se": self.gain_se,
            "miss": {"expected": self.miss.expected, "gain": list(self.miss.gain)},
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ResponseModel:
        """Invert `to_json`; what was written before misses were measured has none."""
        plain: dict[str, Any] = dict(content)
        sight = Sight(columns=tuple(plain.pop("columns")), optional=tuple(plain.pop("optional")))
        miss = plain.pop("miss", {"expected": 0.0, "gain": ()})
        lists = ("member_texts", "nothing_changes", "actions", "delays_s")
        fields: dict[str, Any] = {name: tuple(value) if name in lists else value for name, value in plain.items()}
        return cls(sight=sight, miss=Miss(expected=miss["expected"], gain=tuple(miss["gain"])), **fields)


_CLEAR = 2.33
