"""The planted gain of cause-matched messages is recovered from randomised decisions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from features.declarations.product_file import load_product
from tests.second_generator import second_trial
from training.ope.estimators import Evaluator
from training.planted import Effects
from training.trial import Trial, draw_trial
from training.uplift.matching import matching_gain, trial_evaluator, trial_log, true_matching_gain


@pytest.fixture(scope="module", params=["first world", "second world"])
def trial(request) -> Trial:
    if request.param == "second world":
        return second_trial(n_users=6000, seed=1, strength=2.0)
    product = load_product(Path(request.config.rootpath / "products" / "onboarding"))
    return draw_trial(product, n_users=3000, seed=1, effects=Effects.plain())


@pytest.mark.parametrize("estimator", ["ips", "snips", "dr"])
def test_the_planted_gain_is_inside_the_interval(trial: Trial, estimator: str) -> None:
    gain = matching_gain(trial_evaluator(trial), trial.cause, estimator=estimator)
    truth = true_matching_gain(trial, trial.cause)
    assert truth > 0.04
    assert 0 < gain.low < truth < gain.high


def test_messages_that_match_nothing_gain_nothing(trial: Trial) -> None:
    wrong = np.random.default_rng(0).integers(1, len(trial.actions), size=len(trial.cause))
    gain = matching_gain(trial_evaluator(trial), wrong)
    assert gain.low < 0 < gain.high


def test_weights_of_messages_average_to_one(trial: Trial) -> None:
    log = trial_log(trial)
    for action in range(log.n_actions):
        weights = Evaluator(log=log, n_draws=10).weights(np.eye(log.n_actions)[np.full(log.n_rows, action)])
        assert weights.mean == pytest.approx(1.0, abs=0.15)
