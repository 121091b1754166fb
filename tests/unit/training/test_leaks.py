"""What looks too good is refused by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from training.errors import LeakError
from training.fit import FitParameters
from training.frame import TrainingFrame, learn_signature
from training.leaks import require_no_tell_tale, said_of_too_good
from training.model_card import model_card
from training.pipeline import train_model


def with_column(frame: TrainingFrame, name: str, values: object) -> TrainingFrame:
    return replace(frame, rows=frame.rows.assign(**{name: values}))


def check(frame: TrainingFrame, max_auc: float = 0.99) -> None:
    require_no_tell_tale(frame, learn_signature(frame), max_auc=max_auc)


def after_the_label_began(frame: TrainingFrame) -> pd.Series:
    """Clicks of a snapshot that was taken as late as the outcome was known: those who dropped out have none."""
    clicks = np.random.default_rng(0).integers(1, 9, size=len(frame.rows))
    return pd.Series(np.where(frame.outcomes, 0.0, clicks), index=frame.rows.index)


def test_a_feature_computed_after_the_label_window_stops_the_training(frame: TrainingFrame) -> None:
    leaking = with_column(frame, "count_click_7d", after_the_label_began(frame))
    with pytest.raises(LeakError, match=r"input count_click_7d alone orders the outcomes of \d+ rows with an AUC of 1\.0000"):
        train_model(leaking, seed=0)


def test_an_honest_frame_passes_and_nothing_in_it_is_named(frame: TrainingFrame) -> None:
    assert require_no_tell_tale(frame, learn_signature(frame), max_auc=0.99) == {}


def test_an_input_that_looks_too_good_is_named_and_stops_nothing(frame: TrainingFrame) -> None:
    noise = np.random.default_rng(3).normal(size=len(frame.rows))
    planted = with_column(frame, "count_click_7d", 2.2 * frame.outcomes + noise)  # AUC about 0.94
    trained = train_model(planted, parameters=FitParameters(max_rounds=5), seed=0)
    assert list(trained.too_good) == ["count_click_7d"]
    assert 0.92 < trained.too_good["count_click_7d"] < 0.96
    assert "count_click_7d (AUC 0.9" in said_of_too_good(trained.too_good)
    card = model_card(trained, {})
    assert "## Looks too good" in card
    assert "check that it is known before the outcome" in card


def test_what_was_truly_known_may_be_trusted(frame: TrainingFrame) -> None:
    leaking = with_column(frame, "count_click_7d", after_the_label_began(frame))
    check(leaking, max_auc=1.0)
    assert train_model(leaking, parameters=FitParameters(leak_auc=1.0, max_rounds=5), seed=0).fitted.rounds >= 1


@pytest.mark.parametrize("known", [True, False])
def test_being_known_at_all_may_be_the_leak(frame: TrainingFrame, *, known: bool) -> None:
    """An exit survey is filled in by those who leave alone."""
    answers = np.where(frame.outcomes == known, 3.0, np.nan)
    with pytest.raises(LeakError, match="count_click_7d"):
        check(with_column(frame, "count_click_7d", answers))


def test_a_category_that_is_written_because_of_the_outcome_is_found(frame: TrainingFrame) -> None:
    plans = np.where(frame.outcomes, "cancelled", np.where(np.arange(len(frame.rows)) % 2, "pro", "free"))
    with pytest.raises(LeakError, match="input plan alone"):
        check(with_column(frame, "plan", plans))


def test_a_category_of_its_own_for_every_row_proves_nothing(frame: TrainingFrame) -> None:
    check(with_column(frame, "plan", [f"p{i}" for i in range(len(frame.rows))]))


def test_a_handful_of_outcomes_is_told_apart_by_chance(frame: TrainingFrame) -> None:
    few = frame.at(np.concatenate([np.flatnonzero(frame.outcomes)[:19], np.flatnonzero(~frame.outcomes)[:500]]))
    check(with_column(few, "count_click_7d", after_the_label_began(few)))
