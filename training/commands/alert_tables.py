"""Thresholds, alert errors and signals for a terminal of 100 columns: a table for each question, and under it what its headings mean.

The tables of a run (`training.thresholds.report`, `training.thresholds.signals_run`) have everything in one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from training.commands.tables import show
from training.thresholds.alert_error import AlertFigures, Share
from training.thresholds.report import TITLES, threshold_table
from training.thresholds.rule_errors import RISK_ALERT, RuleError
from training.thresholds.signals import Baseline
from training.thresholds.signals_run import signal_table
from training.thresholds.solve import Thresholds

Row = TypeVar("Row", bound=Mapping[str, str])

_RESTS = ("segment", "threshold", "rests on", "error at most", "own weight")
_LIMITS = ("signal", "cohort", "usual", "own weight", "alert", "unit", "class")
_SPREAD = ("signal", "cohort", "users", "mean", "10%", "25%", "50%", "75%", "90%")

_ERRORS = "FP/(FP+TN): of those who stayed, the share that is alerted. FP/alerts: of the alerts, the share about users who stayed."
_REACH = "share alerted: of all. recall: of those who dropped out."
_BRACKETS = "In brackets: the 95% interval, users counted."
SHARES = f"{_ERRORS} {_REACH} {_BRACKETS}"
ERRORS = f"{_ERRORS} {_BRACKETS}"
REACH = f"class: the severity, as policy.yaml declares it. {_REACH} {_BRACKETS}"
RESTS = (
    "threshold: a risk from it on is an alert. rests on: own data: the bound is shown on the segment's own users; own and others' data: "
    "only together with the others; not enough data: the strictest of the others' is taken. error at most: the upper bound that was kept. "
    "own weight: how much the segment's own users count beside the others."
)
USUAL = (
    "usual: the baseline: a quantile of the cohort's users, each by the median of their rows. own weight: how much the cohort's own users "
    "count in it beside everybody. alert: from where on it is one, as a condition of policy.yaml has it. class: the severity, as "
    "signals.yaml declares it."
)
SPREAD = (
    "users: with a value in the window. mean, 10% to 90%: of the cohort's own users, each by the median of their rows; "
    "nothing is decided by the mean."
)


def show_thresholds(title: str, solved: Thresholds) -> None:
    """Print what each threshold rests on, and then what the thresholds do."""
    show(title, columns(threshold_table(solved), _RESTS), legend=RESTS)
    parts = [(each.segment, each.figures) for each in solved.segments]
    parts += [("(everybody alike)", solved.whole), *([("(all, as above)", solved.applied)] if solved.segments else [])]
    rows = [{"segment": name} | shares(figures) for name, figures in parts]
    show("alert errors at these thresholds, on the rows that they were solved on", rows, legend=SHARES)


def show_baselines(title: str, found: Sequence[Baseline]) -> None:
    """Print what is usual and from where on it is an alert, and then the users that it was taken from."""
    rows = signal_table(found)
    show(title, columns(rows, _LIMITS), legend=USUAL)
    show("the users that it was taken from", columns(rows, _SPREAD), legend=SPREAD)


def show_rules(risk: AlertFigures, rules: Sequence[RuleError]) -> None:
    """Print how often the risk alert and each rule of the policy err, and then whom they reach."""
    parts = [(RISK_ALERT, "", risk), *((rule.trigger, rule.severity, rule.figures) for rule in rules)]
    rows = [{"alert": name, "class": severity} | shares(figures) for name, severity, figures in parts]
    errors, reach = (tuple(TITLES.values())[part] for part in (slice(2), slice(2, None)))
    show("the risk alert, and each rule of policy.yaml, on the same decisions", columns(rows, ("alert", *errors)), legend=ERRORS)
    show("whom they reach", columns(rows, ("alert", "class", *reach)), legend=REACH)


def shares(figures: AlertFigures) -> dict[str, str]:
    """Both errors, share alerted and recall, their intervals in whole percent."""
    return {title: _short(getattr(figures, name)) for name, title in TITLES.items()}


def columns(rows: Sequence[Row], names: Sequence[str]) -> list[dict[str, str]]:
    """These columns of a table alone.

    Examples
    --------
    >>> columns([{"a": "1", "b": "2", "c": "3"}], ("c", "a"))
    [{'c': '3', 'a': '1'}]
    """
    return [{name: row[name] for name in names} for row in rows]


def _short(share: Share) -> str:
    return "-" if share.rows == 0 else f"{share.value:.1%} [{share.low:.0%}, {share.high:.0%}]"
