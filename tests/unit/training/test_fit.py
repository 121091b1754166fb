"""The fit is repeatable, keeps declared directions, and stays cheap to explain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.core.catalogue import Catalogue, Direction
from models.calibration import sigmoid
from models.risk import RiskModel
from training.errors import BadInputError
from training.fit import EXPLANATION_BUDGET, FitParameters, fit, grow, monotone_constraints
from training.frame import TrainingFrame, learn_signature
from training.pipeline import TrainedModel, encode
from training.trees import count


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
    assert monotone_constraints(product, signature)[position] == -1
    fitted = fit(train, stop, signature, parameters=FitParameters(), seed=0)
    model = RiskModel(fitted.model_text, len(signature.input_names))
    rows = np.repeat(encode(trained.slices.test, signature)[:20], 8, axis=0)
    rows[:, position] = np.tile(np.arange(8.0) * 5, 20)
    scores = model.raw_scores(rows).reshape(20, 8)
    assert (np.diff(scores, axis=1) <= 1e-12).all()


def test_an_attribute_keeps_its_direction_too(frame: TrainingFrame) -> None:
    profile = tuple(replace(a, direction=Direction.DOWN) if a.name == "invited" else a for a in frame.product.profile)
    signature = learn_signature(frame)
    constraints = dict(zip(signature.input_names, monotone_constraints(replace(frame.product, profile=profile), signature), strict=True))
    assert constraints["invited"] == -1
    assert constraints["plan"] == 0


def test_averaged_seeds_are_the_mean_of_their_models(trained: TrainedModel) -> None:
    slices, signature = trained.slices, trained.content.signature
    two = grow([slices.train], signature, parameters=FitParameters(n_seeds=2), seed=1, rounds=6)
    one = grow([slices.train], signature, parameters=FitParameters(), seed=1, rounds=6)
    rows = encode(slices.test, signature)
    n_inputs = len(signature.input_names)
    mean, first = RiskModel(two, n_inputs).raw_scores(rows), RiskModel(one, n_inputs).raw_scores(rows)
    second = 2 * mean - first
    assert count(two) == 12
    assert not np.allclose(first, second)
    assert np.corrcoef(first, second)[0, 1] > 0.9


@pytest.mark.parametrize("weight", [None, 8.0])
def test_weighted_outcomes_leave_the_level_where_it_was(trained: TrainedModel, weight: float | None) -> None:
    """All else equal, weights of 8 would add ln 8 = 2.1 to every log-odds."""
    slices, signature = trained.slices, trained.content.signature
    train = slices.train
    rare = train.at(np.flatnonzero(~train.outcomes | (np.arange(len(train.rows)) % 6 == 0)))
    fitted = fit(rare, slices.stop, signature, parameters=FitParameters(positive_weight=weight, max_rounds=40), seed=0)
    risk = sigmoid(RiskModel(fitted.model_text, len(signature.input_names)).raw_scores(encode(slices.fitted, signature)))
    plain = fit(rare, slices.stop, signature, parameters=FitParameters(max_rounds=40), seed=0)
    plain_risk = sigmoid(RiskModel(plain.model_text, len(signature.input_names)).raw_scores(encode(slices.fitted, signature)))
    assert risk.mean() == pytest.approx(plain_risk.mean(), rel=0.5)


def test_an_infinite_number_is_refused_by_name(trained: TrainedModel) -> None:
    slices = trained.slices
    broken = replace(slices.train, rows=slices.train.rows.assign(count_click_7d=np.inf))
    with pytest.raises(BadInputError, match=f"input count_click_7d is infinite in {len(broken.rows)} of"):
        fit(broken, slices.stop, trained.content.signature, parameters=FitParameters(), seed=0)


def test_the_default_keeps_to_the_budget_of_an_explanation() -> None:
    assert FitParameters().explanation_cost <= EXPLANATION_BUDGET
