"""The planted gain of cause-matched messages is recovered from randomised decisions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from features.declarations.product_file import load_product
from training.planted import Effects
from training.trial import Trial, draw_trial
from training.uplift.matching import matching_gain, trial_evaluator, trial_log, true_matching_gain


@pytest.fixture(scope="module")
def trial(request) -> Trial:
    product = load_product(Path(request.config.rootpath / "products" / "onboarding"))
    return draw_trial(product, n_users=3000, seed=1, effects=Effects.plain())


@pytest.mark.parametrize("estimator", ["ips", "snips", "dr"])
def test_the_planted_gain_is_inside_the_interval(trial: Trial, estimator: str) -> None:
    gain = matching_gain(trial_evaluator(trial), trial.cause, estimator=estimator)
    truth = true_matching_gain(trial, trial.cause)
    assert truth > 0.05
    assert 0 < gain.low < truth < gain.high


def test_messages_that_match_nothing_gain_nothing(trial: Trial) -> None:
    wrong = np.random.default_rng(0).integers(1, len(trial.actions), size=len(trial.cause))
    gain = matching_gain(trial_evaluator(trial), wrong)
    assert gain.low < 0 < gain.high


def test_propensities_of_messages_sum_to_one(trial: Trial) -> None:
    log = trial_log(trial)
    per_action = [np.unique(log.propensity[log.action == action].round(9)) for action in range(log.n_actions)]
    assert all(len(values) == 1 for values in per_action)
    assert sum(values[0] for values in per_action) == pytest.approx(1.0)
