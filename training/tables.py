"""The comparison as tables: what MLflow shows as artifacts, and what a card or a note quotes. Rows are plain values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.evaluate import Interval
from training.gate import Verdict, holds, is_judged
from training.horizons import HorizonFigures
from training.review import BASE_RATE, Review

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

SHOWN = ("auc", "average_precision", "log_loss", "brier", "ece", "calibration_slope")
ALERT_ERRORS = (0.02, 0.05, 0.10, 0.15, 0.20, 0.30)
"""Bounds on the share of stayers that are alerted, FP / (FP + TN), for which the threshold table gives a threshold."""


def scorer_table(review: Review) -> pd.DataFrame:
    """One row per scorer: each figure with its interval, and the model's paired gain over that scorer."""
    rows = []
    for name, evaluation in review.evaluations.items():
        row: dict[str, object] = {"scorer": name}
        row |= {shown: _text(evaluation.figures[shown]) for shown in SHOWN if name != BASE_RATE or shown in {"log_loss", "brier"}}
        row |= {f"gain of the model: {metric}": _text(gain, sign=True) for metric, gain in review.gains.get(name, {}).items()}
        rows.append(row)
    return pd.DataFrame(rows).fillna("")


def scorer_rows(review: Review) -> pd.DataFrame:
    """One row per scorer and figure, in numbers that MLflow can sort: value, interval, and what the model gains over that scorer."""
    rows = []
    for name, evaluation in review.evaluations.items():
        for figure, interval in evaluation.figures.items():
            row = {"scorer": name, "figure": figure, **_numbers("", interval)}
            gain = review.gains.get(name, {}).get(figure)
            rows.append(row if gain is None else row | _numbers("gain_of_model_", gain) | {"model_is": in_words(gain)})
    return pd.DataFrame(rows)


def segment_rows_table(review: Review) -> pd.DataFrame:
    """One row per segment, with the model's figures."""
    return pd.DataFrame([asdict(figures) for figures in review.segment_figures]).round(4)


def segment_gain_rows(review: Review) -> pd.DataFrame:
    """One row per segment, other scorer and metric: the model's gain, its interval, and what it shows."""
    return pd.DataFrame(
        [
            {"segmentation": each.segmentation, "segment": each.segment, "over": each.over, "metric": each.metric}
            | _numbers("gain_", each.gain)
            | {"model_is": in_words(each.gain), "rows": each.rows, "users": each.users}
            for each in review.segment_gains
        ]
    )


def in_words(gain: Interval) -> str:
    """Say what an interval of a gain shows.

    Examples
    --------
    >>> in_words(Interval(value=0.02, low=0.01, high=0.03)), in_words(Interval(value=0.02, low=-0.01, high=0.05))
    ('better', 'unclear')
    """
    if gain.low > 0:
        return "better"
    return "worse" if gain.high < 0 else "unclear"


def horizon_table(horizons: Sequence[HorizonFigures]) -> pd.DataFrame:
    """One row per horizon and scorer."""
    return pd.DataFrame(
        [
            {
                "horizon_days": each.days,
                "scorer": each.scorer,
                "rows": each.rows,
                "dropout_rate": round(each.dropout_rate, 4),
                "auc": _text(each.auc),
                "average_precision": round(each.average_precision, 4),
            }
            for each in horizons
        ]
    )


def threshold_table(probabilities: FloatArray, outcomes: BoolArray, bounds: Iterable[float] = ALERT_ERRORS) -> pd.DataFrame:
    """The lowest threshold at which at most such a share of the stayers is alerted, and what alerting above it means on these rows.

    Measured on the rows it is chosen on, without a confidence bound: for a first look, not for a policy.

    Parameters
    ----------
    probabilities, outcomes
        Shape (n_rows,); somebody is alerted at or above the threshold.

    Examples
    --------
    >>> table = threshold_table(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]), bounds=[0.1])
    >>> table[["threshold", "share_alerted", "recall", "precision"]].values.tolist()
    [[0.8, 0.5, 1.0, 1.0]]
    """
    order = np.argsort(-probabilities, kind="stable")
    last = np.flatnonzero(np.append(np.diff(probabilities[order]) != 0, True))
    found, alerted = np.cumsum(outcomes[order])[last], last + 1
    false_share = (alerted - found) / max(1, int((~outcomes).sum()))
    rows = []
    for bound in bounds:
        allowed = int(np.searchsorted(false_share, bound, side="right")) - 1
        if allowed < 0:
            rows.append({"alert_error_at_most": bound})
            continue
        rows.append(
            {
                "alert_error_at_most": bound,
                "threshold": round(float(probabilities[order][last[allowed]]), 4),
                "alert_error": round(float(false_share[allowed]), 4),
                "share_alerted": round(float(alerted[allowed] / len(outcomes)), 4),
                "recall": round(float(found[allowed] / max(1, int(outcomes.sum()))), 4),
                "precision": round(float(found[allowed] / alerted[allowed]), 4),
            }
        )
    return pd.DataFrame(rows)


def verdict_table(verdict: Verdict) -> pd.DataFrame:
    """What the gate looked at: all rows, then each segment."""
    everything = {
        "where": "all rows",
        "rows": verdict.rows,
        "users": verdict.users,
        "gain": _text(verdict.gain, sign=True),
        "judged": True,
        "holds": verdict.gain.low > 0,
    }
    return pd.DataFrame(
        [
            everything,
            *(
                {
                    "where": f"{each.segmentation}/{each.segment}",
                    "rows": each.rows,
                    "users": each.users,
                    "gain": _text(each.gain, sign=True),
                    "judged": is_judged(each, verdict.gate),
                    "holds": holds(each, verdict.gate),
                }
                for each in verdict.segments
            ),
        ]
    )


def as_markdown(table: pd.DataFrame) -> str:
    """Spell a table in Markdown.

    Examples
    --------
    >>> print(as_markdown(pd.DataFrame([{"scorer": "model", "auc": 0.8}])))
    | scorer | auc |
    |---|---|
    | model | 0.8 |
    """
    header = [f"| {' | '.join(str(column) for column in table.columns)} |", "|---" * len(table.columns) + "|"]
    return "\n".join([*header, *(f"| {' | '.join(_cell(value) for value in row)} |" for row in table.itertuples(index=False))])


def _numbers(prefix: str, interval: Interval) -> dict[str, float]:
    numbers = {prefix.rstrip("_") or "value": interval.value, f"{prefix}low": interval.low, f"{prefix}high": interval.high}
    return {name: round(number, 4) for name, number in numbers.items()}


def _cell(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return "-" if np.isnan(value) else f"{value:g}"
    return str(value)


def _text(interval: Interval, *, sign: bool = False) -> str:
    if np.isnan(interval.value):
        return "-"
    form = "+.4f" if sign else ".4f"
    if np.isnan(interval.low):
        return f"{interval.value:{form}}"
    return f"{interval.value:{form}} [{interval.low:{form}}, {interval.high:{form}}]"
