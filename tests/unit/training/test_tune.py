"""The search is bounded, repeatable, and sees nothing of later slices."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from training.errors import BadInputError, TooLittleDataError
from training.fit import EXPLANATION_BUDGET, FitParameters
from training.folds import Fold, walk_forward
from training.frame import TrainingFrame
from training.split import Slices, split_by_time
from training.tune import Search, Trial, Tuned, tune, tune_on

N_TRIALS = 7


@pytest.fixture(scope="module")
def slices(frame: TrainingFrame) -> Slices:
    return split_by_time(frame)


@pytest.fixture(scope="module")
def tuned(slices: Slices) -> Tuned:
    return tune(slices, n_trials=N_TRIALS, seed=5)


def choices(tuned: Tuned) -> list[tuple[FitParameters, float]]:
    return [(trial.parameters, trial.log_loss) for trial in tuned.trials]


def test_the_same_seed_tries_and_finds_the_same(slices: Slices, tuned: Tuned) -> None:
    again, other = tune(slices, n_trials=N_TRIALS, seed=5), tune(slices, n_trials=N_TRIALS, seed=6)
    assert choices(again) == choices(tuned)
    assert again.parameters == tuned.parameters
    assert choices(other) != choices(tuned)


def poisoned(part: TrainingFrame) -> TrainingFrame:
    """Rows that nobody may look at: every feature would be refused, every outcome is turned around."""
    features = dict.fromkeys(part.product.catalogue.feature_names, np.inf)
    return replace(part, rows=part.rows.assign(dropped_out=~part.outcomes, **features))


def test_calibration_and_test_rows_are_never_looked_at(slices: Slices, tuned: Tuned) -> None:
    elsewhere = replace(slices, calibration=poisoned(slices.calibration), test=poisoned(slices.test))
    assert choices(tune(elsewhere, n_trials=N_TRIALS, seed=5)) == choices(tuned)


def test_every_trial_keeps_to_the_budget_of_an_explanation(tuned: Tuned) -> None:
    assert len(tuned.trials) == N_TRIALS
    for trial in tuned.trials:
        assert trial.parameters.max_depth <= 6
        assert trial.parameters.explanation_cost <= EXPLANATION_BUDGET


def test_the_first_trial_is_where_the_search_begins(tuned: Tuned) -> None:
    assert tuned.trials[0].parameters == FitParameters()
    assert tuned.trials[0].log_loss == tuned.base_log_loss
    assert tuned.log_loss <= tuned.base_log_loss
    assert set(tuned.table["state"]) <= {"complete", "pruned"}
    complete = tuned.table[tuned.table["state"] == "complete"]
    assert list(complete.index) == list(range(len(complete)))
    assert list(complete["log_loss"]) == sorted(complete["log_loss"])


def test_what_cannot_be_told_apart_stays_as_it_was(slices: Slices) -> None:
    alike = FitParameters(learning_rate=0.051, max_rounds=40)
    assert tune_on(walk_forward(slices), Search(base=alike, n_trials=1)).parameters == alike


def test_a_bad_beginning_is_improved_on(slices: Slices) -> None:
    bad = FitParameters(learning_rate=0.15, min_data_in_leaf=2, lambda_l2=0.0, bagging_fraction=0.2, max_rounds=3)
    found = tune_on(walk_forward(slices), Search(base=bad, n_trials=4))
    assert found.log_loss < found.base_log_loss
    assert found.parameters != bad


def test_progress_and_trials_are_told(slices: Slices) -> None:
    heard: list[float] = []
    told: list[Trial] = []
    tune_on(walk_forward(slices), Search(n_trials=3, report=lambda _, share: heard.append(share), on_trial=told.append))
    assert heard == [1 / 3, 2 / 3, 1.0, 1.0]
    assert [trial.number for trial in told] == [0, 1, 2]


def test_time_ends_the_search(slices: Slices) -> None:
    started_s = time.monotonic()
    found = tune_on(walk_forward(slices), Search(n_trials=10_000, timeout_s=2.0))
    assert time.monotonic() - started_s < 60
    assert len(found.trials) < 10_000


def test_no_time_at_all_is_a_clear_error(slices: Slices) -> None:
    with pytest.raises(TooLittleDataError, match="no trial was through within 0 s"):
        tune(slices, n_trials=3, timeout_s=0.0)


def test_nothing_to_try_or_to_learn_from_is_a_clear_error(slices: Slices) -> None:
    with pytest.raises(BadInputError, match="trials: got 0, expected a whole number from 1"):
        tune(slices, n_trials=0)
    no_folds: list[Fold] = []
    with pytest.raises(TooLittleDataError, match="no fold to tune on"):
        tune_on(no_folds, Search(n_trials=1))
