"""Each step of a walk forward learns from what was known by then, and is measured on what came next."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from features.core.event import to_us
from training.backtest import BacktestError, BacktestOptions, Step, backtest, slices_at
from training.backtest_report import step_plot, step_table
from training.baselines import logistic_scores
from training.errors import TooLittleDataError
from training.evaluate import auc
from training.fit import FitParameters
from training.frame import AS_OF, TrainingFrame
from training.review import LOGISTIC, MODEL, RECENCY

QUICK = BacktestOptions(steps=3, parameters=FitParameters(max_rounds=30))


@pytest.fixture(scope="module")
def steps(frame: TrainingFrame) -> list[Step]:
    return backtest(frame, QUICK)


def test_no_outcome_that_was_learned_from_was_unknown_at_the_step(frame: TrainingFrame) -> None:
    begin = frame.rows[AS_OF].quantile(0.7)
    slices = slices_at(frame, to_us(begin.to_pydatetime()), to_us((begin + timedelta(days=7)).to_pydatetime()))
    for part in (slices.train, slices.stop, slices.calibration):
        assert part.rows[AS_OF].max() + frame.horizon <= begin
    assert slices.test.rows[AS_OF].min() >= begin
    assert slices.test.rows[AS_OF].max() < begin + timedelta(days=7)


def test_steps_follow_one_another_and_learn_from_more_each_time(steps: list[Step]) -> None:
    assert len(steps) == 3
    assert [step.trained_at for step in steps] == sorted(step.trained_at for step in steps)
    assert all(earlier.tested_until < later.trained_at for earlier, later in pairwise(steps))
    assert np.all(np.diff([step.train_rows for step in steps]) > 0)


def test_the_model_is_beside_logistic_regression_and_recency_in_one_table(steps: list[Step]) -> None:
    table = step_table(steps)
    assert [row["scorer"] for row in table] == [MODEL, LOGISTIC, RECENCY] * 3
    assert [row["trained at"] for row in table[::3]] == [f"{step.trained_at:%Y-%m-%d}" for step in steps]
    assert all("[" in row["AUC"] and "[" in row["Brier"] for row in table)  # with intervals
    assert all(step.figure(MODEL, "auc").value > 0.6 for step in steps)  # type: ignore[union-attr]


def test_the_logistic_regression_is_refitted_at_each_step_on_the_rows_that_the_model_learned_from(
    frame: TrainingFrame, steps: list[Step]
) -> None:
    for step, following in pairwise(steps):
        begin, end = (to_us(each.trained_at.to_pydatetime()) for each in (step, following))
        slices = slices_at(frame, begin, end)
        risk = logistic_scores(slices.fitted, slices.test, 0)
        assert step.figure(LOGISTIC, "auc").value == pytest.approx(auc(risk, slices.test.outcomes))  # type: ignore[union-attr]


def test_the_plot_shows_every_scorer_with_its_intervals_and_needs_none_of_them(steps: list[Step]) -> None:
    figure = step_plot(steps)
    drawn = [[bars.get_label() for bars in panel.containers] for panel in figure.axes]
    assert drawn == [[MODEL, LOGISTIC, RECENCY]] * 3 + [[]]
    assert [[bars.has_yerr for bars in panel.containers] for panel in figure.axes[:3]] == [[True] * 3, [True] * 3, [False] * 3]
    alone = [replace(step, evaluations={MODEL: step.evaluations[MODEL]}) for step in steps[:1]]
    assert [len(panel.containers) for panel in step_plot(alone).axes] == [1, 1, 1, 0]
    assert len(step_table(alone)) == 1


def test_each_step_is_told_as_soon_as_it_is_made(frame: TrainingFrame) -> None:
    told: list[int] = []
    backtest(frame, BacktestOptions(steps=2, parameters=FitParameters(max_rounds=5)), on_step=lambda number, _step: told.append(number))
    assert told == [0, 1]


def test_a_log_too_short_for_any_step_is_refused_with_the_reasons(frame: TrainingFrame) -> None:
    with pytest.raises(BacktestError, match=r"none of 2 steps could be made.*slice test has \d+ rows, expected at least 100000"):
        backtest(frame, BacktestOptions(steps=2, min_rows=100_000))
    with pytest.raises(BacktestError, match="steps: got 0"):
        backtest(frame, BacktestOptions(steps=0))
    with pytest.raises(TooLittleDataError):
        slices_at(frame, 0, 1)
