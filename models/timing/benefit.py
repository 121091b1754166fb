"""The benefit curve of one user: for each candidate slot what is expected of acting then, whether it is allowed, and which slot is best.

The best allowed slot is chosen only if its gain over the first allowed one is clear of its uncertainty. Otherwise the answer is to abstain,
with the reason: there is no better time than now, or too little is known.

Intervals are for people, standard errors for the rule: an interval also holds what left-out outcomes show the model to miss
(`models.timing.response.Miss`), while advice goes by the fit's error alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from features.core.weekly import usual_after
from models.timing.hazard import Asked
from models.timing.part import TimingModel
from models.timing.response import Effects

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

CLEAR = 0.5
"""Standard errors by which a gain must exceed 0: better with a chance of 69 %. More is not asked of one user, as waiting in vain costs no
more than not waiting; that timing matters at all is tested over everybody, at 99 %."""
INTERVAL = 1.645
"""Standard errors to each side of what is expected: 90 %."""


class Advice(StrEnum):
    """What the curve says."""

    BETTER_SLOT = "better_slot"
    NO_BETTER_TIME = "no_better_time_than_now"
    NOT_ENOUGH_DATA = "not_enough_data"
    NOTHING_ALLOWED = "no_allowed_slot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A candidate."""

    delay_s: float  # after as_of
    allowed: bool = True
    code: str = "ok"  # reason code: "ok" or why it is not allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotBenefit:
    """What acting in one slot is expected to bring."""

    delay_s: float
    allowed: bool
    code: str
    still_away: float  # P(not back by then)
    receptive: float  # how usual the hour is for this user; 1 is average
    expected: float | None  # reduction of P(dropout) by acting then; None where no delay was ever randomised
    low: float | None  # 90 % interval of its mean over people alike: the fit's error and the model's miss
    high: float | None
    gain: float | None  # beyond that of the first allowed slot
    gain_se: float | None  # the fit's standard error alone: what advice goes by
    gain_low: float | None = None  # 90 % interval of the gain's mean over people alike: the fit's error and the model's miss
    gain_high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """From when a user is asked about, and when they were active before."""

    as_of_us: int
    utc_offset_s: int  # of the user's zone at as_of
    activity_us: IntArray  # effective instants of their activity, in any order


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Every slot, and the advice."""

    slots: tuple[SlotBenefit, ...]
    action: str | None  # of the trial, whose effects these are; None: no effect is claimed
    advice: Advice
    chosen: int | None  # position of the slot to act in; None where none is allowed. Without a better one, the first allowed

    @property
    def abstains(self) -> bool:
        """Whether no slot is preferred."""
        return self.advice is not Advice.BETTER_SLOT


def benefit_curve(model: TimingModel, asked: Asked, slots: Sequence[Slot], *, action: int | None, clear: float = CLEAR) -> Curve:
    """The curve of one user.

    Parameters
    ----------
    asked
        One row: the user at as_of.
    slots
        In order of time; whether each is allowed is the caller's to know.
    action
        Code of what would be sent, see `models.timing.response.ResponseModel.actions`; None where no delay of it was ever randomised.
    clear
        Standard errors by which a gain must exceed 0.

    Examples
    --------
    See ``tests/unit/models_timing/test_benefit.py``.
    """
    delays_s = np.array([slot.delay_s for slot in slots])
    away = model.hazard.still_away(asked, delays_s)[0].tolist()
    usual = usual_after(asked.habit[0], int(asked.as_of_us[0]), int(asked.utc_offset_s[0]), delays_s).tolist()
    response = None if action is None else model.response
    known = [_NOTHING] * len(slots)
    if response is not None and action is not None:
        base = first_allowed(np.array([[slot.allowed for slot in slots]]))
        known = _effects(response.effects(asked, np.array([action]), delays_s), np.maximum(base, 0))
    found = tuple(
        SlotBenefit(delay_s=slot.delay_s, allowed=slot.allowed, code=slot.code, still_away=still, receptive=receptive, **effect)
        for slot, still, receptive, effect in zip(slots, away, usual, known, strict=True)
    )
    advice, chosen = advise(found, is_shown=response is not None and response.is_shown, clear=clear)
    name = None if response is None or action is None else response.actions[action]
    return Curve(slots=found, action=name, advice=advice, chosen=chosen)


def advise(slots: Sequence[SlotBenefit], *, is_shown: bool, clear: float = CLEAR) -> tuple[Advice, int | None]:
    """Choose the allowed slot of greatest gain, if it is clear of its uncertainty; else the first allowed slot, and say why.

    Parameters
    ----------
    is_shown
        Whether randomised delays have shown any effect of timing.
    """
    allowed = [i for i, slot in enumerate(slots) if slot.allowed]
    if not allowed:
        return Advice.NOTHING_ALLOWED, None
    if not is_shown:
        return Advice.NOT_ENOUGH_DATA, allowed[0]
    best = max(allowed, key=lambda i: slots[i].gain or 0.0)  # of equals the first
    gain, gain_se = slots[best].gain, slots[best].gain_se
    if best == allowed[0] or gain is None or gain_se is None or gain <= clear * gain_se:
        return Advice.NO_BETTER_TIME, allowed[0]
    return Advice.BETTER_SLOT, best


def choose_many(gain: FloatArray, gain_se: FloatArray, base: IntArray, *, is_shown: bool, clear: float = CLEAR) -> IntArray:
    """`advise` for many users at once whose slots are all allowed; positions of the chosen slots, shape (n_rows,)."""
    best = gain.argmax(axis=1)
    rows = np.arange(len(gain))
    is_clear = is_shown & (gain[rows, best] > clear * gain_se[rows, best])
    return np.where(is_clear, best, base)


def first_allowed(allowed: npt.NDArray[np.bool_]) -> IntArray:
    """Position of each row's first allowed slot, shape (n_rows,); -1 where there is none.

    Examples
    --------
    >>> first_allowed(np.array([[False, True, True], [False, False, False]])).tolist()
    [1, -1]
    """
    return np.where(allowed.any(axis=1), allowed.argmax(axis=1), -1)


_NOTHING: Mapping[str, float | None] = dict.fromkeys(("expected", "low", "high", "gain", "gain_se"))


def _effects(effects: Effects, base: IntArray) -> list[Mapping[str, float | None]]:
    """Of the one row, what is expected of each slot."""
    expected, (gain, gain_se) = effects.mean, effects.gain_over(base)
    off, gain_off = INTERVAL * effects.spread, INTERVAL * effects.gain_spread(base)
    columns = {
        "expected": expected,
        "low": expected - off,
        "high": expected + off,
        "gain": gain,
        "gain_se": gain_se,
        "gain_low": gain - gain_off,
        "gain_high": gain + gain_off,
    }
    by_slot = zip(*(column[0].tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, numbers, strict=True)) for numbers in by_slot]
