"""T, X and DR find planted effects of two treatments at unequal propensities."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.training.uplift.planted_experiment import planted
from training.uplift.columns import CovariateError
from training.uplift.learners import LEARNERS, Settings, cross_fitted_outcomes, doubly_robust_effects, folds_by_arm

NEW = planted(4000, seed=99)


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("binary", [False, True])
def test_effects_are_found(name: str, binary: bool) -> None:
    world = planted(12_000, seed=1, binary=binary)
    found = LEARNERS[name](world.experiment, Settings()).effects(NEW.experiment.covariates)
    assert found.shape == NEW.effects.shape
    for treatment in (0, 1):
        assert np.corrcoef(found[:, treatment], NEW.effects[:, treatment])[0, 1] > 0.85
        assert found[:, treatment].mean() == pytest.approx(NEW.effects[:, treatment].mean(), abs=0.05)


@pytest.mark.parametrize("name", LEARNERS)
def test_the_same_seed_gives_the_same_effects(name: str) -> None:
    world = planted(2000, seed=2).experiment
    first, second = (LEARNERS[name](world, Settings(seed=3)).effects(NEW.experiment.covariates) for _ in range(2))
    assert np.array_equal(first, second)


def test_the_pseudo_outcome_is_right_on_average_even_with_useless_models() -> None:
    world = planted(40_000, seed=4)
    useless = np.zeros((40_000, 3))
    scores = doubly_robust_effects(world.experiment, useless)
    error = scores.mean(axis=0) - world.effects.mean(axis=0)
    assert np.all(np.abs(error) < 4 * scores.std(axis=0) / np.sqrt(40_000))


def test_good_models_make_the_pseudo_outcome_less_noisy() -> None:
    world = planted(6000, seed=5)
    fitted = doubly_robust_effects(world.experiment, cross_fitted_outcomes(world.experiment))
    assert fitted.std() < doubly_robust_effects(world.experiment, np.zeros((6000, 3))).std()


def test_folds_hold_every_arm_in_proportion() -> None:
    arm = np.array([0] * 60 + [1] * 30)
    folds = folds_by_arm(arm, n_folds=3, seed=0)
    assert [np.bincount(arm[folds == fold]).tolist() for fold in range(3)] == [[20, 10]] * 3


def test_unseen_categories_and_missing_values_get_an_effect() -> None:
    learner = LEARNERS["DR"](planted(2000, seed=6).experiment, None)
    strange = NEW.experiment.covariates.head(3).assign(city=["Paris", None, "Rome"], x0=np.nan)
    assert np.isfinite(learner.effects(strange)).all()
    with pytest.raises(CovariateError, match=r"\['city'\] are missing"):
        learner.effects(strange.drop(columns="city"))
