"""The comparison as tables: what MLflow shows as artifacts, and what a card or a note quotes. Rows are plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd

from models.cause_stability import NEVER, CauseStability
from training.cohorts import CohortDrift
from training.compare import SegmentGain
from training.evaluate import Interval
from training.explanation_budget import over_budget
from training.gate import Verdict, holds, is_judged
from training.horizons import HorizonFigures
from training.review import BASE_RATE, Review
from training.thresholds.alerts import Alerts
from training.thresholds.report import TITLES, threshold_table

SHOWN = ("auc", "average_precision", "log_loss", "brier", "ece", "calibration_slope")


def scorer_table(review: Review) -> pd.DataFrame:
    """One row per scorer: each figure with its interval, the model's paired gain over that scorer, and how stable its causes are."""
    rows = []
    for name, evaluation in review.evaluations.items():
        row: dict[str, object] = {"scorer": name}
        row |= {shown: _text(evaluation.figures[shown]) for shown in SHOWN if name != BASE_RATE or shown in {"log_loss", "brier"}}
        row |= {f"gain of the model: {metric}": _text(gain, sign=True) for metric, gain in review.gains.get(name, {}).items()}
        if review.stability:
            row["causes agree"] = f"{review.stability[name].agreement:.0%}" if name in review.stability else ""
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


def alert_table(alerts: Alerts) -> pd.DataFrame:
    """One row per segment and one for everybody: the threshold, both alert errors, share alerted and recall; empty without thresholds."""
    if alerts.solved is None:
        return pd.DataFrame()
    table = pd.DataFrame(threshold_table(alerts.solved))
    first = ["segment", "threshold", *TITLES.values()]  # a page shows four or five columns before one must scroll
    return table[[*first, *(name for name in table if name not in first)]]


def alert_promise(alerts: Alerts) -> str:
    """Say in a sentence what the thresholds hold, or why there are none."""
    contract = alerts.contract
    promised = f"{TITLES[contract.error.value]} at most {contract.bound:.0%} with {contract.confidence:.0%} confidence"
    if alerts.solved is None:
        return f"No thresholds that hold {promised}: {alerts.because}."
    undecided = ", ".join(alerts.solved.undecided)
    strict = f" Not enough data, hence the strictest of the others: {undecided}." if undecided else ""
    return f"Solved to hold {promised}, all rows of the table together. Intervals: 95 %, users counted.{strict}"


def cohort_table(drift: Sequence[CohortDrift]) -> pd.DataFrame:
    """One row per cohort: what was predicted for it, what was observed, and the shift between them in log-odds."""
    return pd.DataFrame(
        [
            {
                "cohort": each.cohort,
                "rows": each.rows,
                "predicted": round(each.predicted, 4),
                "observed": round(each.observed, 4),
                "observed_low": round(each.low, 4),
                "observed_high": round(each.high, 4),
                "shift": round(each.shift, 3),
                "shift_se": round(float(np.sqrt(each.shift_variance)), 3),
            }
            for each in drift
        ]
    )


def stability_table(stability: Mapping[str, CauseStability]) -> pd.DataFrame:
    """One column per scorer whose causes were refitted: how often the refits name the same cause, and how many users are named one."""
    columns = {
        name: {
            "refits name the same cause": each.agreement,
            "the same, where a cause is named": each.agreement_of_stable,
            "share with a named cause": each.stable_share,
            "least lead to be named, log-odds": _lead(each.min_lead),
            **{row: value for cause in each.agreement_by_cause for row, value in _of_cause(each, cause).items()},
        }
        for name, each in stability.items()
    }
    return pd.DataFrame(columns).round(3).rename_axis("causes").reset_index()


def _of_cause(found: CauseStability, cause: str) -> dict[str, float | None]:
    """Rows about one cause; what an older model does not say is left empty."""
    return {
        f"{cause}: refits name it too": found.agreement_by_cause[cause],
        f"{cause}: the same, where it is named": found.agreement_of_stable_by_cause.get(cause),
        f"{cause}: share that is named": found.stable_share_by_cause.get(cause),
        f"{cause}: least lead to be named": _lead(found.lead_needed(cause)),
    }


def _lead(lead: float) -> float | None:
    """A lead for people; none where no cause has it."""
    return None if lead >= NEVER else lead


NOT_JUDGED = "not judged"
"""Instead of yes or no, where a segment is too small to say."""


def verdict_table(verdict: Verdict) -> pd.DataFrame:
    """What the gate looked at: all rows, each segment, with those that are too small to be judged, and what one explanation costs."""
    everything = {
        "where": "all rows",
        "rows": verdict.rows,
        "users": verdict.users,
        "gain": _text(verdict.gain, sign=True),
        "holds": verdict.gain.low > 0,
    }
    segments = [
        {
            "where": f"{each.segmentation}/{each.segment}",
            "rows": each.rows,
            "users": each.users,
            "gain": _text(each.gain, sign=True),
            "holds": holds(each, verdict.gate) if is_judged(each, verdict.gate) else NOT_JUDGED,
        }
        for each in verdict.segments
    ]
    return pd.DataFrame([everything, *segments, *_explanation_row(verdict)])


def _explanation_row(verdict: Verdict) -> list[dict[str, object]]:
    if verdict.one_row_ms is None:
        return []
    budget_ms = verdict.gate.explanation_budget_ms
    took = f"{verdict.one_row_ms:.2f} ms, budget {f'{budget_ms:g} ms' if budget_ms > 0 else 'none'}"
    return [{"where": "one explanation", "rows": 1, "users": 1, "gain": took, "holds": not over_budget(verdict.one_row_ms, budget_ms)}]


def unjudged(verdict: Verdict) -> str:
    """Name the segments of which the gate promises nothing: too small to judge, or to see a loss beyond the margin; "" without any."""
    gate = verdict.gate
    small = [each for each in verdict.segments if not is_judged(each, gate)]
    blurred = [each for each in verdict.segments if is_judged(each, gate) and holds(each, gate) and each.gain.low < -gate.margin]
    said = {
        f"Not judged, with fewer than {gate.min_rows} rows or {gate.min_users} users, or without a figure": small,
        f"Too few to say whether it is worse by more than {gate.margin:g}": blurred,
    }
    return " ".join(f"{what}: {', '.join(map(_sized, segments))}." for what, segments in said.items() if segments)


def _sized(segment: SegmentGain) -> str:
    return f"{segment.segmentation}/{segment.segment} ({segment.rows} rows, {segment.users} users)"


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
