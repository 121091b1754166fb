"""How a comparison looks in a terminal: the scorers, the segments, the gate."""

from __future__ import annotations

import pandas as pd
from rich.console import Console
from rich.table import Table

from training.gate import Verdict
from training.review import BASE_RATE, Review
from training.tables import alert_promise, alert_table, in_words, scorer_table, unjudged, verdict_table
from training.thresholds.report import TITLES

_FIGURES = ("scorer", "auc", "log_loss", "brier", "ece", "causes agree")


def print_review(console: Console, review: Review) -> None:
    """Print one row per scorer, and what the model gains over each."""
    scorers = scorer_table(review)
    console.print(_table("On the same rows (95 % intervals, bootstrap by user)", scorers[[name for name in _FIGURES if name in scorers]]))
    for over, gains in review.gains.items():
        if over != BASE_RATE:
            words = "; ".join(
                f"{metric} {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}] {in_words(gain)}" for metric, gain in gains.items()
            )
            console.print(f"  gain over {over}: {words}", highlight=False, soft_wrap=True)
    if review.alerts is not None:
        console.print(_table("Whom to alert (intervals: in MLflow)", _brief(alert_table(review.alerts))))
        console.print(f"  {alert_promise(review.alerts)}", highlight=False, soft_wrap=True)


def print_verdict(console: Console, verdict: Verdict) -> None:
    """Print what the gate looked at, row by row."""
    gate = verdict.gate
    title = f"The gate: {gate.metric}, {gate.confidence:.0%} confidence, margin {gate.margin} in a segment"
    console.print(_table(title, verdict_table(verdict)))
    if small := unjudged(verdict):
        console.print(f"  {small}", highlight=False, soft_wrap=True, markup=False)


def _brief(table: pd.DataFrame) -> pd.DataFrame:
    """A table that fits a terminal: without intervals, and only what an alert costs and finds."""
    shown = [name for name in ("segment", "threshold", *TITLES.values()) if name in table]
    return table[shown].map(lambda text: str(text).split(" [")[0])


def _table(title: str, frame: pd.DataFrame) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in frame.columns:
        table.add_column(str(column), overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(_cell(value) for value in row))
    return table


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:g}"
    return str(value)
