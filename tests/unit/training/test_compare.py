"""Paired gains, their tables and what they say in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.cause_stability import NEVER, CauseStability
from training.answers import answers
from training.compare import METRICS, Scored, gain, row_losses
from training.evaluate import Interval, UserDraws
from training.note import review_parts
from training.pipeline import TrainedModel
from training.record_review import review_metrics
from training.review import with_alerts
from training.tables import alert_promise, alert_table, in_words, scorer_rows, scorer_table, segment_gain_rows, stability_table


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


def test_the_thresholds_of_the_review_hold_the_alert_error_and_show_both_of_them(trained: TrainedModel) -> None:
    alerts, outcomes, risk = trained.review.alerts, trained.slices.test.outcomes, trained.review.model.probabilities
    assert alerts is not None
    assert alerts.solved is not None
    alerted = risk >= alerts.solved.risk_threshold
    assert alerted[~outcomes].mean() == pytest.approx(alerts.solved.whole.of_stayers.value)
    assert alerts.solved.whole.of_stayers.value <= alerts.contract.bound
    assert alerted[outcomes].mean() == pytest.approx(alerts.solved.whole.recall.value)
    row = alert_table(alerts).to_dict("records")[-1]
    assert {"FP/(FP+TN)", "FP/alerts", "share alerted", "recall"} <= set(row)
    assert "at most 15% with 95% confidence" in alert_promise(alerts)
    metrics = review_metrics(trained.review)
    assert metrics["alert.whole.recall_low"] < metrics["alert.whole.recall"] < metrics["alert.whole.recall_high"]


def test_too_few_rows_for_thresholds_are_said_where_the_table_would_be(trained: TrainedModel) -> None:
    few = trained.slices.test.at(np.arange(10))
    alerts = with_alerts(replace(trained.review, scored={"model": Scored.by(np.full(10, 0.5))}), few).alerts
    assert alerts is not None
    assert alerts.solved is None
    assert "expected at least 20" in alert_promise(alerts)
    assert len(alert_table(alerts)) == 0


def test_stability_of_causes_stands_beside_the_champions(trained: TrainedModel) -> None:
    known = CauseStability(
        min_lead=0.3,
        least_agreement=0.8,
        agreement=0.9,
        agreement_of_stable=0.95,
        stable_share=0.7,
        agreement_by_cause={"silence": 0.9},
        n_refits=8,
    )
    champion = replace(known, agreement=0.6, min_lead=NEVER)
    review = replace(trained.review, stability={"model": known, "champion": champion})
    assert scorer_table(review).set_index("scorer").loc["model", "causes agree"] == "90%"
    table = stability_table(review.stability).set_index("causes")
    assert table.loc["refits name the same cause"].to_dict() == {"model": 0.9, "champion": 0.6}
    metrics = review_metrics(review)
    assert (metrics["cause_stability.agreement"], metrics["cause_stability.champion.agreement"]) == (0.9, 0.6)
    assert "name the same cause?" in "\n".join(review_parts(review, trained.slices.test, beside="1"))


def test_a_note_has_no_brackets_that_markdown_takes_for_links(trained: TrainedModel) -> None:
    note = "\n".join(review_parts(trained.review, trained.slices.test, beside=None))
    sentences = [line for line in note.splitlines() if line.startswith("- Over")]
    assert len(sentences) == 2
    assert not any("[" in sentence for sentence in sentences)


@pytest.mark.parametrize(("low", "high", "said"), [(0.1, 0.3, "better"), (-0.1, 0.3, "unclear"), (-0.3, -0.1, "worse")])
def test_an_interval_says_one_of_three_things(low: float, high: float, said: str) -> None:
    assert in_words(Interval(value=(low + high) / 2, low=low, high=high)) == said


def test_three_answers_say_whether_for_whom_and_how_surely_it_is_better(trained: TrainedModel) -> None:
    said = answers(trained.review, trained.slices.test, beside=None)
    assert list(said) == sorted(said) == ["answer.better", "answer.for_whom", "answer.sure"]  # MLflow shows them by name
    gained = trained.review.gains["recency alone"]["log_loss"]
    assert said["answer.better"] == f"{in_words(gained)}: log loss {gained.value:+.4f} over recency alone; there is no champion beside it"
    assert f"{gained.low:+.4f} to {gained.high:+.4f}" in said["answer.sure"]
    for each in trained.review.segment_gains:
        if (each.over, each.metric) == ("recency alone", "log_loss"):
            group = {"better": "better for", "worse": "worse for", "unclear": "not to be told apart for"}[in_words(each.gain)]
            (part,) = [part for part in said["answer.for_whom"].split("; ") if part.startswith(group)]
            assert f"{each.segmentation}/{each.segment}" in part


def test_beside_a_champion_the_answers_are_about_it(trained: TrainedModel) -> None:
    review = trained.review
    worse = Interval(value=-0.02, low=-0.03, high=-0.01)
    beaten = replace(review, gains={**review.gains, "champion": {"log_loss": worse}}, segment_gains=[])
    said = answers(beaten, trained.slices.test, beside="7")
    assert said["answer.better"] == "worse: log loss -0.0200 over champion version 7"
    assert said["answer.for_whom"] == "no segments were learned or declared"
