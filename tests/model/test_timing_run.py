"""A run of timing with a trial: recorded in MLflow, nested under the run that is active."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from features.core.product import Product
from features.home import Home
from tests.mlflow_store import working_in
from tests.unit.training import synthetic
from training.dataset import build_frame, features_join
from training.errors import TrainingError
from training.frame import AS_OF, OUTCOME, USER
from training.timing.fitted import TimingOptions
from training.timing.hazard_fit import HazardParameters
from training.timing.run import TimingRun, time_product

PRODUCT: Product = synthetic.product()
FEW = TimingOptions(hazard=HazardParameters(max_rounds=20, min_data_in_leaf=50), max_rows=800)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = synthetic.home_at(tmp_path_factory.mktemp("timing"))
    synthetic.fill(home, PRODUCT, n_users=300, n_days=60, seed=5)
    return home


@pytest.fixture(scope="module")
def trial(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Decisions whose delay changes nothing."""
    rows = build_frame(PRODUCT, home, join=features_join).rows.iloc[:1_500]
    rng = np.random.default_rng(1)
    sent = rng.random(len(rows)) < 0.7
    decisions = pd.DataFrame(
        {
            USER: rows[USER],
            AS_OF: rows[AS_OF],
            "action": np.where(sent, "silence", "none"),
            "delay_s": np.where(sent, rng.choice([0.0, 3600.0, 21_600.0], len(rows)), np.nan),
            OUTCOME: rows[OUTCOME],
        }
    )
    file = tmp_path_factory.mktemp("trial") / "trial.parquet"
    decisions.sample(frac=1.0, random_state=2).to_parquet(file)
    return file


@pytest.fixture(scope="module")
def outcome(home: Home, trial: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TimingRun]:
    folder = tmp_path_factory.mktemp("mlflow")
    with working_in(folder):
        mlflow.set_experiment("parents")
        with mlflow.start_run():
            yield time_product(PRODUCT, home, trial=trial, options=FEW, join=features_join)


def test_the_run_is_a_stage_of_the_active_one(outcome: TimingRun) -> None:
    run = mlflow.MlflowClient().get_run(outcome.run_id)
    assert {"stillhere.data_fingerprint", "stillhere.rows_fingerprint", "stillhere.feature_fingerprint"} <= set(run.data.tags)
    assert [each.dataset.name for each in run.inputs.dataset_inputs] == [f"{PRODUCT.name}-timing"]
    assert run.data.tags["mlflow.parentRunId"] == mlflow.active_run().info.run_id
    assert run.info.status == "FINISHED"


def test_it_has_figures_plots_table_and_the_part_itself(outcome: TimingRun) -> None:
    client = mlflow.MlflowClient()
    metrics = client.get_run(outcome.run_id).data.metrics
    assert metrics["timing.ibs"] == outcome.fitted.figures["ibs"]
    assert {"timing.ibs_kaplan_meier", "timing.ewma_log_likelihood", "timing.response_slope"} <= set(metrics)
    plots = {item.path for item in client.list_artifacts(outcome.run_id, "plots/timing")}
    assert plots == {f"plots/timing/{name}.png" for name in ("brier", "curves", "survival_calibration")}
    assert {item.path for item in client.list_artifacts(outcome.run_id, "timing")} == {"timing/figures.md", "timing/timing.json"}


def test_a_trial_without_an_effect_of_delay_shows_none(outcome: TimingRun) -> None:
    response = outcome.fitted.model.response
    assert response is not None
    assert response.delays_s == (0.0, 3600.0, 21_600.0)
    assert response.actions == ("none", "silence")
    assert not response.is_shown


@pytest.mark.usefixtures("outcome")
def test_a_trial_that_is_not_there_or_lacks_a_column_says_so(home: Home, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no such file"):
        time_product(PRODUCT, home, trial=tmp_path / "none.parquet", options=FEW, join=features_join)
    pd.DataFrame({USER: ["a"], "action": ["none"]}).to_parquet(file := tmp_path / "short.parquet")
    with pytest.raises(TrainingError, match="'as_of', 'delay_s', 'dropped_out'"):
        time_product(PRODUCT, home, trial=file, options=FEW, join=features_join)
