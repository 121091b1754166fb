"""Paired gains, their tables and what they say in words."""

from __future__ import annotations

import numpy as np
import pytest

from training.compare import METRICS, Scored, gain, row_losses
from training.evaluate import Interval, UserDraws
from training.note import review_parts
from training.pipeline import TrainedModel
from training.tables import in_words, scorer_rows, scorer_table, segment_gain_rows, threshold_table


@pytest.mark.parametrize("metric", METRICS)
def test_a_gain_is_the_difference_of_the_figures_and_turns_its_sign_with_the_sides(trained: TrainedModel, metric: str) -> None:
    review, outcomes = trained.review, trained.slices.test.outcomes
    draws = UserDraws(trained.slices.test.rows["user_id"].to_numpy())
    ours, theirs = review.model, review.scored["recency alone"]
    there, back = (gain(metric, a, b, outcomes=outcomes, draws=draws) for a, b in ((ours, theirs), (theirs, ours)))
    figures = [review.evaluations[name].figures[metric].value for name in ("model", "recency alone")]
    assert there.value == pytest.approx(figures[0] - figures[1] if metric == "auc" else figures[1] - figures[0])
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


def test_a_paired_interval_is_narrower_than_that_of_either_figure(trained: TrainedModel) -> None:
    draws = UserDraws(trained.slices.test.rows["user_id"].to_numpy())
    model = trained.review.model
    near = Scored.by(np.clip(model.probabilities + 0.01, 0, 1))
    paired = gain("log_loss", near, model, outcomes=trained.slices.test.outcomes, draws=draws)
    alone = trained.review.evaluations["model"].figures["log_loss"]
    assert paired.high - paired.low < (alone.high - alone.low) / 3


def test_auc_is_no_mean_over_rows(trained: TrainedModel) -> None:
    with pytest.raises(ValueError, match="expected log_loss or brier"):
        row_losses("auc", trained.review.model, trained.slices.test.outcomes)


def test_fast_means_and_slow_means_have_the_same_interval() -> None:
    rng = np.random.default_rng(1)
    users, values = rng.integers(0, 40, 300), rng.random(300)
    draws = UserDraws(users)
    slow = draws.interval(lambda weights: float(values @ weights / weights.sum()))
    fast = draws.mean_interval(values)
    assert (fast.value, fast.low, fast.high) == pytest.approx((slow.value, slow.low, slow.high))


def test_a_wider_confidence_is_a_wider_interval() -> None:
    values = np.arange(100.0)
    narrow, wide = (UserDraws(np.arange(100), confidence=share).mean_interval(values) for share in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_tables_have_every_scorer_and_every_segment(trained: TrainedModel) -> None:
    review = trained.review
    assert scorer_table(review)["scorer"].tolist() == ["model", "logistic", "recency alone", "base rate"]
    rows = scorer_rows(review).set_index(["scorer", "figure"])
    assert rows.loc[("recency alone", "auc"), "gain_of_model"] == pytest.approx(review.gains["recency alone"]["auc"].value, abs=1e-4)
    gains = segment_gain_rows(review)
    assert set(gains["segment"]) == {segment.segment for segment in review.segments}
    assert set(gains["over"]) == {"logistic", "recency alone"}


def test_thresholds_hold_the_alert_error_on_the_rows_they_are_chosen_on(trained: TrainedModel) -> None:
    outcomes = trained.slices.test.outcomes
    probabilities = trained.review.model.probabilities
    for row in threshold_table(probabilities, outcomes).to_dict("records"):
        alerted = probabilities >= row["threshold"] - 5e-5  # the table rounds
        assert row["alert_error"] <= row["alert_error_at_most"]
        assert alerted[outcomes].mean() == pytest.approx(row["recall"], abs=0.02)


def test_a_note_has_no_brackets_that_markdown_takes_for_links(trained: TrainedModel) -> None:
    note = "\n".join(review_parts(trained.review, trained.slices.test, beside=None))
    sentences = [line for line in note.splitlines() if line.startswith("- Over")]
    assert len(sentences) == 2
    assert not any("[" in sentence for sentence in sentences)


@pytest.mark.parametrize(("low", "high", "said"), [(0.1, 0.3, "better"), (-0.1, 0.3, "unclear"), (-0.3, -0.1, "worse")])
def test_an_interval_says_one_of_three_things(low: float, high: float, said: str) -> None:
    assert in_words(Interval(value=(low + high) / 2, low=low, high=high)) == said
