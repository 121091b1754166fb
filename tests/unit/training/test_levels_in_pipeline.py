"""A product that declares cohorts has their levels measured on rows that no tree has seen, and served."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.core.product import Attribute, AttributeType, Product
from models.bundle import load_bundle, write_bundle
from tests.unit.training import synthetic
from training.calibrate import log_losses
from training.dataset import build_frame, features_join
from training.frame import OUTCOME, USER, TrainingFrame
from training.model_card import model_card
from training.pipeline import TrainedModel, calibration_metrics, train_model
from training.record import mlflow_signature
from training.review import MODEL, bundle_scored

INTAKE = Attribute(name="intake", type=AttributeType.CATEGORY, model=False, cohort=True)
INTAKES = 8


@pytest.fixture(scope="module")
def planted(product: Product, tmp_path_factory: pytest.TempPathFactory) -> TrainingFrame:
    """Rows of 120 days in eight intakes; in every other one, about half of the users drop out in every row.

    The calibration slice must be longer than the horizon: no outcome of it would be mature on any of its days.
    """
    home = synthetic.home_at(tmp_path_factory.mktemp("intakes"))
    synthetic.fill(home, product, n_users=200, n_days=120, seed=5)
    frame = build_frame(product, home, join=features_join)
    users = np.unique(frame.rows[USER], return_inverse=True)[1]
    lost = (users % 2 == 1) & (np.random.default_rng(0).random(len(users)) < 0.5)
    rows = frame.rows.assign(intake=[f"i{user % INTAKES}" for user in users], **{OUTCOME: frame.outcomes | lost})
    return replace(frame, rows=rows, product=replace(frame.product, profile=(*frame.product.profile, INTAKE)))


@pytest.fixture(scope="module")
def levelled(planted: TrainingFrame) -> TrainedModel:
    """A model of those rows."""
    return train_model(planted, seed=3)


def test_planted_levels_are_found(levelled: TrainedModel) -> None:
    levels = levelled.content.levels
    assert levels is not None
    assert levels.attribute == "intake"
    assert min(levels.shifts[f"i{i}"] for i in (1, 3, 5, 7)) > 0 > max(levels.shifts[f"i{i}"] for i in (0, 2, 4, 6))
    metrics = calibration_metrics(levelled.calibration)
    assert metrics["levels.own_log_loss"] < metrics["levels.none_log_loss"]


def test_the_cohort_is_no_input_of_the_model(levelled: TrainedModel) -> None:
    assert "intake" not in levelled.content.signature.input_names


def test_what_is_measured_is_at_the_level_of_the_cohort_and_better_for_it(levelled: TrainedModel) -> None:
    test = levelled.slices.test
    measured = levelled.review.evaluations[MODEL].probabilities
    odd = test.rows["intake"].isin(["i1", "i3", "i5", "i7"]).to_numpy()
    assert measured[odd].mean() == pytest.approx(test.outcomes[odd].mean(), abs=0.08)
    assert measured[~odd].mean() == pytest.approx(test.outcomes[~odd].mean(), abs=0.08)


def test_the_bundle_serves_each_cohort_at_its_level(levelled: TrainedModel, tmp_path: Path) -> None:
    bundle = load_bundle(write_bundle(tmp_path / "with", levelled.content))
    without = load_bundle(write_bundle(tmp_path / "without", replace(levelled.content, levels=None)))
    test = levelled.slices.test
    assert bundle.levels == levelled.content.levels
    np.testing.assert_allclose(
        bundle.risk(test.vectors, test.profiles()), levelled.review.evaluations[MODEL].probabilities, rtol=0, atol=1e-12
    )
    loss, plain = (log_losses(bundle_scored(each, test).probabilities, test.outcomes).mean() for each in (bundle, without))
    assert loss < plain
    vector = test.vectors[:1]
    assert bundle.risk(vector, [{"intake": "unheard of"}]) == without.risk(vector, [{}])
    assert bundle.risk(vector, [{"intake": "i1"}]) > without.risk(vector, [{}])


def test_the_card_and_the_logged_signature_know_of_the_levels(levelled: TrainedModel) -> None:
    card = model_card(levelled, {"seed": "3"})
    assert "By `intake`, each by its own mature outcomes" in card
    assert "Applied, in log-odds: i0 -" in card
    inputs = mlflow_signature(levelled.content.signature, levelled.content.levels).inputs.input_dict()
    assert not inputs["intake"].required


def test_a_card_says_that_levels_were_not_better(levelled: TrainedModel) -> None:
    assert "Not applied" in model_card(replace(levelled, content=replace(levelled.content, levels=None)), {"seed": "3"})


def test_without_cohorts_nothing_is_looked_at(trained: TrainedModel) -> None:
    assert trained.content.levels is None
    assert trained.calibration.levels is None
