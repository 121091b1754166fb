"""Plots of timing for reviewers; each returns a figure and draws nothing on screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from features.core.weekly import HOUR_S, HOURS_OF_DAY
from models.timing.periods import DAY_S
from training.timing.fitted import FittedTiming, TestReturns
from training.timing.survival import brier_scores, kaplan_meier

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]

HORIZONS_S = (6 * HOUR_S, DAY_S, 3 * DAY_S, 7 * DAY_S)
"""Horizons of the calibration plot, as far as the test slice was watched."""
_BINS = 10


def timing_plots(fitted: FittedTiming) -> dict[str, Figure]:
    """All plots, by file name."""
    return {
        "timing/curves.png": curves_plot(fitted),
        "timing/survival_calibration.png": calibration_plot(fitted.test),
        "timing/brier.png": brier_plot(fitted.test),
    }


def calibration_plot(test: TestReturns) -> Figure:
    """Predicted against observed share still away, a panel for each horizon; what was observed is Kaplan-Meier within tenths."""
    horizons = [horizon for horizon in HORIZONS_S if horizon <= test.grid_s[-1]]
    figure, panels = _panels(max(len(horizons), 1))
    for panel, horizon_s in zip(panels, horizons, strict=False):
        predicted, observed = calibration_at(test, horizon_s)
        panel.plot([0, 1], [0, 1], color="grey", linestyle=":")
        panel.plot(predicted, observed, marker="o")
        panel.set(title=f"Still away after {horizon_s / HOUR_S:g} h", xlabel="predicted", ylabel="observed", xlim=(0, 1), ylim=(0, 1))
    return figure


def calibration_at(test: TestReturns, horizon_s: float) -> tuple[FloatArray, FloatArray]:
    """Mean predicted and observed share still away at a horizon, in tenths of equal size by prediction."""
    column = int(np.abs(test.grid_s - horizon_s).argmin())
    tenths = np.array_split(np.argsort(test.away[:, column], kind="stable"), _BINS)
    parts = [part for part in tenths if len(part)]
    predicted = np.array([test.away[part, column].mean() for part in parts])
    observed = [kaplan_meier(test.times_s[part], test.observed[part]).at(test.grid_s[column : column + 1])[0] for part in parts]
    return predicted, np.array(observed)


def curves_plot(fitted: FittedTiming) -> Figure:
    """S(t) of ours beside what the test slice then saw, Kaplan-Meier by segment; and everybody's habit of the day beside three users'."""
    test = fitted.test
    figure, (away, habit) = _panels(2)
    days = test.grid_s / DAY_S
    for colour, name in zip(_COLOURS, np.unique(test.segments), strict=False):
        mine = test.segments == name
        away.plot(days, test.away[mine].mean(axis=0), color=colour, label=str(name))
        away.plot(days, kaplan_meier(test.times_s[mine], test.observed[mine]).at(test.grid_s), color=colour, linestyle=":")
    away.plot([], [], color="grey", linestyle=":", label="observed: Kaplan-Meier\nof the test slice")
    away.set(title="Still away, by segment", xlabel="days after as_of", ylabel="share still away", ylim=(0, 1))
    away.legend(fontsize="small")
    hours = np.arange(HOURS_OF_DAY)
    population = np.array(fitted.model.receptivity.population).reshape(7, HOURS_OF_DAY).sum(axis=0)
    habit.plot(hours, population, color="black", label="everybody")
    for row in np.linspace(0, len(fitted.habits) - 1, 3).astype(int):
        habit.plot(hours, fitted.habits[row].reshape(7, HOURS_OF_DAY).sum(axis=0), label=f"row {row}")
    habit.set(title="Habit by local hour", xlabel="hour of the day", ylabel="share of activity", ylim=(0, None))
    habit.legend()
    return figure


def brier_plot(test: TestReturns) -> Figure:
    """Brier score over time on the test slice, censoring weighted out: ours, and Kaplan-Meier by segment of the training slice."""
    figure, (panel,) = _panels(1)
    for name, away in (("ours", test.away), ("Kaplan-Meier of the training slice, by segment", test.kaplan_meier)):
        panel.plot(test.grid_s / DAY_S, brier_scores(away, test.grid_s, test.times_s, test.observed), label=name)
    panel.set(title="Brier score of S(t) on the test slice", xlabel="days after as_of", ylabel="Brier score", ylim=(0, None))
    panel.legend()
    return figure


_COLOURS = ("C0", "C1", "C2", "C3", "C4", "C5", "C6", "C7")


def _panels(n_panels: int) -> tuple[Figure, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(4.2 * n_panels, 6.0), 4.2), layout="constrained")
    FigureCanvasAgg(figure)  # no display and no global state
    return figure, figure.subplots(1, n_panels, squeeze=False)[0]
