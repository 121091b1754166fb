"""The fit is repeatable, keeps declared directions, and stays cheap to explain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from features.core.catalogue import Catalogue, Direction
from models.risk import RiskModel
from training.fit import FitParameters, fit, monotone_constraints
from training.frame import TrainingFrame, learn_signature
from training.pipeline import TrainedModel, encode


def test_the_same_seed_gives_the_same_model(trained: TrainedModel) -> None:
    slices, signature = trained.slices, trained.content.signature
    again = fit(slices.train, slices.stop, signature, parameters=trained.parameters, seed=3)
    other = fit(slices.train, slices.stop, signature, parameters=trained.parameters, seed=4)
    assert again.model_text == trained.fitted.model_text
    assert other.model_text != trained.fitted.model_text


def test_trees_stay_within_the_budget_of_an_explanation(trained: TrainedModel) -> None:
    parameters = trained.parameters
    assert trained.fitted.rounds <= parameters.max_rounds
    assert parameters.max_rounds * parameters.num_leaves * parameters.max_depth**2 <= 120_000
    assert max(int(line.split("=")[1]) for line in trained.fitted.model_text.splitlines() if line.startswith("num_leaves=")) <= 15


def test_progress_is_told_round_by_round(trained: TrainedModel) -> None:
    heard: list[tuple[int, int]] = []
    parameters = FitParameters(max_rounds=5)
    slices, signature = trained.slices, trained.content.signature
    fit(slices.train, slices.stop, signature, parameters=parameters, seed=0, progress=lambda done, of: heard.append((done, of)))
    assert heard == [(done, 5) for done in range(1, 6)]


def test_a_declared_direction_is_kept(frame: TrainingFrame, trained: TrainedModel) -> None:
    catalogue = frame.product.catalogue
    name = "count_click_14d"
    position = catalogue.feature_names.index(name)
    falling = [replace(f, direction=Direction.DOWN) if f.name == name else f for f in catalogue.features]
    product = replace(frame.product, catalogue=Catalogue(kinds=catalogue.kinds, features=tuple(falling)))
    train, stop = (replace(part, product=product) for part in (trained.slices.train, trained.slices.stop))
    signature = learn_signature(train)
    assert monotone_constraints(product.catalogue, signature)[position] == -1
    fitted = fit(train, stop, signature, parameters=FitParameters(), seed=0)
    model = RiskModel(fitted.model_text, len(signature.input_names))
    rows = np.repeat(encode(trained.slices.test, signature)[:20], 8, axis=0)
    rows[:, position] = np.tile(np.arange(8.0) * 5, 20)
    scores = model.raw_scores(rows).reshape(20, 8)
    assert (np.diff(scores, axis=1) <= 1e-12).all()
