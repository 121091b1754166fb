"""What is usual comes from the cohort's own history; limits, units and conditions are what the file says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.core.product import Product
from features.declarations.conditions import read_condition
from features.declarations.yaml_file import DeclarationError
from tests.unit.training import synthetic
from training.frame import AS_OF, OUTCOME, USER, TrainingFrame
from training.thresholds.errors import TooFewRowsError
from training.thresholds.signals import AlertWhen, Baseline, Signal, SignalSet, Worse, alerts, baselines, limit_of
from training.thresholds.signals_file import load_signals

AT = datetime(2026, 3, 1, tzinfo=UTC)
FAILURES = "count_login_failed_7d"


def signal(**changes: object) -> Signal:
    usual = {"name": "failures", "feature": FAILURES, "unit": "count", "worse": Worse.ABOVE, "severity": "high", "quantile": 0.5}
    return Signal(**(usual | {"absolute": 3.0, "ratio": 2.0, "alert_when": AlertWhen.BOTH} | changes))  # type: ignore[arg-type]


def set_of(*signals: Signal) -> SignalSet:
    return SignalSet(by="plan", window=timedelta(days=28), least_users=30, signals=signals)


def frame(values: dict[str, list[float]], *, as_of: datetime = AT) -> TrainingFrame:
    """One row of each user, by plan."""
    rows = [(f"{plan}{i}", as_of, False, value, plan) for plan, mine in values.items() for i, value in enumerate(mine)]
    table = pd.DataFrame(rows, columns=[USER, AS_OF, OUTCOME, FAILURES, "plan"])
    return TrainingFrame(product=synthetic.product(), rows=table, horizon=timedelta(days=5))


def test_each_cohort_has_its_own_usual_and_a_few_heavy_users_do_not_move_it() -> None:
    values = {"free": [2.0] * 200, "team": [5.0] * 195 + [500.0] * 5}
    free, team = baselines(frame(values), set_of(signal()), at=AT)
    assert (free.cohort, free.baseline, free.limit) == ("free", 2.0, 4.0)
    assert (team.baseline, team.limit) == (5.0, 10.0)
    assert team.mean > 17  # which says nothing of the usual user
    assert team.quantiles == (5.0, 5.0, 5.0, 5.0, 5.0)


def test_a_small_cohort_is_taken_for_usual_until_there_is_more_of_it() -> None:
    values = {"free": [2.0] * 200, "new": [9.0] * 4}
    _, new = baselines(frame(values), set_of(signal()), at=AT)
    assert new.own_weight == pytest.approx(4 / 34)
    assert new.baseline == 2.0


def test_history_outside_the_window_does_not_count() -> None:
    old = frame({"free": [50.0] * 100}, as_of=AT - timedelta(days=29)).rows.assign(**{USER: [f"old{i}" for i in range(100)]})
    now = frame({"free": [2.0] * 100})
    both = TrainingFrame(product=now.product, rows=pd.concat([old, now.rows], ignore_index=True), horizon=now.horizon)
    assert baselines(both, set_of(signal()), at=AT)[0].baseline == 2.0
    later = baselines(both, set_of(signal()), at=AT - timedelta(days=29))[0]
    assert later.baseline == 50.0


def test_a_user_with_many_rows_counts_once() -> None:
    busy = frame({"busy": [90.0]}).rows.assign(plan="free")
    rows = pd.concat([frame({"free": [2.0] * 60}).rows, *[busy] * 500], ignore_index=True)
    many = TrainingFrame(product=synthetic.product(), rows=rows, horizon=timedelta(days=5))
    assert baselines(many, set_of(signal()), at=AT)[0].users == 61


@pytest.mark.parametrize(
    ("worse", "alert_when", "expected"),
    [
        (Worse.ABOVE, AlertWhen.BOTH, 10.0),
        (Worse.ABOVE, AlertWhen.EITHER, 3.0),
        (Worse.BELOW, AlertWhen.BOTH, 3.0),
        (Worse.BELOW, AlertWhen.EITHER, 10.0),
    ],
)
def test_absolute_and_ratio_are_joined_as_stated(worse: Worse, alert_when: AlertWhen, expected: float) -> None:
    assert limit_of(signal(worse=worse, alert_when=alert_when), 5.0) == expected


def test_the_baseline_has_a_floor() -> None:
    found = baselines(frame({"free": [0.0] * 100}), set_of(signal(baseline_floor=4.0)), at=AT)
    assert (found[0].baseline, found[0].limit) == (4.0, 8.0)


def test_what_is_undefined_is_no_alert_and_the_limit_is_as_the_rows_say() -> None:
    found = baselines(frame({"free": [2.0] * 50 + [5.0, 4.0, np.nan]}), set_of(signal()), at=AT)
    fired = alerts(frame({"free": [5.0, 4.0, np.nan]}), found, "plan")["failures"]
    assert fired.tolist() == [True, False, False]
    below = Baseline(signal=signal(worse=Worse.BELOW), cohort="a", users=1, own_weight=1, mean=0, quantiles=(), baseline=0, limit=90.0)
    assert below.fires(np.array([90.0, 90.1])).tolist() == [True, False]


def test_a_limit_is_a_condition_that_a_policy_can_read() -> None:
    found = baselines(frame({"free": [2.0] * 50}), set_of(signal()), at=AT)[0]
    condition = read_condition(found.condition)
    assert condition is not None
    assert (condition.feature, condition.value) == (FAILURES, 4.0)


def test_too_few_users_are_refused_by_name() -> None:
    with pytest.raises(TooFewRowsError, match=r"signal failures: 3 users have count_login_failed_7d within 28 days, expected at least 30"):
        baselines(frame({"free": [1.0] * 3}), set_of(signal()), at=AT)


def test_a_wrong_unit_an_unknown_feature_and_a_ratio_on_the_wrong_side_are_all_named(tmp_path: Path, onboarding: Product) -> None:
    file = tmp_path / "signals.yaml"
    file.write_text(
        "by: planet\nwindow: 28d\nsignals:\n"
        "  depth: {feature: last_session_seconds_use_7d, unit: min, worse: below, severity: low, quantile: 0.5, absolute: 1.5, ratio: 1.2,"
        " alert_when: both}\n"
        "  gone: {feature: count_nothing_7d, unit: count, worse: above, severity: low, quantile: 0.5, absolute: 1.0, ratio: 2.0,"
        " alert_when: both}\n"
    )
    with pytest.raises(DeclarationError) as caught:
        load_signals(file, onboarding)
    assert [fault.path for fault in caught.value.faults] == ["by", "signals.depth.unit", "signals.depth.ratio", "signals.gone.feature"]
    assert "is in s: convert" in str(caught.value)


def test_the_shipped_signals_are_those_of_the_requirements(onboarding: Product) -> None:
    file = Path(__file__).resolve().parents[3] / "products" / "onboarding" / "signals.yaml"
    rate, skips, depth, first = load_signals(file, onboarding).signals
    assert (rate.absolute, rate.ratio, limit_of(rate, 0.015)) == (0.03, 3.0, 0.045)
    assert (skips.absolute, limit_of(skips, 0.10)) == (0.25, 0.25)
    assert (depth.absolute, depth.unit, limit_of(depth, 120.0)) == (90.0, "s", 90.0)
    assert (first.absolute, first.severity, limit_of(first, 30.0)) == (60.0, "critical", 60.0)
