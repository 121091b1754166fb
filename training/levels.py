"""Each cohort's level by its own mature outcomes: what a service that runs beside a cohort learns of it, and when.

`training.cohorts` sets the level of a cohort of unknown outcomes. Once the first outcomes of a cohort are mature, they say more of it than
other cohorts do. Nothing is fitted but one number for each cohort, shrunk to 0 as far as its noise demands, so nothing is learned of
past cohorts that the next may not share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from models.calibration import shift_odds
from models.levels import CohortLevels
from training.calibrate import BoolArray, FloatArray, IntArray, is_gain, log_losses
from training.cohorts import measure_drift, pool_shifts
from training.errors import BadInputError
from training.frame import USER, TrainingFrame

MOST_COHORTS = 2_000
_DAY_US = 86_400_000_000
_US = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRows:
    """Predictions by a model that has not seen the rows, and what came of them; every array of shape (n_rows,)."""

    probabilities: FloatArray
    outcomes: BoolArray
    cohorts: npt.NDArray[np.str_]
    users: npt.NDArray[np.object_]
    as_of_us: IntArray
    horizon_us: int  # outcomes are known at as_of + horizon

    def at(self, chosen: BoolArray) -> ScoredRows:
        """Only these rows."""
        return replace(
            self,
            probabilities=self.probabilities[chosen],
            outcomes=self.outcomes[chosen],
            cohorts=self.cohorts[chosen],
            users=self.users[chosen],
            as_of_us=self.as_of_us[chosen],
        )


def declared_cohorts(frame: TrainingFrame) -> npt.NDArray[np.str_] | None:
    """Cohort of each row as the product declares it, "" where it is unset; None where none is declared or the frame does not carry it.

    Raises
    ------
    BadInputError
        If there are more than `MOST_COHORTS`: then hardly two users are in one.
    """
    name = frame.product.cohort
    if name is None or name not in frame.rows.columns:
        return None
    cohorts = frame.rows[name].astype(object)
    if (n := cohorts.nunique()) > MOST_COHORTS:
        raise BadInputError(
            f"attribute {name} is declared as cohort and has {n} values, expected at most {MOST_COHORTS}; declare a coarser one"
        )
    return cohorts.fillna("").to_numpy(dtype=np.str_)


def scored_rows(frame: TrainingFrame, probabilities: FloatArray, cohorts: npt.ArrayLike) -> ScoredRows:
    """Rows of a frame, with what was predicted and the cohort of each, shape (n_rows,)."""
    return ScoredRows(
        probabilities=probabilities,
        outcomes=frame.outcomes,
        cohorts=np.asarray(cohorts, dtype=np.str_),
        users=frame.rows[USER].to_numpy(dtype=object),
        as_of_us=frame.as_of_us,
        horizon_us=frame.horizon // _US,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelChoice:
    """Whether cohorts get their own levels, and what that was judged by."""

    applied: bool
    between_variance: float  # of true shifts between cohorts, in log-odds squared
    log_loss: Mapping[str, float]  # "none" and "own"


def choose_levels(rows: ScoredRows) -> LevelChoice:
    """Say whether levels from own mature outcomes are better than none, by more than one standard error over cohorts.

    Each row gets the level that its cohort would have had on that day; how far cohorts differ is what the other cohorts say.
    """
    rows = rows.at(rows.cohorts != "")  # who is in none gets no level
    if len(rows.outcomes) == 0:
        return LevelChoice(applied=False, between_variance=0.0, log_loss={})
    drift = measure_drift(rows.probabilities, rows.outcomes, rows.cohorts)
    shifts = np.zeros(len(rows.outcomes))
    for left_out, each in enumerate(drift) if len(drift) > 1 else ():
        others, mine = pool_shifts([*drift[:left_out], *drift[left_out + 1 :]]), rows.cohorts == each.cohort
        shifts[mine] = shifts_by_then(rows.at(mine), between_variance=others.between_variance)
    none, own = (log_losses(p, rows.outcomes) for p in (rows.probabilities, shift_odds(rows.probabilities, shifts)))
    moved = np.isin(rows.cohorts, np.unique(rows.cohorts[shifts != 0.0]))  # cohorts without a mature outcome say neither yes nor no
    code = np.unique(rows.cohorts[moved], return_inverse=True)[1]
    between = pool_shifts(drift).between_variance if len(drift) > 1 else 0.0
    losses = {"none": float(none.mean()), "own": float(own.mean())}
    return LevelChoice(applied=is_gain((none - own)[moved], code), between_variance=between, log_loss=losses)


def shifts_by_then(rows: ScoredRows, *, between_variance: float) -> FloatArray:
    """Log-odds to add to each row by what was mature in its cohort when the row's day began (UTC), shape (n_rows,)."""
    day = rows.as_of_us // _DAY_US
    overlap, shifts = overlapping(rows), np.zeros(len(day))
    for today in np.unique(day):
        now = day == today
        levels = _levels(rows, at_us=int(today) * _DAY_US, between_variance=between_variance, overlap=overlap)
        shifts[now] = [levels.get(cohort, 0.0) for cohort in rows.cohorts[now].tolist()]
    return shifts


def levels_at(rows: ScoredRows, *, at_us: int, between_variance: float) -> dict[str, float]:
    """Shift in log-odds of each cohort with outcomes that were mature at ``at_us``.

    What a cohort shows is weighed against 0 by its noise: with variance v of the shown shift and b between cohorts, b / (b + v) of it
    is believed. Rows whose outcomes look at the same days are counted as one (`overlapping`).

    Examples
    --------
    >>> day_us = 86_400_000_000
    >>> rows = ScoredRows(
    ...     probabilities=np.full(1000, 0.5), outcomes=np.arange(1000) < 600, cohorts=np.full(1000, "may"),
    ...     users=np.arange(1000).astype(object), as_of_us=np.zeros(1000, dtype=np.int64), horizon_us=10 * day_us)
    >>> levels_at(rows, at_us=9 * day_us, between_variance=0.04)
    {}
    >>> round(levels_at(rows, at_us=10 * day_us, between_variance=0.04)["may"], 2)  # 0.405 is what it shows
    0.37

    References
    ----------
    Robinson (1991), That BLUP is a good thing, doi:10.1214/ss/1177011926: the best linear prediction of a random effect.
    """
    return _levels(rows, at_us=at_us, between_variance=between_variance, overlap=overlapping(rows))


def final_levels(rows: ScoredRows, attribute: str, *, between_variance: float) -> CohortLevels:
    """Levels once the outcomes of all rows are mature: what a model begins to serve with."""
    at_us = int(rows.as_of_us.max()) + rows.horizon_us
    shifts = levels_at(rows, at_us=at_us, between_variance=between_variance)
    return CohortLevels(attribute=attribute, shifts=shifts, between_variance=between_variance)


def overlapping(rows: ScoredRows) -> float:
    """Count the rows of one user whose outcomes look at the same days: horizon over the usual time between two rows, at least 1."""
    order = np.lexsort((rows.as_of_us, rows.users.astype(str)))
    same, steps_us = rows.users[order][1:] == rows.users[order][:-1], np.diff(rows.as_of_us[order])
    steps_us = steps_us[same & (steps_us > 0)]
    return max(1.0, rows.horizon_us / float(np.median(steps_us))) if len(steps_us) else 1.0


def _levels(rows: ScoredRows, *, at_us: int, between_variance: float, overlap: float) -> dict[str, float]:
    mature = rows.as_of_us + rows.horizon_us <= at_us
    drift = measure_drift(rows.probabilities[mature], rows.outcomes[mature], rows.cohorts[mature])
    return {each.cohort: each.shift * _believed(between_variance, overlap * each.shift_variance) for each in drift if each.cohort}


def _believed(between: float, variance: float) -> float:
    return between / (between + variance)
