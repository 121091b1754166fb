"""How often intervals of a benefit curve hold the simulator's truth: that of each person, and its mean over people who look alike.

A person's own chances differ from those of everybody who looks the same to the trial, by traits that leave no trace in any event. A trial
shows each person under one delay and one outcome, so it cannot tell by how much; an interval from a trial is one of the mean over people
alike. What that mean is, is learned here from the true chances of the trial's people, by everything that a model may look at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.core.weekly import HOURS_OF_DAY, hour_of_week
from models.timing.benefit import INTERVAL
from models.timing.hazard import Asked
from models.timing.response import Effects

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MOST_ROWS = 40_000  # that the mean over people alike is learned from


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """People of whom the truth is known."""

    seen: FloatArray  # what a model may look at, shape (n_rows, n_inputs)
    expected: FloatArray  # true reduction of P(dropout) by what is sent in each slot, shape (n_rows, n_slots)

    @property
    def gain(self) -> FloatArray:
        """Beyond that of the first slot."""
        return self.expected - self.expected[:, :1]


def known(asked: Asked, action: IntArray, prognosis: FloatArray, dropout: FloatArray) -> Known:
    """From the true P(dropout) of every action and slot, shape (n_rows, n_actions, n_slots)."""
    of_week = hour_of_week(asked.as_of_us, asked.utc_offset_s)
    day = asked.habit.reshape(-1, 7, HOURS_OF_DAY).sum(axis=1)
    seen = np.column_stack([action, prognosis, of_week % HOURS_OF_DAY, of_week // HOURS_OF_DAY, day, asked.encoded])
    sent = dropout[np.arange(len(action)), action]
    return Known(seen=seen, expected=dropout[:, 0, :1] - sent)


def alike(learned: Known, fresh: Known) -> Known:
    """``fresh`` with the mean of the truth over people alike in place of their own."""
    import lightgbm

    options = {"objective": "l2", "num_leaves": 31, "learning_rate": 0.08, "feature_fraction": 0.3, "max_bin": 63}
    options |= {"num_threads": 1, "seed": 1, "deterministic": True, "verbosity": -1}
    some = np.random.default_rng(0).permutation(len(learned.seen))[:MOST_ROWS]
    data = lightgbm.Dataset(learned.seen[some], categorical_feature=[0], free_raw_data=False)
    first, gains = learned.expected[some, 0], learned.gain[some]
    means = [lightgbm.train(options, data.set_label(target), num_boost_round=150).predict(fresh.seen) for target in (first, *gains.T[1:])]
    expected = np.asarray(means[0], dtype=np.float64)[:, None] + np.column_stack([np.zeros(len(fresh.seen)), *means[1:]])
    return Known(seen=fresh.seen, expected=expected)


def coverage(effects: Effects, own: Known, mean: Known) -> dict[str, float]:
    """Shares of slots whose truth lies in the 90 % interval, and in one of the fit's error alone.

    Gains of the first slot, 0 by definition, are left out.
    """
    base = np.zeros(len(own.expected), dtype=np.int64)
    gain, gain_se = (part[:, 1:] for part in effects.gain_over(base))
    shares = {}
    for whose, truth in (("truth", own), ("mean truth of people alike", mean)):
        gain_miss, miss = gain - truth.gain[:, 1:], effects.mean - truth.expected
        shares[f"gain interval covers {whose}"] = _within(gain_miss, effects.gain_spread(base)[:, 1:])
        shares[f"gain interval covers {whose}, fit alone"] = _within(gain_miss, gain_se)
        shares[f"expected interval covers {whose}"] = _within(miss, effects.spread)
        shares[f"expected interval covers {whose}, fit alone"] = _within(miss, effects.se)
    return shares


def _within(miss: FloatArray, spread: FloatArray) -> float:
    return float((np.abs(miss) <= INTERVAL * spread).mean())
