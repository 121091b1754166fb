"""Whatever is grown with LightGBM is grown repeatably: the same trees from the same rows and seed, others from another seed."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest

from training.additive import _options
from training.fit import FitParameters
from training.ope.trees import TreeParameters
from training.repeatable import repeatable
from training.timing.hazard_fit import HazardParameters
from training.timing.response_fit import ResponseParameters

N_ROWS = 400

FITS = {
    "risk": lambda seed: FitParameters().for_lightgbm(seed=seed, monotone=[0, 0, 0, 0]),
    "additive": lambda seed: _options(N_ROWS, [0, 0, 0, 0], seed),
    "policy values": lambda seed: TreeParameters(min_data_in_leaf=20).for_lightgbm(binary=False, seed=seed),
    "hazard": lambda seed: HazardParameters(min_data_in_leaf=20).for_lightgbm(seed=seed),
    "response": lambda seed: ResponseParameters().options(seed=seed, n_rows=N_ROWS, objective="regression"),
}


def grown(parameters):
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(N_ROWS, 4))
    target = (rows[:, 0] + rng.normal(size=N_ROWS) > 0).astype(float)
    model = lightgbm.train(parameters, lightgbm.Dataset(rows, label=target), num_boost_round=15)
    return model.model_to_string(), model.predict(rows).tolist()


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS.keys())
def test_every_fit_is_grown_with_the_same_parameters_of_repetition_and_one_thread(fit):
    assert repeatable(seed=7, num_threads=1).items() <= fit(7).items()


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS.keys())
def test_the_same_seed_gives_the_same_model_and_another_seed_another(fit):
    first, again, other = grown(fit(7)), grown(fit(7)), grown(fit(8))
    assert first == again
    assert first[1] != other[1]
