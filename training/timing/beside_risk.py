"""Timing as a part of a training run: fitted on the risk model's own slices, kept in the same bundle, or left out with the reason."""

from __future__ import annotations

from dataclasses import dataclass, replace

from features.backfill.columns import read_columns
from features.core.product import Product
from features.home import Home
from training.dataset import label_source
from training.errors import OneClassError, TooLittleDataError
from training.pipeline import TrainedModel
from training.timing.fitted import FittedTiming, TimingOptions, fit_timing
from training.timing.run import log_timing
from training.timing.watch import watch, zones_at

SKIPPED = "stillhere.skipped_because"
"""Tag of a stage that had nothing to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Zones:
    """Where the clock on a user's wall comes from."""

    attribute: str = "timezone"  # of the profile
    default: str = "UTC"  # of those without


def with_timing(trained: TrainedModel, home: Home, *, zones: Zones, seed: int, labels: str | None = None) -> TrainedModel:
    """Add hazard and habits to a trained model, and log them to the active run.

    Where too little was watched for it, or the outcomes come from a log of their own, the model is returned without, and says why.
    """
    product = trained.slices.train.product
    try:
        _require_watched(product, labels)
        fitted = _fit(trained, home, zones, seed=seed)
    except (TooLittleDataError, OneClassError) as exc:
        _tag_skipped(str(exc))
        return replace(trained, no_timing=str(exc))
    log_timing(fitted)
    return replace(trained, timing=fitted, content=replace(trained.content, timing=fitted.model))


def _require_watched(product: Product, labels: str | None) -> None:
    given = label_source(product, labels)
    if given is not None:
        raise TooLittleDataError(f"timing: outcomes come from the labels log {given.name}; when users came back is not watched there")
    if not product.label.activity:
        raise TooLittleDataError("timing: label.activity names no kind, so nobody's return is watched; name some in product.yaml")


def _fit(trained: TrainedModel, home: Home, zones: Zones, *, seed: int) -> FittedTiming:
    product = trained.slices.train.product
    raw = read_columns(home.raw_dir(product.name), product)
    watched = watch(raw, product, zones=zones_at(home.profiles_file(product.name), zones.attribute), default_zone=zones.default)
    return fit_timing(trained.slices, watched, options=TimingOptions(seed=seed), signature=trained.content.signature)


def _tag_skipped(why: str) -> None:
    import mlflow

    if mlflow.active_run() is not None:
        mlflow.set_tag(SKIPPED, why)
