"""Timing that cannot be learned stops no training: the model goes on without, and says why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest

from features.home import Home
from tests.mlflow_store import working_in
from training.frame import AS_OF, OUTCOME, USER
from training.model_card import model_card
from training.pipeline import TrainedModel
from training.split import Slices
from training.timing.beside_risk import Zones, with_timing


@pytest.fixture(autouse=True)
def run(tmp_path: Path) -> Iterator[None]:
    """A run to log into, as training has."""
    with working_in(tmp_path):
        mlflow.set_experiment("beside risk")
        with mlflow.start_run():
            yield


def watched_nothing(trained: TrainedModel) -> TrainedModel:
    """The same model of a product whose label names no activity."""
    product = trained.slices.train.product
    product = replace(product, label=replace(product.label, activity=()))
    slices = {name: replace(frame, product=product) for name, frame in trained.slices.named().items()}
    return replace(trained, slices=Slices(**slices))


def test_a_product_whose_activity_is_not_declared_is_trained_without_timing(trained: TrainedModel, home: Home) -> None:
    without = with_timing(watched_nothing(trained), home, zones=Zones(), seed=0)
    assert without.timing is None
    assert without.content.timing is None
    assert "label.activity names no kind" in without.no_timing
    assert f"Not learned: {without.no_timing}" in model_card(without, {})


def test_a_trial_too_small_to_learn_from_leaves_out_the_response_alone(trained: TrainedModel, home: Home) -> None:
    rows = trained.slices.test.rows[[USER, AS_OF, OUTCOME]].iloc[:50]
    without = with_timing(trained, home, zones=Zones(), seed=0, trial=rows.assign(action="silence", delay_s=0.0))
    assert without.timing is not None
    assert without.content.timing is not None
    assert without.content.timing.response is None
    assert "50 rows with an action, expected at least 500" in without.no_response
    assert f"none learned, since {without.no_response}" in model_card(without, {})
