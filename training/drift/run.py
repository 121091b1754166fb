"""Drift of a product, from training rows and receipts to an MLflow run: the only place here that meets MLflow."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

from features.backfill.columns import read_columns
from features.core.event import to_us
from features.core.product import Product
from features.home import Home
from training.bounds import require_number
from training.dataset import build_frame, label_source
from training.drift.compare import RISK, Drift, Pair, Tolerance, compare
from training.drift.live import live_rows, span
from training.drift.report import drift_metrics, drift_page, drift_plot, drift_table
from training.drift.trigger import Reason, reasons
from training.frame import AS_OF, OUTCOME, USER, TrainingFrame
from training.freshness import MOST_DAYS, Look, require_fresh_log
from training.pipeline import Report, say_nothing
from training.provenance import log_table, note_rows
from training.thresholds.champion import ServingChampion, load_champion
from training.thresholds.decisions import with_outcomes
from training.thresholds.run import ALARM
from training.tracked import latest_run, tracked_run

RETRAIN = "stillhere.retrain"
"""Tag of a drift run: kinds of the reasons to train again, "" without any."""


class Source(StrEnum):
    """Where the rows of now come from."""

    RECEIPTS = "receipts"  # what decisions were made with
    LOG = "log"  # rows of the log after those that the champion was measured on


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftOptions:
    """What may be chosen.

    Raises
    ------
    BadInputError
        If a champion is to be replaced before it exists.
    """

    source: Source = Source.RECEIPTS
    since: datetime | None = None  # rows of now before it are left out
    retrain_every: timedelta | None = timedelta(days=30)
    tolerance: Tolerance = field(default_factory=Tolerance)
    labels: str | None = None  # as for `training.dataset.build_frame`

    def __post_init__(self) -> None:
        if self.retrain_every is not None:
            days = self.retrain_every / timedelta(days=1)
            require_number("retrain_every_days", days, above=0.0, most=MOST_DAYS, advice="30 is the default; None: never")


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRun:
    """What was found."""

    drift: Drift
    reasons: tuple[Reason, ...]
    notes: tuple[str, ...]
    champion: ServingChampion
    run_id: str


def drift_product(
    product: Product, home: Home, look: Look, options: DriftOptions | None = None, *, report: Report = say_nothing
) -> DriftRun:
    """Compare the rows that the champion learned from with those of now, and say whether to train again.

    Features and attributes are compared with the rows of its fit; predictions and outcomes with rows that it had not seen, since a model is
    surer of what it was fitted on.

    Raises
    ------
    TrainingError
        If there is no champion, the log is empty or stale, there are no receipts of this product, or too few users.
    """
    options = options or DriftOptions()
    with tracked_run(product, "drift", product_dir=look.product_dir) as run_id:
        require_fresh_log(product, home, look)
        champion = load_champion(product)
        frame = build_frame(product, home, labels=options.labels, now=look.now, report=report)
        note_rows(frame, "drift", home.raw_dir(product.name))
        pairs, notes = _pairs(product, home, frame, champion, options)
        drift = compare(product, pairs, options.tolerance)
        alarm = _alarm(product, since=champion.created_at)
        found = reasons(drift, trained_at=champion.created_at, now=look.now, retrain_every=options.retrain_every, alarm=alarm)
        _record(drift, found, notes, champion)
    return DriftRun(drift=drift, reasons=tuple(found), notes=tuple(notes), champion=champion, run_id=run_id)


def _pairs(
    product: Product, home: Home, frame: TrainingFrame, champion: ServingChampion, options: DriftOptions
) -> tuple[list[Pair], list[str]]:
    """Rows of then beside rows of now: features, predictions, and outcomes where enough are known."""
    fitted, measured, later = _parts(frame, champion)
    if options.source is Source.LOG:
        now = later.rows if options.since is None else later.rows[later.rows[AS_OF] >= options.since]
        known = now = now.assign(**{RISK: _risk(replace(later, rows=now), champion)})
        left_out: dict[str, int] = {}
    else:
        decided = live_rows(home.receipts_dir(product.name), product, since=options.since)
        matured = with_outcomes(decided, read_columns(home.raw_dir(product.name), product), product)
        now, known, left_out = decided.rows, matured.rows, matured.left_out
        log_table(now, f"{product.name}-receipts", home.receipts_dir(product.name))
    unseen = measured.rows.assign(**{RISK: _risk(measured, champion)})
    seen = tuple(name for name in fitted.rows.columns if name not in {USER, AS_OF, OUTCOME})
    pairs = [Pair(reference=fitted.rows, current=now, columns=seen), Pair(reference=unseen, current=now, columns=(RISK,))]
    notes = [f"fitted on: {span(fitted.rows)}", f"measured on: {span(unseen)}", f"now: {span(now)}"] if len(now) else []
    notes += [f"left out: {count} {why}" for why, count in left_out.items() if count]
    if options.source is Source.RECEIPTS and label_source(product, options.labels) is not None:
        notes.append("labels come from a log of their own: outcomes of decisions are not compared with them")
    elif known[USER].nunique() >= options.tolerance.least_users:
        pairs.append(Pair(reference=unseen, current=known, columns=(OUTCOME,)))
        notes.append(f"outcomes known of {known[USER].nunique()} users: {known[OUTCOME].mean():.1%} of their rows dropped out")
    else:
        notes.append(f"outcomes known of {known[USER].nunique()} users only: label drift is not tested yet")
    return pairs, notes


def _parts(frame: TrainingFrame, champion: ServingChampion) -> tuple[TrainingFrame, TrainingFrame, TrainingFrame]:
    """Rows of the champion's fit (train and stop), of its test slice, and later ones."""
    slices = champion.bundle.about["slices"]
    bounds = [to_us(datetime.fromisoformat(text)) for text in (slices["stop"]["to"], slices["test"]["from"], slices["test"]["to"])]
    minute_us = 60_000_000  # the bounds are written in whole minutes
    at = frame.as_of_us
    masks = (at < bounds[0] + minute_us, (at >= bounds[1]) & (at < bounds[2] + minute_us), at >= bounds[2] + minute_us)
    fitted, measured, later = (frame.at(np.flatnonzero(mask)) for mask in masks)
    return fitted, measured, later


def _risk(frame: TrainingFrame, champion: ServingChampion) -> Any:
    return champion.bundle.risk(frame.vectors, frame.profiles()) if len(frame.rows) else np.empty(0)


def _alarm(product: Product, *, since: datetime) -> str:
    """The alarm of the newest monitor run, if it is newer than the model."""
    run = latest_run(product.name, "monitor", with_tag=ALARM)
    if run is None or run.info.start_time < since.timestamp() * 1000:
        return ""
    return str(run.data.tags.get(ALARM, ""))


def _record(drift: Drift, found: list[Reason], notes: list[str], champion: ServingChampion) -> None:
    import mlflow

    mlflow.log_metrics(drift_metrics(drift))
    mlflow.log_text(drift_page(drift, found, notes), "drift.md")
    mlflow.log_table(pd.DataFrame(drift_table(drift)), "drift.json")
    mlflow.log_figure(drift_plot(drift), "plots/drift.png")
    mlflow.set_tags({RETRAIN: ",".join(each.why.value for each in found), "stillhere.model_version": champion.version})
