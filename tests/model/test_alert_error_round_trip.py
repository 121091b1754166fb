"""From a champion in MLflow and receipts on disk to thresholds, an alarm, a reason to train again and a walk forward, all recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mlflow
import pytest
import yaml

from features.core.product import Segment
from features.home import Home
from tests.mlflow_store import working_in
from tests.unit.training import synthetic
from tests.unit.training_thresholds.receipts import export, receipt
from training.backtest import BacktestOptions, backtest_product
from training.commands.app import run
from training.dataset import build_frame
from training.drift.compare import Tolerance
from training.drift.run import RETRAIN, DriftOptions, drift_product
from training.drift.trigger import Why
from training.errors import StaleLogError
from training.fit import FitParameters
from training.frame import AS_OF, USER, TrainingFrame
from training.freshness import Look
from training.run import Options, train_product
from training.side_by_side import Asked, evaluate_model
from training.thresholds.champion import load_champion, unseen
from training.thresholds.errors import ForeignReceiptsError, NoChampionError
from training.thresholds.run import ALARM, Scope, monitor_product, solve_product
from training.thresholds.signals import AlertWhen, Signal, SignalSet, Worse
from training.thresholds.signals_run import signals_product
from training.thresholds.solve import Contract
from training.timing.run import time_product
from training.tune import Search
from training.tuning_run import tune_product

NOW = synthetic.BEGIN + timedelta(days=61)
LOOK = Look(now=NOW)
PRODUCT = replace(synthetic.product(), segments=(Segment(name="invited", where={"invited": True}), Segment(name="others")))


@dataclass(frozen=True)
class Place:
    """Where the tests of this module train and register."""

    home: Home
    frame: TrainingFrame  # rows that the champion has not seen


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("alert_error")
    with working_in(folder):
        home = synthetic.home_at(folder)
        synthetic.fill(home, PRODUCT, n_users=400, n_days=60, seed=5)
        train_product(PRODUCT, home, seed=1, options=Options(fit=FitParameters(max_rounds=40)))
        yield Place(home=home, frame=unseen(build_frame(PRODUCT, home), load_champion(PRODUCT)))


def assert_says_what_it_was_made_from(run_id: str, *data_sets: str) -> None:
    """Fingerprints of features and log, and the rows as data sets."""
    recorded = mlflow.MlflowClient().get_run(run_id)
    assert recorded.data.tags["stillhere.feature_fingerprint"] == PRODUCT.catalogue.fingerprint
    assert len(recorded.data.tags["stillhere.data_fingerprint"]) == 64
    assert {each.dataset.name for each in recorded.inputs.dataset_inputs} == set(data_sets)
    assert all(each.dataset.digest for each in recorded.inputs.dataset_inputs)


def decide(place: Place, *, threshold: float, features: str = PRODUCT.catalogue.fingerprint) -> None:
    """Leave receipts of the champion's decisions about the rows that it has not seen."""
    frame, champion = place.frame, load_champion(PRODUCT)
    risk = champion.bundle.risk(frame.vectors, frame.profiles())
    numbers = [dict(zip(PRODUCT.catalogue.feature_names, row, strict=True)) for row in frame.vectors.tolist()]
    told = zip(frame.rows[USER], frame.rows[AS_OF], risk.tolist(), numbers, strict=True)
    usual = {"features": features, "threshold": threshold, "segment": "others"}
    rows = [receipt(user, at.to_pydatetime(), risk=each, numbers=vector, **usual) for user, at, each, vector in told]
    export(place.home.receipts_dir(PRODUCT.name), rows)


def test_thresholds_are_solved_on_rows_that_the_champion_has_not_seen_and_recorded(place: Place) -> None:
    ran = solve_product(PRODUCT, place.home, LOOK, Scope(contract=Contract(bound=0.3)))
    recorded = mlflow.MlflowClient().get_run(ran.run_id)
    assert recorded.info.status == "FINISHED"
    assert recorded.data.metrics["whole.threshold"] == ran.thresholds.risk_threshold
    assert {"whole.of_stayers_low", "whole.of_alerts_high", "applied.recall", "applied.alerted"} <= set(recorded.data.metrics)
    assert {each.path for each in mlflow.MlflowClient().list_artifacts(ran.run_id)} == {
        *("thresholds.md", "thresholds.json", "proposal.yaml"),
    }
    assert_says_what_it_was_made_from(ran.run_id, "tiny-thresholds")
    assert set(ran.thresholds.segment_thresholds) == {"invited", "others"}
    assert ran.policy_hash is None
    assert ran.champion.unseen_from <= place.frame.rows[AS_OF].min()


def test_a_product_without_champion_and_a_stale_log_are_failed_runs_with_the_reason(place: Place) -> None:
    with pytest.raises(StaleLogError):
        solve_product(PRODUCT, place.home, Look(now=NOW + timedelta(days=90)))
    experiment = mlflow.get_experiment_by_name("stillhere-tiny")
    assert experiment is not None
    newest = mlflow.MlflowClient().search_runs([experiment.experiment_id], max_results=1)[0]
    assert newest.info.status == "FAILED"
    assert "days" in newest.data.tags["stillhere.stopped_because"]
    other = replace(PRODUCT, name="other")
    synthetic.fill(place.home, other, n_users=20, n_days=20, seed=1)
    with pytest.raises(NoChampionError, match="train one first"):
        solve_product(other, place.home, Look(now=synthetic.BEGIN + timedelta(days=25)))


def test_whatever_learns_from_the_log_refuses_one_that_ended_long_ago(place: Place) -> None:
    late = Look(now=NOW + timedelta(days=90))
    said: list[str] = []
    for begin in (
        lambda: train_product(PRODUCT, place.home, options=Options(look=late)),
        lambda: tune_product(PRODUCT, place.home, Search(n_trials=1), look=late),
        lambda: evaluate_model(PRODUCT, place.home, Asked(look=late)),
        lambda: backtest_product(PRODUCT, place.home, look=late),
        lambda: time_product(PRODUCT, place.home, look=late),
    ):
        with pytest.raises(StaleLogError) as refused:
            begin()
        said.append(str(refused.value))
    assert len(said) == 5
    assert all("ends at 2026" in each and "expected at most 30 days" in each for each in said)
    assert load_champion(PRODUCT).version == "1"  # and nothing was registered


def test_a_threshold_far_too_low_raises_the_alarm_which_is_a_reason_to_train_again(place: Place) -> None:
    decide(place, threshold=0.05)
    ran = monitor_product(PRODUCT, place.home, LOOK, Contract())
    assert ran.monitored.alarms[0].startswith("everybody: ")
    assert mlflow.MlflowClient().get_run(ran.run_id).data.tags[ALARM] == "; ".join(ran.monitored.alarms)
    assert_says_what_it_was_made_from(ran.run_id, "tiny-receipts")
    mlflow.MlflowClient().set_terminated(ran.run_id, "FAILED")  # as `mlflow run` does where a command ends with 3
    options = DriftOptions(tolerance=Tolerance(least_users=20), retrain_every=None)
    drifted = drift_product(PRODUCT, place.home, LOOK, options)
    assert Why.ALARM in {each.why for each in drifted.reasons}
    assert_says_what_it_was_made_from(drifted.run_id, "tiny-drift", "tiny-receipts")
    assert "alarm" in mlflow.MlflowClient().get_run(drifted.run_id).data.tags[RETRAIN]
    assert {"drift.md", "drift.json", "plots"} == {each.path for each in mlflow.MlflowClient().list_artifacts(drifted.run_id)}
    assert any(each.column == "(dropped out)" for each in drifted.drift.columns)


def test_a_high_threshold_raises_none_and_a_young_model_without_drift_stays(place: Place) -> None:
    decide(place, threshold=0.97)
    assert monitor_product(PRODUCT, place.home, LOOK, Contract()).monitored.alarms == ()
    options = DriftOptions(tolerance=Tolerance(least_users=20, psi_from=5.0), retrain_every=timedelta(days=10))
    ran = drift_product(PRODUCT, place.home, Look(now=datetime.now(UTC), stale_after=None), options)
    assert [each.sentence for each in ran.reasons] == []


MANY_LOGINS = Signal(
    name="many logins",
    feature="count_login_7d",
    unit="count",
    worse=Worse.ABOVE,
    severity="low",
    quantile=0.5,
    absolute=1.0,
    ratio=1.5,
    alert_when=AlertWhen.BOTH,
)


def test_thresholds_come_with_what_is_usual_for_each_cohort_that_day(place: Place) -> None:
    asked = SignalSet(by="segment", window=timedelta(days=60), least_users=10, signals=(MANY_LOGINS,))
    ran = solve_product(PRODUCT, place.home, LOOK, Scope(contract=Contract(bound=0.3), signals=asked))
    of_signals = signals_product(PRODUCT, place.home, LOOK, asked)
    assert ran.usual is not None
    assert ran.usual.baselines == of_signals.baselines
    recorded = mlflow.MlflowClient().get_run(ran.run_id)
    assert recorded.data.metrics["signal.many logins.others.limit"] == ran.usual.baselines[-1].limit
    written = yaml.safe_load(mlflow.artifacts.load_text(f"runs:/{ran.run_id}/proposal.yaml"))
    assert written["risk_threshold"] == ran.thresholds.risk_threshold
    assert written["baselines"]["signals"]["many logins"]["others"]["limit"] == ran.usual.baselines[-1].limit
    table = mlflow.load_table("baselines.json", run_ids=[ran.run_id])
    assert table[["signal", "cohort", "limit"]].values.tolist() == [
        [each.signal.name, each.cohort, each.limit] for each in ran.usual.baselines
    ]


def test_signals_are_a_run_with_their_limits_and_errors(place: Place) -> None:
    asked = SignalSet(by="segment", window=timedelta(days=60), least_users=10, signals=(MANY_LOGINS,))
    ran = signals_product(PRODUCT, place.home, LOOK, asked)
    assert_says_what_it_was_made_from(ran.run_id, "tiny-signals")
    recorded = mlflow.MlflowClient().get_run(ran.run_id)
    assert recorded.data.tags["stillhere.kind"] == "signals"
    assert recorded.data.metrics["signal.many logins.others.limit"] == ran.baselines[-1].limit
    assert recorded.data.metrics["signal.many logins.alerted"] == ran.errors["many logins"].alerted.value
    assert {"signals.json", "signal_errors.json", "signals.md"} == {each.path for each in mlflow.MlflowClient().list_artifacts(ran.run_id)}
    assert ran.conditions == ['low: "count_login_7d > 5.25"  # others: ']  # nobody is invited
    with pytest.raises(StaleLogError):
        signals_product(PRODUCT, place.home, Look(now=NOW + timedelta(days=90)), asked)


def test_receipts_of_other_features_are_refused(place: Place) -> None:
    decide(place, threshold=0.5, features="fedcba9876543210")
    with pytest.raises(ForeignReceiptsError, match="fedcba9876543210"):
        monitor_product(PRODUCT, place.home, LOOK, Contract())
    with pytest.raises(ForeignReceiptsError):
        drift_product(PRODUCT, place.home, LOOK)


def test_a_backtest_is_one_run_with_a_nested_one_a_step(place: Place) -> None:
    steps, run_id = backtest_product(PRODUCT, place.home, BacktestOptions(steps=2, parameters=FitParameters(max_rounds=10)))
    client = mlflow.MlflowClient()
    assert_says_what_it_was_made_from(run_id, "tiny-backtest")
    experiment_id = client.get_run(run_id).info.experiment_id
    nested = client.search_runs([experiment_id], filter_string=f"tags.`mlflow.parentRunId` = '{run_id}'")
    assert len(nested) == len(steps) == 2
    assert all({"model.auc", "logistic.auc", "recency_alone.auc"} <= set(each.data.metrics) for each in nested)
    assert {each.path for each in client.list_artifacts(run_id)} == {"backtest.json", "plots"}


@pytest.mark.parametrize("command", ["thresholds", "monitor", "drift", "backtest"])
@pytest.mark.usefixtures("place")
def test_a_command_without_data_ends_with_one_sentence(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    product = Path(__file__).resolve().parents[2] / "products" / "onboarding"
    assert run([command, "--product", str(product), "--home", str(tmp_path)]) == 1
    assert "stopped:" in capsys.readouterr().err
