"""From a simulated trial to the rows that the response is learned from: only what a trial's analyst sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.core.weekly import HOURS_OF_WEEK, hour_of_week
from models.signature import Signature
from models.timing.hazard import Asked
from models.timing.receptivity import Receptivity
from training.frame import USER
from training.timing.habits import HabitRows, counts_of, fit_receptivity, hours_log, population_week
from training.timing.response_fit import TrialRows
from training.timing.returns import ActivityLog, activity_log
from training.trial import Trial

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

HABIT_ROWS = 4_000
_EVER_US = int(np.iinfo(np.int64).max)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialVisits:
    """Visits of a trial as activity, each row a user of its own; its return comes last."""

    log: ActivityLog
    hours: ActivityLog  # before as_of alone
    rows: HabitRows


def visits_of(trial: Trial) -> TrialVisits:
    """Past visits and the return of every row, in the layout that habits are learned from."""
    rows = trial_clock(trial)
    n_rows = len(trial.action)
    row, past_us = trial.habit.row, rows.as_of_us[trial.habit.row] - np.round(trial.habit.age_s * 1e6).astype(np.int64)
    back = np.flatnonzero(np.isfinite(trial.return_s))
    back_us = rows.as_of_us[back] + np.round(trial.return_s[back] * 1e6).astype(np.int64)
    together = activity_log(np.concatenate([row, back]), np.concatenate([past_us, back_us]), n_users=n_rows, end_us=_EVER_US)
    past = hours_log(activity_log(row, past_us, n_users=n_rows, end_us=_EVER_US))
    return TrialVisits(log=together, hours=past, rows=rows)


def trial_clock(trial: Trial) -> HabitRows:
    """Rows by code with the offset of each local clock from UTC, in whole hours: what the hour of the week at as_of tells."""
    as_of_us = trial.frame.as_of_us
    ahead = (trial.hour_of_week - hour_of_week(as_of_us, np.zeros(len(as_of_us), np.int64)) + HOURS_OF_WEEK // 2) % HOURS_OF_WEEK
    offset_s = (ahead - HOURS_OF_WEEK // 2) * 3_600
    code = np.arange(len(as_of_us))
    return HabitRows(user=code, person=code, as_of_us=as_of_us, utc_offset_s=offset_s)


def trial_receptivity(visits: TrialVisits, *, seed: int = 0) -> Receptivity:
    """Habits from the visits before the trial's decisions and the hour of the return."""
    n_rows = len(visits.rows.user)
    some = np.sort(np.random.default_rng(seed).permutation(n_rows)[:HABIT_ROWS])
    return fit_receptivity(visits.log, visits.hours, visits.rows.at(some), population_week(visits.hours, visits.rows.utc_offset_s))


def trial_rows(trial: Trial, signature: Signature, receptivity: Receptivity, visits: TrialVisits) -> TrialRows:
    """Rows to learn the response from, or to choose slots for.

    Delays are drawn whoever it is about, so a delay's propensity given that something is sent is its share among those sent.
    """
    delays_s = np.array(trial.delays_s, dtype=np.float64)
    return TrialRows(
        asked=Asked(
            encoded=signature.encode(trial.frame.vectors, trial.frame.profiles()),
            as_of_us=visits.rows.as_of_us,
            utc_offset_s=visits.rows.utc_offset_s,
            habit=receptivity.probabilities(counts_of(visits.hours, visits.rows, receptivity.half_life_s)),
        ),
        user=trial.frame.rows[USER].to_numpy(),
        action=trial.action,
        delay_s=delays_s[np.maximum(trial.delay, 0)],
        delay_propensity=delay_shares(trial),
        dropped_out=trial.frame.outcomes,
    )


def delay_shares(trial: Trial) -> FloatArray:
    """Share of each row's delay among all rows for which something was sent; 1 for the others, whose delay means nothing."""
    sent = trial.action > 0
    shares = np.bincount(trial.delay[sent], minlength=len(trial.delays_s)) / max(int(sent.sum()), 1)
    return np.where(sent, shares[np.maximum(trial.delay, 0)], 1.0)
