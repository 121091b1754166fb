"""The plots a reviewer looks at; each returns a figure and draws nothing on screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from training.cohorts import CorrectionChoice
from training.compare import SegmentGain
from training.evaluate import Interval, reliability
from training.segments import LearnedSegments

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_LEAST_SHARE = 0.01  # lift of the first few rows is noise
_BINS, _WIDTH = 60, 0.4  # of a beeswarm: its columns, and how far points go up and down
_TWO_SIDED = 1.96  # standard errors to each side of a 95 % interval
_NUDGE = 0.25  # between intervals of one row of a forest plot


COLOURS = {"model": "#0b5fa5", "champion": "#d1495b", "logistic": "#7a5195", "recency alone": "#e59500", "base rate": "#8a8a8a"}
"""One colour per scorer in every plot; safe for the common forms of colour blindness."""


def roc_and_pr(scores: Mapping[str, FloatArray], outcomes: BoolArray) -> Figure:
    """ROC and precision-recall curves of several scorers over the same rows, the model on top."""
    figure, (roc, pr) = _panels("ROC", "Precision and recall")
    for name, values in reversed(list(scores.items())):
        found, false_alarms, alerts = _sweep(values, outcomes)
        roc.plot(false_alarms / max(1, (~outcomes).sum()), found / max(1, outcomes.sum()), label=name, **_style(name))
        pr.plot(found / max(1, outcomes.sum()), found / alerts, label=name, **_style(name))
    roc.plot([0, 1], [0, 1], color="grey", linestyle=":")
    pr.axhline(float(outcomes.mean()), color="grey", linestyle=":", label="base rate")
    roc.set(xlabel="share of stayers alerted", ylabel="share of dropouts found")
    pr.set(xlabel="share of dropouts found", ylabel="dropouts among the alerted", ylim=(0, 1.02))
    _legend(roc, pr)
    return figure


def lift_and_gain(scores: Mapping[str, FloatArray], outcomes: BoolArray) -> Figure:
    """Who is found by contacting the riskiest share: dropouts found (gain), and how many times the base rate that is (lift)."""
    figure, (gain, lift) = _panels("Gain: dropouts found", "Lift: dropouts found, times the base rate")
    dropouts = max(1, int(outcomes.sum()))
    for name, values in reversed(list(scores.items())):
        found, _, alerts = _sweep(values, outcomes)
        share, recall = alerts / len(outcomes), found / dropouts
        gain.plot(np.append(0.0, share), np.append(0.0, recall), label=name, **_style(name))
        shown = share >= _LEAST_SHARE
        lift.plot(share[shown], (recall / share)[shown], label=name, **_style(name))
    gain.plot([0, outcomes.mean(), 1], [0, 1, 1], color="grey", linestyle="--", linewidth=1, label="nobody can be better")
    gain.plot([0, 1], [0, 1], color="grey", linestyle=":", label="at random")
    lift.axhline(1, color="grey", linestyle=":", label="at random")
    gain.set(xlabel="share of rows contacted, the riskiest first", ylabel="share of dropouts found")
    lift.set(xlabel="share of rows contacted, the riskiest first", ylabel="lift", ylim=(0, None))
    _legend(gain, lift)
    return figure


def reliability_plot(probabilities: Mapping[str, FloatArray], outcomes: BoolArray) -> Figure:
    """Mean predicted risk against the dropout rate of equal-mass bins, with 95 % Wilson intervals; and how risks are spread.

    References
    ----------
    Wilson (1927), Probable inference, doi:10.1080/01621459.1927.10502953.
    """
    figure, (line, spread) = _panels("Reliability, equal-mass bins", "Spread of predicted risk")
    for name, values in reversed(list(probabilities.items())):
        mean, rate, size = reliability(values, outcomes)
        low, high = _wilson(rate, size)
        around = np.clip([rate - low, high - rate], 0, None)
        line.errorbar(mean, rate, yerr=around, marker="o", markersize=4, capsize=2, label=name, **_style(name))
        spread.hist(values, bins=40, range=(0, 1), histtype="step", label=name, **_style(name))
    line.plot([0, 1], [0, 1], color="grey", linestyle=":")
    line.set(xlabel="predicted risk", ylabel="share that dropped out", xlim=(0, 1), ylim=(0, 1))
    spread.set(xlabel="predicted risk", ylabel="rows")
    _legend(line, spread)
    return figure


def cause_plot(names: Sequence[str], sums: FloatArray) -> Figure:
    """How much each cause moves the raw score: mean absolute log-odds, and one point per row (a beeswarm).

    Parameters
    ----------
    names, sums
        From ``models.attribution.matrix_by_cause``; sums of shape (n_rows, n_names).
    """
    figure, (bars, swarm) = _panels("Mean |log-odds| by cause", "Log-odds by cause, one point per row")
    order = np.argsort(np.abs(sums).mean(axis=0))
    labels = [names[i] for i in order]
    bars.barh(labels, np.abs(sums[:, order]).mean(axis=0), color=COLOURS["model"])
    total = sums.sum(axis=1)
    for place, column in enumerate(order):
        points = swarm.scatter(
            sums[:, column], place + _spread(sums[:, column]), c=total, cmap="coolwarm", vmin=-_reach(total), vmax=_reach(total), s=7
        )
    if len(order):
        figure.colorbar(points, ax=swarm, label="risk of the row against the average, log-odds")
    swarm.set_yticks(range(len(order)), labels)
    swarm.axvline(0, color="grey", linestyle=":")
    bars.set(xlabel="mean |log-odds|")
    swarm.set(xlabel="log-odds added to the raw score (right: more risk)")
    return figure


def gain_plot(gains: Mapping[str, Mapping[str, Interval]], segments: Sequence[SegmentGain]) -> Figure:
    """Forest plot of paired gains in log loss and AUC, over all rows and by segment; right of the line the model is better.

    Over the first two of the other scorers: the champion, where there is one, and logistic regression.
    """
    shown = list(gains)[:2]
    wheres = ["all rows", *dict.fromkeys(f"{each.segmentation}/{each.segment}" for each in segments)]
    figure, panels = _panels("Gain in log loss", "Gain in AUC", height=1.5 + 0.34 * len(wheres))
    for panel, metric in zip(panels, ("log_loss", "auc"), strict=True):
        for nudge, over in enumerate(shown):
            found = {"all rows": gains[over][metric]}
            found |= {f"{each.segmentation}/{each.segment}": each.gain for each in segments if (each.metric, each.over) == (metric, over)}
            for where, gain in found.items():
                place = wheres.index(where) + _NUDGE * nudge
                panel.plot([gain.low, gain.high], [place, place], **_style(over))
                panel.plot(
                    gain.value, place, marker="o", markersize=5, label=f"over {over}" if where == "all rows" else None, **_style(over)
                )
        panel.set_yticks(range(len(wheres)), wheres if panel is panels[0] else [""] * len(wheres))  # names once: the rows are the same
        panel.set_ylim(len(wheres) - 0.5, -0.5)
        panel.axvline(0, color="grey", linestyle=":")
    figure.supxlabel("gain of the model, 95 %, paired by user (right: better)", fontsize="medium")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=max(1, len(shown)), fontsize="small")
    return figure


def cohort_plot(correction: CorrectionChoice) -> Figure:
    """Predicted and observed dropout rate by week of joining, with Wilson intervals; and the shift between them in log-odds."""
    figure, (rates, shifts) = _panels("Dropout rate by week of joining", "Shift of each week against the prediction, log-odds")
    drift, places = correction.drift, range(len(correction.drift))
    observed = np.array([each.observed for each in drift])
    around = np.clip([observed - [each.low for each in drift], [each.high for each in drift] - observed], 0, None)
    rates.errorbar(places, observed, yerr=around, marker="o", markersize=4, capsize=2, linestyle="", label="observed, 95 %")
    rates.plot(places, [each.predicted for each in drift], marker="_", markersize=12, linestyle="", color="#d1495b", label="predicted")
    spread = _TWO_SIDED * np.sqrt([each.shift_variance for each in drift])
    shifts.errorbar(places, [each.shift for each in drift], yerr=spread, marker="o", markersize=4, capsize=2, linestyle="")
    shifts.axhline(0, color="grey", linestyle=":")
    rates.set_ylabel("share that dropped out")
    shifts.set_ylabel("log-odds")
    shifts.axhline(correction.shift, color="#d1495b", label=f"applied to the next: {correction.shift:+.2f} ({correction.correction.value})")
    for panel in (rates, shifts):
        panel.set_xticks(places, [each.cohort for each in drift], rotation=45, ha="right", fontsize="small")
        panel.legend(fontsize="small")
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


def _style(name: str) -> dict[str, Any]:
    return {"color": COLOURS.get(name, "#2f7f5f"), "linewidth": 2.0 if name == "model" else 1.4}


def _legend(*panels: Any) -> None:
    """A legend with the model first, whatever was drawn last."""
    for panel in panels:
        handles, labels = panel.get_legend_handles_labels()
        places = list(COLOURS)
        ordered = sorted(zip(labels, handles, strict=True), key=lambda item: places.index(item[0]) if item[0] in places else len(places))
        panel.legend([handle for _, handle in ordered], [label for label, _ in ordered], fontsize="small")


def _spread(values: FloatArray) -> FloatArray:
    """Offsets that keep near values apart: the more there are, the further, at most 0.4 up or down; shape (n_rows,)."""
    if len(values) == 0 or np.ptp(values) == 0:
        return np.linspace(-_WIDTH, _WIDTH, len(values))
    bins = np.minimum(((values - values.min()) / np.ptp(values) * _BINS).astype(int), _BINS - 1)
    offsets = np.zeros(len(values))
    fullest = np.bincount(bins).max()
    for index in np.unique(bins):
        members = np.flatnonzero(bins == index)
        offsets[members] = np.linspace(-1, 1, len(members)) * _WIDTH * len(members) / fullest if len(members) > 1 else 0.0
    return offsets


def _reach(values: FloatArray) -> float:
    return max(float(np.quantile(np.abs(values), 0.98)), 1e-9) if len(values) else 1.0


def _wilson(rate: FloatArray, size: npt.NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    from scipy.stats import binomtest

    intervals = [
        binomtest(round(share * n), n).proportion_ci(method="wilson") for share, n in zip(rate.tolist(), size.tolist(), strict=True)
    ]
    return np.array([each.low for each in intervals]), np.array([each.high for each in intervals])


def _panels(left: str, right: str, *, height: float = 4.5) -> tuple[Figure, Sequence[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, max(4.0, height)), layout="constrained")
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
