"""Put a review into the current MLflow run, the same way for training, evaluation and promotion: metrics, tables and plots."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from training.answers import answers
from training.evaluate import Interval
from training.frame import TrainingFrame
from training.gate import Verdict
from training.horizons import HorizonFigures
from training.plots import cause_plot, gain_plot, lift_and_gain, reliability_plot, roc_and_pr
from training.registry import registry_errors
from training.review import CHAMPION, MODEL, RECENCY, Review
from training.tables import (
    alert_promise,
    alert_table,
    as_markdown,
    horizon_table,
    scorer_rows,
    segment_gain_rows,
    segment_rows_table,
    stability_table,
    verdict_table,
)
from training.thresholds.alerts import Alerts
from training.thresholds.report import threshold_metrics
from training.tracking import NOTE_TAG

_STABILITY_FIGURES = ("agreement", "agreement_of_stable", "stable_share", "min_lead")
_SEGMENT_FIGURES = ("rows", "share", "dropout_rate", "mean_risk", "brier", "auc")


def record_review(review: Review, test: TrainingFrame, horizons: Sequence[HorizonFigures] = (), *, beside: str | None = None) -> None:
    """Log what a reviewer looks at to the active run.

    Tables under ``tables/``, plots under ``plots/``, the metrics of `review_metrics` and `horizon_metrics`; and as parameters, which
    MLflow's comparison of runs shows first, the `training.answers.answers`.

    Parameters
    ----------
    beside
        Version of the champion that the model is compared with; None without one.
    """
    import mlflow

    mlflow.log_params(answers(review, test, beside=beside))
    mlflow.log_metrics(review_metrics(review) | horizon_metrics(horizons))
    mlflow.log_table(scorer_rows(review), "tables/scorers.json")
    mlflow.log_table(segment_rows_table(review), "tables/segments.json")
    mlflow.log_table(segment_gain_rows(review), "tables/segment_gains.json")
    if review.stability:
        mlflow.log_table(stability_table(review.stability), "tables/cause_stability.json")
    if review.alerts is not None:
        _log_alerts(review.alerts)
    if horizons:
        mlflow.log_table(horizon_table(horizons), "tables/horizons.json")
    _log_plots(review, test)


def record_verdict(verdict: Verdict) -> None:
    """Log what the gate found to the active run."""
    import mlflow

    mlflow.log_table(verdict_table(verdict), "tables/gate.json")
    mlflow.log_metrics(finite({"gate.passed": float(verdict.passed)} | _with_bounds("gate.gain", verdict.gain)))
    mlflow.set_tags({"stillhere.gate": "passed" if verdict.passed else "refused", "stillhere.gate_because": verdict.because})


def review_metrics(review: Review) -> dict[str, float]:
    """Figures to log, by stable names, so that two runs stand side by side in MLflow's comparison.

    First, since MLflow shows the first ones first, ``gain_over_<scorer>.<metric>``, above 0 where the model is better; then
    ``<scorer>.<figure>``, each with ``_low`` and ``_high``; then
    ``segment.<segmentation>.<segment>.<figure>`` and ``segment.<segmentation>.<segment>.gain_over_<scorer>.<metric>``.
    """
    logged: dict[str, float] = {}
    for over, gains in review.gains.items():
        for metric, gain in gains.items():
            logged |= _with_bounds(f"gain_over_{_short(over)}.{metric}", gain)
    for scorer, evaluation in review.evaluations.items():
        for name, interval in evaluation.figures.items():
            logged |= _with_bounds(f"{spelled(scorer)}.{name}", interval)
    logged["contrib.one_row_ms"] = review.causes.one_row_ms
    for figures in review.segment_figures:
        prefix = f"segment.{figures.segmentation}.{figures.segment}"
        logged |= {f"{prefix}.{name}": float(getattr(figures, name)) for name in _SEGMENT_FIGURES}
    for each in review.segment_gains:
        prefix = f"segment.{each.segmentation}.{each.segment}.gain_over_{_short(each.over)}"
        logged |= _with_bounds(f"{prefix}.{each.metric}", each.gain)
    return finite(logged | _alert_metrics(review) | _stability_metrics(review))


def _alert_metrics(review: Review) -> dict[str, float]:
    """``alert.whole.threshold``, ``alert.segment.free.recall_low``, ...: the names of a thresholds run, behind ``alert.``."""
    solved = None if review.alerts is None else review.alerts.solved
    return {} if solved is None else {f"alert.{name}": value for name, value in threshold_metrics(solved).items()}


def _stability_metrics(review: Review) -> dict[str, float]:
    """``cause_stability.agreement`` of the model, ``cause_stability.champion.agreement`` beside it; by cause ``..._agreement``."""
    logged: dict[str, float] = {}
    for scorer, found in review.stability.items():
        prefix = "cause_stability" if scorer == MODEL else f"cause_stability.{spelled(scorer)}"
        logged |= {f"{prefix}.{name}": float(getattr(found, name)) for name in _STABILITY_FIGURES}
        for name in ("agreement", "agreement_of_stable", "stable_share", "min_lead"):
            by_cause = getattr(found, "min_lead_by_cause" if name == "min_lead" else f"{name}_by_cause")
            logged |= {f"{prefix}.{cause}_{name}": value for cause, value in by_cause.items()}
    return logged


def horizon_metrics(horizons: Sequence[HorizonFigures]) -> dict[str, float]:
    """Figures by horizon: ``model.auc.h7d`` with ``_low`` and ``_high``, ``model.average_precision.h7d``, ``test.dropout_rate.h7d``."""
    logged: dict[str, float] = {}
    for each in horizons:
        prefix = spelled(each.scorer)
        logged |= _with_bounds(f"{prefix}.auc.{each.suffix}", each.auc)
        logged |= {f"{prefix}.average_precision.{each.suffix}": each.average_precision}
        logged |= {f"test.dropout_rate.{each.suffix}": each.dropout_rate, f"test.rows.{each.suffix}": float(each.rows)}
    return finite(logged)


def describe_run(run_id: str, note: str) -> None:
    """Write the note where MLflow shows it: on the run's page."""
    import mlflow

    with registry_errors("describing the run"):
        mlflow.MlflowClient().set_tag(run_id, NOTE_TAG, note)


def spelled(scorer: str) -> str:
    """Spell a scorer's name as part of a metric's.

    Examples
    --------
    >>> spelled("recency alone")
    'recency_alone'
    """
    return scorer.replace(" ", "_")


def finite(figures: Mapping[str, float]) -> dict[str, float]:
    """Figures without those that are not defined: MLflow's comparison cannot draw NaN."""
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def _log_alerts(alerts: Alerts) -> None:
    import mlflow

    table = alert_table(alerts)
    mlflow.log_text(f"# Whom to alert\n\n{alert_promise(alerts)}\n\n{as_markdown(table)}\n", "thresholds.md")
    if len(table):
        mlflow.log_table(table, "tables/thresholds.json")


def _log_plots(review: Review, test: TrainingFrame) -> None:
    import mlflow

    outcomes, causes = test.outcomes, review.causes
    probabilities = {name: review.scored[name].probabilities for name in (MODEL, CHAMPION) if name in review.scored}
    mlflow.log_figure(roc_and_pr(review.scores, outcomes), "plots/roc_pr.png")
    mlflow.log_figure(lift_and_gain(review.scores, outcomes), "plots/lift_gain.png")
    mlflow.log_figure(reliability_plot(probabilities, outcomes), "plots/reliability.png")
    mlflow.log_figure(cause_plot(causes.names, causes.sums), "plots/shap_by_cause.png")
    if review.segment_gains:
        mlflow.log_figure(gain_plot(review.gains, review.segment_gains), "plots/gain_by_segment.png")


def _with_bounds(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _short(scorer: str) -> str:
    return "recency" if scorer == RECENCY else spelled(scorer)
