"""A walk forward as one table and one plot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from training.plots import COLOURS
from training.review import LOGISTIC, MODEL, RECENCY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from training.backtest import Step
    from training.evaluate import Interval

SCORERS = (MODEL, LOGISTIC, RECENCY)
"""Who is walked forward: each learns anew at every step. A champion cannot be: it has learned from what the steps are tested on."""

_NUDGE = 0.03  # of the time between two steps, so that intervals do not hide one another


def step_table(steps: Sequence[Step]) -> list[dict[str, str]]:
    """One row for each step and scorer, the model first; figures with their 95 % intervals over users where they have one."""
    return [
        {
            "trained at": step.trained_at.strftime("%Y-%m-%d"),
            "tested until": step.tested_until.strftime("%Y-%m-%d"),
            "train rows": str(step.train_rows),
            "test rows": str(step.test_rows),
            "base rate": f"{step.base_rate:.3f}",
            "scorer": scorer,
            "AUC": _text(step.figure(scorer, "auc")),
            "Brier": _text(step.figure(scorer, "brier")),
            "ECE": f"{value_of(step, scorer, 'ece'):.3f}",
        }
        for step in steps
        for scorer in SCORERS
        if scorer in step.evaluations
    ]


def step_plot(steps: Sequence[Step]) -> Figure:
    """AUC, Brier score and ECE of every scorer over the steps, with 95 % intervals over users where there are any; and the base rate."""
    from matplotlib.figure import Figure as NewFigure

    figure = NewFigure(figsize=(10, 6.5), layout="constrained")
    panels = figure.subplots(2, 2).ravel()
    for axes, (name, title) in zip(panels, (("auc", "AUC"), ("brier", "Brier score"), ("ece", "ECE, 15 bins")), strict=False):
        for place, scorer in enumerate(SCORERS):
            _draw(axes, steps, (scorer, name), place)
        axes.set(title=title, ylabel=title.split(",")[0])
    days = [step.trained_at.to_pydatetime() for step in steps]
    panels[3].plot(days, [step.base_rate for step in steps], marker="o", color="grey")
    panels[3].set(title="Base rate", ylabel="share that dropped out", ylim=(0, 1))
    for axes in panels:
        axes.set_xticks(days, [f"{day:%Y-%m-%d}" for day in days], rotation=30, ha="right", fontsize=7)
        axes.set_xlabel("trained at")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(SCORERS), title="Bars: 95 %, by user")
    return figure


def value_of(step: Step, scorer: str, name: str) -> float:
    """A figure of one scorer; nan where it was not measured."""
    figure = step.figure(scorer, name)
    return float("nan") if figure is None else figure.value


def _draw(axes: Any, steps: Sequence[Step], what: tuple[str, str], place: int) -> None:
    """One scorer's line in one panel, each step's interval upright at its point."""
    scorer, name = what
    figures = [step.figure(scorer, name) for step in steps]
    found = [(_nudged(steps, at, place), figure) for at, figure in enumerate(figures) if figure is not None]
    if not found:
        return
    values = np.array([figure.value for _, figure in found])
    around = np.array([[figure.value - figure.low, figure.high - figure.value] for _, figure in found]).T
    bars = None if np.isnan(around).any() else np.clip(around, 0, None)
    axes.errorbar([day for day, _ in found], values, yerr=bars, marker="o", markersize=4, capsize=2, color=COLOURS[scorer], label=scorer)


def _nudged(steps: Sequence[Step], at: int, place: int) -> datetime:
    span: timedelta = (steps[-1].trained_at - steps[0].trained_at).to_pytimedelta()
    day: datetime = steps[at].trained_at.to_pydatetime()
    return day + _NUDGE * place * span / max(1, len(steps) - 1)


def _text(figure: Interval | None) -> str:
    return "-" if figure is None else str(figure)
