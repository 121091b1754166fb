"""The e-mail trial of 2008, where its data is there: 64,000 customers, two e-mails and none at one third each."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from training.ope.estimators import Evaluator
from training.uplift.budget import always
from training.uplift.experiment import Experiment, experiment_of
from training.uplift.qini import measure_ranking

ROOT = Path(__file__).resolve().parents[4]
FILE = Path(os.environ.get("STILLHERE_DATA", ROOT.parent / "shared" / "data")) / "hillstrom" / "hillstrom.csv.gz"


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    if not FILE.is_file():
        pytest.skip(f"no {FILE}; set STILLHERE_DATA to the folder that holds hillstrom")
    frame = pd.read_csv(FILE).assign(p=1 / 3)
    roles = {"outcome": "visit", "arm": "segment", "control": "No E-Mail", "propensity": "p"}
    return experiment_of(frame, **roles, covariates=["recency", "history", "mens", "womens", "zip_code", "newbie", "channel"])


def test_policies_of_one_arm_are_worth_the_published_rates(experiment: Experiment) -> None:
    evaluator = Evaluator(log=experiment.log(), n_draws=50)
    rates = {"No E-Mail": 0.1062, "Mens E-Mail": 0.1828, "Womens E-Mail": 0.1514}
    for code, arm in enumerate(experiment.arms):
        assert evaluator.snips(always(experiment.n_rows, code, 3)).value == pytest.approx(rates[arm], abs=5e-5)


def test_those_who_bought_for_women_are_moved_by_the_mail_for_women(experiment: Experiment) -> None:
    """Known of this trial, and no choice of ours: one column ranks better than chance."""
    bought = experiment.covariates["womens"].to_numpy(dtype=np.float64)
    ranking = measure_ranking(bought, experiment, "Womens E-Mail", n_draws=50)
    assert ranking.qini.low > 0
    assert 0 < ranking.normalised.value < 1
