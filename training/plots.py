"""The plots a reviewer looks at; each returns a figure and draws nothing on screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from training.evaluate import reliability
from training.segments import LearnedSegments

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def roc_and_pr(scores: Mapping[str, FloatArray], outcomes: BoolArray) -> Figure:
    """ROC and precision-recall curves of several scorers over the same rows."""
    figure, (roc, pr) = _panels("ROC", "Precision and recall")
    for name, values in scores.items():
        found, false_alarms, alerts = _sweep(values, outcomes)
        roc.plot(false_alarms / max(1, (~outcomes).sum()), found / max(1, outcomes.sum()), label=name)
        pr.plot(found / max(1, outcomes.sum()), found / alerts, label=name)
    roc.plot([0, 1], [0, 1], color="grey", linestyle=":")
    pr.axhline(float(outcomes.mean()), color="grey", linestyle=":", label="base rate")
    roc.set(xlabel="share of stayers alerted", ylabel="share of dropouts found")
    pr.set(xlabel="share of dropouts found", ylabel="dropouts among the alerted", ylim=(0, 1.02))
    roc.legend()
    pr.legend()
    return figure


def reliability_plot(probabilities: Mapping[str, FloatArray], outcomes: BoolArray) -> Figure:
    """Mean predicted risk against the dropout rate of equal-mass bins; and how risks are spread."""
    figure, (line, spread) = _panels("Reliability, equal-mass bins", "Spread of predicted risk")
    for name, values in probabilities.items():
        mean, rate, _ = reliability(values, outcomes)
        line.plot(mean, rate, marker="o", label=name)
        spread.hist(values, bins=40, range=(0, 1), histtype="step", label=name)
    line.plot([0, 1], [0, 1], color="grey", linestyle=":")
    line.set(xlabel="predicted risk", ylabel="share that dropped out", xlim=(0, 1), ylim=(0, 1))
    spread.set(xlabel="predicted risk", ylabel="rows")
    line.legend()
    spread.legend()
    return figure


def cause_plot(names: Sequence[str], sums: FloatArray) -> Figure:
    """How much each cause moves the raw score: mean absolute log-odds, and the spread over users.

    Parameters
    ----------
    names, sums
        From ``models.attribution.matrix_by_cause``; sums of shape (n_rows, n_names).
    """
    figure, (bars, box) = _panels("Mean |log-odds| by cause", "Log-odds by cause, one value per row")
    order = np.argsort(np.abs(sums).mean(axis=0))
    labels = [names[i] for i in order]
    bars.barh(labels, np.abs(sums[:, order]).mean(axis=0))
    box.boxplot([sums[:, i] for i in order], orientation="horizontal", tick_labels=labels, showfliers=False)
    box.axvline(0, color="grey", linestyle=":")
    bars.set(xlabel="mean |log-odds|")
    box.set(xlabel="log-odds added to the raw score (right: more risk)")
    return figure


def segment_plot(segments: LearnedSegments) -> Figure:
    """Silhouette by k; and where each segment's centre lies on the features in which segments differ most, in scaled units."""
    figure, (scores, centres) = _panels("Silhouette by number of segments", "Centres, the features that differ most")
    scores.plot([score.k for score in segments.scores], [score.silhouette for score in segments.scores], marker="o")
    scores.axvline(segments.k, color="grey", linestyle=":", label=f"chosen: {segments.k}")
    scores.set(xlabel="k", ylabel="mean silhouette")
    scores.legend()
    model = segments.model
    points = model.centres / np.array([entry.weight for entry in model.inputs])
    shown = np.argsort(-np.ptp(points, axis=0), kind="stable")[:12]
    for segment, point in zip(model.segments, points, strict=True):
        centres.plot(point[shown], range(len(shown)), marker="o", linestyle="", label=segment.id)
    centres.set_yticks(range(len(shown)), [model.inputs[i].feature for i in shown])
    centres.axvline(0, color="grey", linestyle=":")
    centres.set(xlabel="distance from the median (0), in interquartile ranges")
    centres.legend()
    return figure


def _panels(left: str, right: str) -> tuple[Figure, Sequence[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)  # no display and no global state
    panels = figure.subplots(1, 2)
    for panel, title in zip(panels, (left, right), strict=True):
        panel.set_title(title)
    return figure, panels


def _sweep(scores: FloatArray, outcomes: BoolArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Dropouts found, stayers alerted and all alerted as the threshold falls; one point per distinct score."""
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    found = np.cumsum(outcomes[order])[last].astype(np.float64)
    alerts = (last + 1).astype(np.float64)
    return found, alerts - found, alerts
