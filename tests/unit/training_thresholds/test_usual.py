"""What is usual for each cohort goes with the thresholds: as numbers, by cohort, and as text that a program reads again."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
import yaml

from features.declarations.conditions import read_condition
from tests.unit.training_thresholds.test_signals import AT, frame, set_of, signal
from training.thresholds.alerts import solve_frame
from training.thresholds.signals import QUANTILES
from training.thresholds.solve import Contract, Thresholds
from training.thresholds.usual import baseline_metrics, baseline_rows, proposal, proposal_text, usual_of

VALUES = {"free": [2.0] * 200, "team": [5.0] * 195 + [500.0] * 5}


@pytest.fixture(scope="module")
def solved() -> Thresholds:
    """Of users who all stayed, and whose risks are spread evenly."""
    rows = frame(VALUES)
    return solve_frame(rows, np.linspace(0.0, 1.0, len(rows.rows)), Contract())


def test_each_cohort_has_a_row_of_numbers_that_an_average_alone_does_not_make() -> None:
    usual = usual_of(frame(VALUES), set_of(signal()))
    assert (usual.at, usual.missing_because, usual.title) == (AT, "", "usual within 28 days before 2026-03-01, by plan")
    free, team = baseline_rows(usual)
    assert (free["cohort"], free["users"], free["baseline"], free["limit"]) == ("free", 200, 2.0, 4.0)
    assert (team["cohort"], team["users"], team["baseline"], team["limit"]) == ("team", 200, 5.0, 10.0)
    assert (team["mean"], team["p50"]) == (pytest.approx(17.375), 5.0)
    assert [name for name in team if name.startswith("p")] == [f"p{share * 100:.0f}" for share in QUANTILES]
    assert all(isinstance(row[name], (int, float)) for row in (free, team) for name in ("users", "own_weight", "mean", "baseline", "limit"))


def test_baselines_move_with_the_history_of_the_cohort() -> None:
    asked = set_of(signal())
    before, after = (usual_of(frame({"free": [value] * 200}), asked).baselines[0] for value in (2.0, 3.0))
    assert (before.limit, after.limit) == (4.0, 6.0)
    prefix = "signal.failures.free"
    assert baseline_metrics([after]) == {f"{prefix}.usual": 3.0, f"{prefix}.limit": 6.0, f"{prefix}.users": 200.0}


def test_a_cohort_of_any_name_is_a_metric_that_mlflow_takes() -> None:
    found = usual_of(frame({"crème & co": [2.0] * 40}), set_of(signal())).baselines
    assert all(name.startswith("signal.failures.crème _ co.") for name in baseline_metrics(found))


def test_the_proposal_has_thresholds_and_baselines_and_reads_as_it_was_written(solved: Thresholds) -> None:
    usual = usual_of(frame(VALUES), set_of(signal(), signal(name="more", ratio=3.0)))
    read = yaml.safe_load(proposal_text(solved, usual))
    assert read == proposal(solved, usual)
    assert (read["risk_threshold"], read["segment_thresholds"]) == (solved.risk_threshold, dict(solved.segment_thresholds))
    found = read["baselines"]
    assert (found["by"], found["at"], found["window_s"]) == ("plan", AT.isoformat(), timedelta(days=28).total_seconds())
    assert {name: {cohort: one["limit"] for cohort, one in cohorts.items()} for name, cohorts in found["signals"].items()} == {
        "failures": {"free": 4.0, "team": 10.0},
        "more": {"free": 6.0, "team": 15.0},
    }
    condition = read_condition(found["signals"]["more"]["team"]["condition"])
    assert condition is not None
    assert condition.value == 15.0


def test_too_few_users_leave_the_thresholds_and_say_why_there_are_no_baselines(solved: Thresholds) -> None:
    usual = usual_of(frame({"free": [2.0] * 3}), set_of(signal()))
    assert usual.baselines == ()
    assert "3 users have count_login_failed_7d within 28 days, expected at least 30" in usual.missing_because
    assert proposal(solved, usual)["baselines"]["missing_because"] == usual.missing_because


def test_without_signals_the_proposal_is_the_thresholds_alone(solved: Thresholds) -> None:
    assert proposal(solved, None).keys() == {"risk_threshold", "segment_thresholds"}
