"""Thresholds and baselines on a terminal of 100 columns: nothing is cut, and every heading is explained."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from features.declarations.product_file import load_product
from serving.policy_file import load_policy
from tests.serving_world import ROOT
from training.commands import alert_tables
from training.thresholds.alert_error import AlertFigures, Share
from training.thresholds.report import threshold_table
from training.thresholds.rule_errors import RuleError
from training.thresholds.signals import AlertWhen, Baseline, Signal, Worse
from training.thresholds.signals_run import signal_table
from training.thresholds.solve import Basis, Contract, SegmentThreshold, Thresholds

SEGMENTS = {"enterprise": Basis.OWN, "team_mobile_android": Basis.NOT_ENOUGH, "free": Basis.POOLED}
"""Those of the onboarding product that are widest."""


def figures() -> AlertFigures:
    share = Share(value=0.2512, low=0.1249, high=0.3921, rows=200, users=100)
    return AlertFigures(of_stayers=share, of_alerts=share, alerted=share, recall=Share(value=1.0, low=0.0, high=1.0, rows=0, users=0))


@pytest.fixture
def solved() -> Thresholds:
    return Thresholds(
        contract=Contract(),
        risk_threshold=0.51,
        whole=figures(),
        whole_upper=0.1499,
        applied=figures(),
        segments=tuple(
            SegmentThreshold(segment=name, threshold=0.58, basis=basis, upper=0.1483, own_upper=0.2, own_weight=0.79, figures=figures())
            for name, basis in SEGMENTS.items()
        ),
    )


def baseline(cohort: str) -> Baseline:
    signal = Signal(
        name="time_to_first_key_action",
        feature="median_time_to_first_key_action_30d",
        unit="ratio",
        worse=Worse.ABOVE,
        severity="critical",
        quantile=0.75,
        absolute=90.0,
        ratio=2.0,
        alert_when=AlertWhen.EITHER,
    )
    numbers = {"users": 1_261, "own_weight": 0.84, "mean": 87.71, "quantiles": (25.12, 33.13, 48.24, 66.71, 109.9)}
    return Baseline(signal=signal, cohort=cohort, baseline=66.9, limit=134.279, **numbers)


@pytest.fixture
def printed(monkeypatch):
    """What a terminal of so many columns would show."""

    def at(width, show, *arguments):
        sink = io.StringIO()
        consoles = lambda: Console(file=sink, width=width, force_terminal=True, color_system=None, legacy_windows=False)  # noqa: E731
        monkeypatch.setattr("training.commands.tables.Console", consoles)
        show(*arguments)
        return re.sub(r"\x1b\[[0-9;]*m", "", sink.getvalue())

    return at


def cells(text):
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if line.startswith("│")]


@pytest.mark.parametrize("width", [100, 120])
def test_thresholds_fit_a_terminal_in_one_line_each_and_say_all_that_the_run_does(width, printed, solved):
    text = printed(width, alert_tables.show_thresholds, "FP/(FP+TN) at most 15%", solved)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= min(width, 100)
    assert "…" not in text
    first, second = (cells(part) for part in text.split("alert errors at these thresholds"))
    assert first == [list(row.values())[:5] for row in threshold_table(solved)]
    assert [row[0] for row in second] == [*SEGMENTS, "(everybody alike)", "(all, as above)"]
    assert second[0][1:] == ["25.1% [12%, 39%]", "25.1% [12%, 39%]", "25.1% [12%, 39%]", "-"]


def rules_of_every_product() -> list[RuleError]:
    """Every rule of the shipped policies, those with the longest names among them."""
    policies = sorted((ROOT / "products").glob("*/policy.yaml"))
    loaded = [load_policy(policy, load_product(policy.parent)) for policy in policies]
    return [RuleError(trigger=one.name, severity=one.severity, figures=figures()) for policy in loaded for one in policy.triggers]


@pytest.mark.parametrize("width", [80, 100])
def test_rules_fit_a_terminal_in_one_line_each(width, printed):
    rules = rules_of_every_product()
    text = printed(width, alert_tables.show_rules, figures(), rules)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert "…" not in text
    errors, reach = (cells(part) for part in text.split("whom they reach"))
    names = ["(risk above the threshold)", *(rule.trigger for rule in rules)]
    assert [row[0] for row in errors] == [row[0] for row in reach] == names
    assert errors[1] == [names[1], "25.1% [12%, 39%]", "25.1% [12%, 39%]"]
    assert reach[1] == [names[1], rules[0].severity, "25.1% [12%, 39%]", "-"]


@pytest.mark.parametrize("width", [100, 120])
def test_baselines_fit_a_terminal_in_one_line_each_and_say_all_that_the_run_does(width, printed):
    found = [baseline("enterprise"), baseline("free")]
    text = printed(width, alert_tables.show_baselines, "usual within 28 days before 2026-11-20, by plan", found)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= min(width, 100)
    assert "…" not in text
    limits, spread = (cells(part) for part in text.split("the users that it was taken from"))
    for row, limit, users in zip(signal_table(found), limits, spread, strict=True):
        assert {*limit, *users} == set(row.values())


def test_on_eighty_columns_cells_are_folded_and_nothing_is_cut(printed, solved):
    found = [baseline("enterprise"), baseline("free")]
    text = printed(80, alert_tables.show_thresholds, "t", solved) + printed(80, alert_tables.show_baselines, "b", found)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert {"team_mobile_android", "time_to_first_key_action"} <= {row[0] for row in cells(text)}
    assert "…" not in text


def test_every_heading_but_a_name_is_explained_under_its_table(printed, solved):
    of_thresholds = printed(100, alert_tables.show_thresholds, "t", solved)
    of_baselines = printed(100, alert_tables.show_baselines, "b", [baseline("free")])
    of_rules = printed(100, alert_tables.show_rules, figures(), rules_of_every_product())
    for text in (of_thresholds, of_baselines, of_rules):
        headings = {cell.strip() for line in text.splitlines() if line.startswith("┃") for cell in line.strip("┃").split("┃")}
        explained = " ".join(line for line in text.splitlines() if not line.startswith(("┃", "│", "┏", "┡", "└")))
        for heading in headings - {"alert", "segment", "signal", "cohort", "unit", "25%", "50%", "75%", "90%"}:
            assert re.search(rf"{re.escape(heading)}(, 10% to 90%| to 90%)?:", explained), heading
