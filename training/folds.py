"""Folds to choose parameters on, inside the rows that the final trees are grown on: judged on later rows, or on other cohorts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from training.frame import USER, TrainingFrame
from training.split import MIN_ROWS, Slices

_US = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Rows to learn from, and rows to judge on."""

    learn: TrainingFrame
    judge: TrainingFrame
    units: npt.NDArray[np.object_]  # what the judged rows are independent by, shape (n_judged,): users, or whole cohorts


def walk_forward(slices: Slices, *, n_folds: int = 3) -> list[Fold]:
    """Walk through train and stop: each fold is judged on later rows than it learns from, and no label that it learns looks into those.

    The last fold is train and stop themselves; each earlier one is judged on the latest rows of what the next one learns from, as many as
    the stop slice has. A fold of fewer than 100 rows on either side, or of one outcome alone, ends the walk.

    Returns
    -------
    list of Fold
        From the earliest to the latest; at most ``n_folds``.
    """
    folds = [_by_user(slices.train, slices.stop)]
    horizon_us, share = slices.train.horizon // _US, len(slices.stop.rows)
    while len(folds) < n_folds:
        past = folds[0].learn
        as_of_us = past.as_of_us
        from_us = int(np.sort(as_of_us)[-min(share, len(as_of_us))])
        learn = past.at(np.flatnonzero(as_of_us + horizon_us <= from_us))
        judge = past.at(np.flatnonzero(as_of_us >= from_us))
        if not (_can_be_used(learn) and _can_be_used(judge)):
            break
        folds.insert(0, _by_user(learn, judge))
    return folds


def by_cohort(frame: TrainingFrame, cohorts: npt.ArrayLike, *, n_folds: int = 5) -> list[Fold]:
    """Deal the cohorts out to folds; each is judged on cohorts that it has not learned from.

    Parameters
    ----------
    cohorts
        Cohort of each row, shape (n_rows,); sorted by name they are dealt out like cards, so that every fold has early and late ones
        if names sort in time.
    """
    names = np.asarray(cohorts, dtype=object)
    code = np.unique(names, return_inverse=True)[1]
    parts = [(np.flatnonzero(code % n_folds != k), np.flatnonzero(code % n_folds == k)) for k in range(n_folds)]
    folds = [Fold(learn=frame.at(learn), judge=frame.at(judge), units=names[judge]) for learn, judge in parts]
    return [fold for fold in folds if _can_be_used(fold.learn) and _can_be_used(fold.judge)]


def _by_user(learn: TrainingFrame, judge: TrainingFrame) -> Fold:
    return Fold(learn=learn, judge=judge, units=judge.rows[USER].to_numpy(dtype=object))


def _can_be_used(frame: TrainingFrame) -> bool:
    outcomes = frame.outcomes
    return len(outcomes) >= MIN_ROWS and bool(outcomes.any() and not outcomes.all())
