"""The signals of a product from its log to an MLflow run: what is usual today, the limits that follow, and their alert error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from features.core.product import Product
from features.home import Home
from training.dataset import build_frame
from training.frame import AS_OF, TrainingFrame
from training.freshness import Look, require_fresh_log
from training.pipeline import Report, say_nothing
from training.provenance import note_rows
from training.thresholds.alert_error import AlertFigures, alert_figures
from training.thresholds.report import TITLES, figure_metrics, markdown
from training.thresholds.rows import rows_of_frame
from training.thresholds.signals import QUANTILES, Baseline, SignalSet, alerts, baselines
from training.thresholds.usual import baseline_metrics
from training.tracked import tracked_run


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalsRun:
    """What is usual, and what an alert at its limits would have cost."""

    asked: SignalSet
    at: datetime  # as_of of the newest row with a known outcome
    baselines: tuple[Baseline, ...]
    errors: dict[str, AlertFigures]  # by signal, on the same rows
    run_id: str

    @property
    def title(self) -> str:
        """Whose usual it is, and of when."""
        return f"usual within {self.asked.window.days} days before {self.at.date()}, by {self.asked.by}"

    @property
    def conditions(self) -> list[str]:
        """Lines for triggers of policy.yaml."""
        return [f'{each.signal.severity}: "{each.condition}"  # {each.cohort}: {each.signal.sentence}' for each in self.baselines]


def signals_product(
    product: Product, home: Home, look: Look, asked: SignalSet, *, labels: str | None = None, report: Report = say_nothing
) -> SignalsRun:
    """Take the baselines as of the newest rows with a known outcome, and record them with their alert error as an MLflow run.

    Raises
    ------
    TrainingError
        If the log is empty or stale, or too few users have a signal's feature.
    """
    with tracked_run(product, "signals", product_dir=look.product_dir) as run_id:
        require_fresh_log(product, home, look)
        frame = build_frame(product, home, labels=labels, now=look.now, report=report)
        note_rows(frame, "signals", home.raw_dir(product.name))
        at: datetime = frame.rows[AS_OF].max().to_pydatetime()
        found = tuple(baselines(frame, asked, at=at))
        ran = SignalsRun(asked=asked, at=at, baselines=found, errors=_errors(frame, found, asked), run_id=run_id)
        _record(ran)
    return ran


def signal_table(found: Sequence[Baseline]) -> list[dict[str, str]]:
    """One row for each signal and cohort."""
    return [_row(each) for each in found]


def error_table(errors: dict[str, AlertFigures]) -> list[dict[str, str]]:
    """One row for each signal."""
    return [
        {"signal": name} | {title: str(getattr(figures, figure)) for figure, title in TITLES.items()} for name, figures in errors.items()
    ]


def _record(ran: SignalsRun) -> None:
    import mlflow

    usual, errors = signal_table(ran.baselines), error_table(ran.errors)
    mlflow.log_table(pd.DataFrame(usual), "signals.json")
    mlflow.log_table(pd.DataFrame(errors), "signal_errors.json")
    lines = "\n".join(ran.conditions)
    mlflow.log_text(f"# Signals: {ran.title}\n\n{markdown(usual)}\n{markdown(errors)}\n```yaml\n{lines}\n```\n", "signals.md")
    mlflow.log_metrics(baseline_metrics(ran.baselines))
    for name, figures in ran.errors.items():
        mlflow.log_metrics(figure_metrics(f"signal.{name}", figures))


def _row(each: Baseline) -> dict[str, str]:
    quantiles = {f"{share:.0%}": _short(value) for share, value in zip(QUANTILES, each.quantiles, strict=True)}
    limits = {"usual": _short(each.baseline), "own weight": f"{each.own_weight:.0%}", "alert": each.condition.split(" ", 1)[1]}
    head = {"signal": each.signal.name, "cohort": each.cohort, "users": str(each.users), "mean": _short(each.mean)}
    return head | quantiles | limits | {"unit": each.signal.unit, "class": each.signal.severity}


def _errors(frame: TrainingFrame, found: Sequence[Baseline], asked: SignalSet) -> dict[str, AlertFigures]:
    rows = rows_of_frame(frame, frame.outcomes.astype(float))  # the risk is not looked at
    return {name: alert_figures(rows, alerted) for name, alerted in alerts(frame, found, asked.by).items()}


def _short(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3g}"
