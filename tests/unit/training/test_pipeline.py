"""A frame in, a reviewed model out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.bundle import load_bundle, write_bundle
from training.calibrate import ComparedBy
from training.frame import TrainingFrame
from training.model_card import model_card, said_of_calibration
from training.pipeline import TrainedModel, train_model, with_about
from training.plots import cause_plot, cohort_plot, gain_plot, lift_and_gain, reliability_plot, roc_and_pr
from training.record import metrics, mlflow_signature, parameters
from training.record_review import review_metrics
from training.review import BASE_RATE, MODEL, RECENCY


def test_the_model_beats_recency_and_the_base_rate(trained: TrainedModel) -> None:
    evaluations = trained.review.evaluations
    assert evaluations[MODEL].figures["auc"].value > evaluations[RECENCY].figures["auc"].value
    assert evaluations[MODEL].figures["brier"].value < evaluations[BASE_RATE].figures["brier"].value
    assert trained.review.gain_over_recency is not None
    assert trained.review.gain_over_recency.value > 0


def test_causes_of_the_sample_sum_to_the_raw_scores(trained: TrainedModel, tmp_path: Path) -> None:
    bundle = load_bundle(write_bundle(tmp_path / "bundle", trained.content), trained.slices.test.product)
    test = trained.slices.test
    picked = np.linspace(0, len(test.rows) - 1, len(trained.review.causes.sums)).astype(int)
    vectors, profiles = test.vectors[picked], [test.profiles()[i] for i in picked]
    base = bundle.contributions(vectors[0], profiles[0])["base"]
    np.testing.assert_allclose(trained.review.causes.sums.sum(axis=1) + base, bundle.raw_scores(vectors, profiles), rtol=0, atol=1e-9)


def test_the_bundle_scores_as_the_pipeline_measured(trained: TrainedModel, tmp_path: Path) -> None:
    bundle = load_bundle(write_bundle(tmp_path / "bundle", trained.content))
    test = trained.slices.test
    np.testing.assert_array_equal(bundle.risk(test.vectors, test.profiles()), trained.review.evaluations[MODEL].probabilities)


def test_stages_are_reported_to_their_end(frame: TrainingFrame) -> None:
    heard: dict[str, float] = {}
    train_model(frame, report=heard.__setitem__)
    assert heard == {"fitting LightGBM": 1.0, "learning segments": 1.0, "evaluating": 1.0}


def test_facts_are_added_to_what_the_bundle_says_of_itself(trained: TrainedModel) -> None:
    about = with_about(trained, run_id="r1").content.about
    assert about["run_id"] == "r1"
    assert about["horizon_s"] == 5 * 86400
    assert list(about["slices"]) == ["train", "stop", "calibration", "test"]


def test_the_card_says_what_the_model_is_for_and_what_it_is_not(trained: TrainedModel) -> None:
    card = model_card(trained, {"seed": "3"})
    for expected in (
        "There was no champion",
        "Risk is not uplift",
        "Intended use",
        "recency alone",
        "| test |",
        "- silence:",
        "- seed: `3`",
        "Over **recency alone**",
        "Over **logistic regression**",
    ):
        assert expected in card
    assert " nan" not in card


def test_run_and_card_say_which_rows_chose_the_calibration(trained: TrainedModel) -> None:
    assert parameters(trained)["calibration.compared_by"] == "user folds"  # about a week of rows, a horizon of five days
    assert metrics(trained).keys() >= {f"calibration.{name}_log_loss" for name in ("none", "platt", "beta", "isotonic")}
    assert said_of_calibration(trained.calibration) in model_card(trained, {})
    expected = {
        ComparedBy.LATER_HALF: "compared on its later half",
        ComparedBy.USER_FOLDS: "compared by folds of users",
        ComparedBy.COHORTS: "compared by cohorts",
        ComparedBy.NOTHING: "compared with no map: the calibration slice has too few users",
    }
    for compared_by, said in expected.items():
        assert said in said_of_calibration(replace(trained.calibration, compared_by=compared_by))


def test_logged_figures_are_numbers(trained: TrainedModel) -> None:
    logged = metrics(trained) | review_metrics(trained.review)
    assert np.isfinite(list(logged.values())).all()
    assert {"model.auc", "model.auc_low", "model.ece", "recency_alone.auc", "gain_over_recency.auc_low", "slice.test.rows"} <= set(logged)
    assert {"logistic.log_loss", "gain_over_logistic.log_loss_low", "segment.learned.s1.gain_over_recency.log_loss_high"} <= set(logged)
    assert "base_rate.calibration_slope" not in logged  # not defined for one probability


def test_every_logged_parameter_has_a_dot(trained: TrainedModel) -> None:
    assert all("." in name for name in parameters(trained))


def test_plots_are_drawn_without_a_display(trained: TrainedModel, tmp_path: Path) -> None:
    review, outcomes = trained.review, trained.slices.test.outcomes
    figures = [
        roc_and_pr(review.scores, outcomes),
        lift_and_gain(review.scores, outcomes),
        gain_plot(review.gains, review.segment_gains),
        reliability_plot({MODEL: review.evaluations[MODEL].probabilities}, outcomes),
        cause_plot(review.causes.names, review.causes.sums),
    ]
    for i, figure in enumerate(figures):
        figure.savefig(tmp_path / f"{i}.png")
        assert (tmp_path / f"{i}.png").stat().st_size > 5000


def test_nothing_of_the_gains_is_cut_off_however_long_a_segment_is_called(trained: TrainedModel) -> None:
    gains = [replace(each, segment=each.segment + " of people with a long name") for each in trained.review.segment_gains]
    figure = gain_plot(trained.review.gains, [each for each in gains if each.metric == "log_loss"])  # no AUC: of one outcome alone
    figure.draw_without_rendering()
    texts = [*figure.texts, *figure.axes[0].get_yticklabels()]
    assert "gain of the model, 95 %, paired by user (right: better)" in [text.get_text() for text in texts]
    extents = [text.get_window_extent() for text in texts]
    assert all(0 <= extent.x0 < extent.x1 <= figure.bbox.x1 and extent.y0 >= 0 for extent in extents)
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()  # a segment is the same row in both


def test_both_panels_of_weeks_of_joining_say_what_they_show(trained: TrainedModel) -> None:
    assert trained.calibration.correction is not None
    figure = cohort_plot(trained.calibration.correction)
    assert [axes.get_ylabel() for axes in figure.axes] == ["share that dropped out", "log-odds"]


@pytest.mark.parametrize("name", ["count_login_1d", "invited"])
def test_mlflow_knows_which_inputs_are_required(trained: TrainedModel, name: str) -> None:
    inputs = mlflow_signature(trained.content.signature).inputs.input_dict()
    assert inputs[name].required == (name == "count_login_1d")
