"""Folds run forward in time with a gap, or keep cohorts whole, and know nothing of later slices."""

from __future__ import annotations

import numpy as np
import pytest

from training.folds import by_cohort, walk_forward
from training.frame import USER, TrainingFrame
from training.split import Slices, split_by_time


@pytest.fixture(scope="module")
def slices(frame: TrainingFrame) -> Slices:
    return split_by_time(frame, min_rows=50)


def test_every_label_that_is_learned_from_is_known_before_the_judged_rows_begin(slices: Slices) -> None:
    folds = walk_forward(slices)
    assert len(folds) > 1
    for fold in folds:
        assert fold.learn.rows["as_of"].max() + fold.learn.horizon <= fold.judge.rows["as_of"].min()


def test_the_last_fold_is_train_and_stop_and_none_is_later(slices: Slices) -> None:
    folds = walk_forward(slices)
    assert folds[-1].learn is slices.train
    assert folds[-1].judge is slices.stop
    ends = [fold.judge.rows["as_of"].max() for fold in folds]
    assert ends == sorted(ends)
    assert ends[-1] + slices.stop.horizon <= slices.calibration.rows["as_of"].min()


def test_a_short_log_still_has_one_fold(slices: Slices) -> None:
    assert len(walk_forward(slices, n_folds=50)) < 50
    assert len(walk_forward(slices, n_folds=1)) == 1


def test_a_cohort_is_never_on_both_sides(frame: TrainingFrame) -> None:
    users = frame.rows[USER].to_numpy()
    folds = by_cohort(frame, users, n_folds=3)
    assert len(folds) == 3
    for fold in folds:
        assert not set(fold.learn.rows[USER]) & set(fold.judge.rows[USER])
        assert list(fold.units) == list(fold.judge.rows[USER])
    judged = np.concatenate([fold.judge.rows.index.to_numpy() for fold in folds])
    assert sorted(judged) == list(range(len(frame.rows)))
