"""Plots of a study; each returns a figure and draws nothing on screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from training.uplift.study import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def qini_plot(study: Study) -> Figure:
    """Qini curves of every learner on the test rows, one panel for each treatment, beside random targeting."""
    treatments = study.arms[1:]
    figure, panels = _panels(len(treatments))
    for panel, treatment in zip(panels, treatments, strict=True):
        for (name, of), ranking in study.rankings.items():
            if of == treatment:
                panel.plot(ranking.curve.share, ranking.curve.gain, label=f"{name}: {ranking.qini}")
                panel.plot([0, 1], [0, ranking.curve.gain[-1]], color="grey", linestyle=":")
        panel.set(title=f"{treatment} against {study.arms[0]}", xlabel="share treated, highest score first", ylabel="gain per person")
        panel.legend(title="Qini coefficient")
    return figure


def budget_plot(study: Study) -> Figure:
    """Gain over contacting nobody as more people are contacted, by ranking; and over as many at random, with 95 % intervals."""
    figure, (gains, over_random) = _panels(2)
    for name, rows in study.budgets.groupby("ranking", sort=False):
        gains.plot(rows["contacted"], rows["gain over nobody"], marker="o", label=str(name))
        _with_band(over_random, rows, "gain over random", str(name))
    for panel, title in ((gains, "Gain over nobody"), (over_random, "Gain over random")):
        panel.axhline(0, color="grey", linestyle=":")
        panel.set(title=f"{title}, per person of all", xlabel="share contacted", ylabel="units of the outcome")
        panel.legend()
    return figure


def _with_band(panel: Any, rows: pd.DataFrame, column: str, label: str) -> None:
    (line,) = panel.plot(rows["contacted"], rows[column], marker="o", label=label)
    panel.fill_between(rows["contacted"], rows[f"{column} low"], rows[f"{column} high"], color=line.get_color(), alpha=0.12)


def _panels(n_panels: int) -> tuple[Figure, list[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5 * n_panels, 4.5), layout="constrained")
    FigureCanvasAgg(figure)  # no display and no global state
    return figure, list(figure.subplots(1, n_panels, squeeze=False)[0])
