"""A run of timing: fit, measure, and record in MLflow, nested under the run that is active."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from features.backfill.columns import read_columns
from features.core.product import Product
from features.home import Home
from models.timing.response import ResponseModel
from training.dataset import IMPLIED, Join, build_frame
from training.frame import TrainingFrame, learn_signature
from training.freshness import Look, require_fresh_log
from training.pipeline import Report, say_nothing
from training.process_mark import mark
from training.provenance import note_product, note_rows
from training.timing.fitted import FittedTiming, TimingOptions, fit_timing, slices_of
from training.timing.response_fit import fit_response
from training.timing.timing_plots import timing_plots
from training.timing.trial_log import DrawnDelays, read_trial, rows_of_trial
from training.timing.watch import watch, zones_at
from training.tracking import experiment_name, prepare_tracking

FIGURES = {
    "ibs": "integrated Brier score",
    "ibs_kaplan_meier": "  of Kaplan-Meier by segment",
    "receptivity_log_likelihood": "log-likelihood of the hour of the next activity",
    "ewma_log_likelihood": "  of the moving average (S2.26)",
    "histogram_log_likelihood": "  of the user's hour histogram",
    "population_log_likelihood": "  of everybody's week",
}
"""Figures in the order in which they are read, each baseline below what must beat it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingRun:
    """What a run left behind."""

    fitted: FittedTiming
    run_id: str
    tracking_uri: str


def time_product(  # noqa: PLR0913 - each is a choice of the caller's
    product: Product,
    home: Home,
    *,
    trial: Path | None = None,
    options: TimingOptions | None = None,
    zones: tuple[str, str] = ("timezone", "UTC"),
    report: Report = say_nothing,
    join: Join | None = None,
    look: Look | None = None,
) -> TimingRun:
    """Fit timing on everything imported so far and record it in MLflow.

    Parameters
    ----------
    trial
        Parquet file of decisions with randomised delays, see `training.timing.trial_log.read_trial`; None: no response is learned.
    zones
        Attribute that names a user's zone, and the zone of those without.
    look
        When one looks, and how old the log may be; None: any age.

    Raises
    ------
    TrainingError
        If the log is empty, stale or too short, or the trial cannot be learned from.
    """
    options = options or TimingOptions()
    tracking_uri = prepare_tracking()
    table = None if trial is None else read_trial(trial)
    require_fresh_log(product, home, look)
    frame = build_frame(product, home, labels=IMPLIED, report=report, join=join)
    raw = read_columns(home.raw_dir(product.name), product)
    watched = watch(raw, product, zones=zones_at(home.profiles_file(product.name), zones[0]), default_zone=zones[1])
    report("fitting hazard and habits", 0.0)
    slices = slices_of(frame)
    fitted = fit_timing(slices, watched, options=options)
    report("fitting hazard and habits", 1.0)
    if table is not None:
        report("fitting the response", 0.0)
        signature = learn_signature(slices.train)
        drawn = rows_of_trial(table, (product, home), (raw, watched), signature=signature, receptivity=fitted.model.receptivity, join=join)
        fitted = learned_from(drawn, fitted, attributes=signature.categorical_inputs, seed=options.seed)
        report("fitting the response", 1.0)
    product_dir = None if look is None else look.product_dir
    run_id = record_timing(fitted, frame, source=home.raw_dir(product.name), product_dir=product_dir)
    return TimingRun(fitted=fitted, run_id=run_id, tracking_uri=tracking_uri)


def learned_from(drawn: DrawnDelays, fitted: FittedTiming, *, attributes: tuple[int, ...], seed: int) -> FittedTiming:
    """Add the response that a trial's rows show; ``attributes`` as for `fit_response`."""
    rows, actions, delays_s = drawn
    return with_response(fitted, fit_response(rows, actions=actions, delays_s=delays_s, attributes=attributes, seed=seed))


def with_response(fitted: FittedTiming, response: ResponseModel) -> FittedTiming:
    """Add the response, and what held-out users said of it to the figures."""
    figures = {
        "response_rows": float(response.n_rows),
        "response_slope": response.slope,
        "response_slope_se": response.slope_se,
        "response_gain": response.gain,
        "response_gain_se": response.gain_se,
        "response_miss": response.miss.expected,
        "response_gain_miss": max(response.miss.gain, default=0.0),
        "response_is_shown": float(response.is_shown),
    }
    return replace(fitted, model=replace(fitted.model, response=response), figures={**fitted.figures, **figures})


def record_timing(fitted: FittedTiming, frame: TrainingFrame, *, source: Path, product_dir: Path | None = None) -> str:
    """Log what was fitted on which rows to a run "timing", nested where one is active; returns its id."""
    import mlflow

    active = mlflow.active_run() is not None
    if not active and "MLFLOW_RUN_ID" not in os.environ:  # `mlflow run` has chosen both
        mlflow.set_experiment(experiment_name(frame.product.name))
    with mlflow.start_run(run_name="timing", nested=active, tags=mark()) as run:
        note_product(frame.product, product_dir)
        note_rows(frame, "timing", source)
        log_timing(fitted)
        return str(run.info.run_id)


def log_timing(fitted: FittedTiming) -> None:
    """Log figures, plots, the table and ``timing.json`` to the active run."""
    import mlflow

    mlflow.log_metrics(timing_metrics(fitted))
    mlflow.log_params(_parameters(fitted))
    for name, figure in timing_plots(fitted).items():
        mlflow.log_figure(figure, f"plots/{name}")
    mlflow.log_text(table_of(fitted.figures), "timing/figures.md")
    with tempfile.TemporaryDirectory() as scratch:
        part = Path(scratch) / "timing.json"
        part.write_text(json.dumps(fitted.model.to_json(), sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
        mlflow.log_artifact(str(part), "timing")


def timing_metrics(fitted: FittedTiming) -> dict[str, float]:
    """Figures by the names that MLflow shows: ``timing.ibs``, ``timing.ibs_kaplan_meier``, ..."""
    return {f"timing.{name}": value for name, value in fitted.figures.items()}


def said_of_response(response: ResponseModel | None, why_none: str = "") -> str:
    """What was learned of delays, for people; ``why_none`` where nothing was."""
    if response is None:
        return f"none learned, since {why_none or 'no trial was given'}; every curve abstains"
    shown = "shown" if response.is_shown else "not shown, so every curve abstains"
    return (
        f"effect of timing on {response.n_rows:,} randomised rows: {shown}; slope {response.slope:.2f} (se {response.slope_se:.2f}),"
        f" gain over now {response.gain:+.4f} (se {response.gain_se:.4f})"
    )


def table_of(figures: Mapping[str, float]) -> str:
    """The figures as a Markdown table, each beside what it must beat."""
    shown = [f"| {text} | {figures[name]:.4f} |" for name, text in FIGURES.items() if name in figures]
    return "\n".join(["| on the test slice | value |", "|---|---|", *shown, ""])


def _parameters(fitted: FittedTiming) -> dict[str, float | int]:
    receptivity = fitted.model.receptivity
    return {
        "timing.half_life_days": receptivity.half_life_s / 86_400,
        "timing.kernel_h": receptivity.kernel_h,
        "timing.day_strength": receptivity.day_strength,
        "timing.week_strength": receptivity.week_strength,
        "timing.periods": len(fitted.model.hazard.edges_s) - 1,
    }
