"""From a randomised experiment to a policy: found where effects are planted, not claimed where there are none."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import yaml

from tests.unit.training.uplift.planted_experiment import planted
from training.ope.estimators import Evaluator
from training.uplift.budget import Choice, at_budget, best_where_positive, contacted_share
from training.uplift.experiment import Experiment, ExperimentError
from training.uplift.record import read_table
from training.uplift.study import parts_of, study


@pytest.fixture(scope="module")
def studied():
    return study(planted(9000, seed=1, binary=True).experiment, n_draws=200)


def test_parts_hold_every_row_once_and_every_arm_in_proportion() -> None:
    arm = np.random.default_rng(0).choice(3, size=1000, p=(0.5, 0.3, 0.2))
    parts = parts_of(arm, seed=4)
    assert np.sort(np.concatenate(parts)).tolist() == list(range(1000))
    for rows, share in zip(parts, (0.5, 0.25, 0.25), strict=True):
        assert np.bincount(arm[rows]) == pytest.approx(share * np.bincount(arm), abs=1)


def test_planted_effects_are_chosen_and_better_than_one_arm_for_all(studied) -> None:
    assert studied.chosen.startswith("uplift")
    assert studied.gain.low > 0


def test_the_chosen_policy_is_worth_what_it_is_said_to_be(studied) -> None:
    fresh = planted(20_000, seed=77, binary=True)
    name = studied.chosen.removeprefix("uplift ")
    policy = best_where_positive(studied.learners[name].effects(fresh.experiment.covariates))
    truth = float((policy * fresh.means).sum(axis=1).mean())
    for estimate in studied.worth[0].estimates.values():
        assert estimate.interval.low < truth < estimate.interval.high


def test_at_equal_budget_uplift_beats_risk_and_random(studied) -> None:
    table = studied.budgets.set_index(["contacted", "ranking"])
    assert set(table.index.get_level_values("contacted")) == {round(0.1 * k, 1) for k in range(1, 11)}
    gain = table["gain over random low"]
    assert gain[0.3, "uplift-ranked DR"] > 0
    assert table["gain over nobody"][0.3, "uplift-ranked DR"] > table["gain over nobody"][0.3, "risk-ranked"]


def test_without_effects_nothing_is_claimed() -> None:
    world = planted(6000, seed=2, binary=True).experiment
    shuffled = np.random.default_rng(0).permutation(world.outcome)
    none = Experiment(covariates=world.covariates, arms=world.arms, arm=world.arm, outcome=shuffled, propensity=world.propensity)
    result = study(none, n_draws=100)
    assert result.gain.low <= 0
    assert all(ranking.qini.low < 0.02 for ranking in result.rankings.values())


def test_a_budget_is_met_exactly() -> None:
    choice = Choice(priority=np.array([3.0, 1.0, 1.0, 1.0]), arm=np.array([1, 2, 1, 1]))
    policy = at_budget(choice, 0.5, 3)
    assert policy[:, 0].tolist() == pytest.approx([0, 2 / 3, 2 / 3, 2 / 3])
    assert (1 - policy[:, 0]).mean() == pytest.approx(0.5)
    assert contacted_share(np.arange(5.0), 1.0).tolist() == [1.0] * 5


def test_nobody_gets_what_is_expected_to_hurt() -> None:
    assert best_where_positive(np.array([[-0.1, -0.2], [0.0, 0.1]])).argmax(axis=1).tolist() == [0, 2]


def test_the_command_leaves_a_run_with_tables_and_plots(tmp_path, request) -> None:
    import mlflow

    store = f"sqlite:///{tmp_path}/mlflow.db"
    world = planted(1500, seed=3, binary=True).experiment
    frame = world.covariates.assign(sent=np.take(world.arms, world.arm), p=world.propensity, stayed=world.outcome)
    frame.to_parquet(tmp_path / "trial.parquet")

    def uplift(control: str) -> subprocess.CompletedProcess[str]:
        roles = ["--outcome", "stayed", "--arm", "sent", "--control", control, "--propensity", "p", "--draws", "20"]
        environment = {**os.environ, "PYTHONPATH": str(request.config.rootpath), "MLFLOW_TRACKING_URI": store}
        command = [sys.executable, "-m", "training", "uplift", "trial.parquet", *roles]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    done, refused = uplift("none"), uplift("letter")
    assert done.returncode == 0, done.stderr
    assert "Chosen on valid" in done.stdout
    assert refused.returncode == 1
    assert "no row has the control 'letter'" in refused.stderr
    client = mlflow.MlflowClient(tracking_uri=store, registry_uri=store)
    runs = client.search_runs([client.get_experiment_by_name("stillhere-uplift").experiment_id])
    assert sorted(run.info.status for run in runs) == ["FAILED", "FINISHED"]
    (found,) = [run for run in runs if run.info.status == "FINISHED"]
    logged = {each.path for folder in ("plots", "tables") for each in client.list_artifacts(found.info.run_id, folder)}
    assert {"plots/qini.png", "plots/equal_budget.png", "tables/policy_value.json", "tables/equal_budget.json"} <= logged
    assert "qini.DR.mail" in found.data.metrics
    assert (found.data.tags["mlflow.runName"], found.data.tags["stillhere.kind"]) == ("uplift trial.parquet", "uplift")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "is not a file"),
        ("empty.csv", b"a,b\n", "has no rows"),
        ("blank.csv", b"", "cannot be read"),
        ("t.parquet", b"no", "cannot be read"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, name, content, message) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ExperimentError, match=message):
        read_table(tmp_path / name)


def test_mlproject_and_the_command_line_agree(request) -> None:
    from training.commands.app import app

    entry = yaml.safe_load((request.config.rootpath / "MLproject").read_text())["entry_points"]["uplift"]
    values = {
        "file": "t.csv", "outcome": "y", "arm": "a", "control": "none", "propensity": "p", "covariates": "x,z", "seed": 1, "draws": 9
    }  # fmt: skip
    assert set(values) == set(entry["parameters"])
    _, bound, _ = app.parse_args(entry["command"].format(**values).split()[3:])
    assert {name: str(value) for name, value in bound.arguments.items()} == {name: str(value) for name, value in values.items()}


def test_the_log_of_an_experiment_uses_its_propensities() -> None:
    world = planted(300, seed=5).experiment
    assert Evaluator(log=world.log()).weights(np.tile([1.0, 0, 0], (300, 1))).largest == pytest.approx(2.0)
