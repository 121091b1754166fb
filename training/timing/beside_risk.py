"""Timing as a part of a training run: fitted on the risk model's own slices, kept in the same bundle, or left out with the reason."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from features.backfill.columns import read_columns
from features.core.product import Product
from features.home import Home
from training.dataset import label_source
from training.errors import OneClassError, TooLittleDataError
from training.pipeline import TrainedModel
from training.timing.fitted import FittedTiming, TimingOptions, fit_timing
from training.timing.run import learned_from, log_timing
from training.timing.trial_log import rows_of_trial
from training.timing.watch import watch, zones_at

SKIPPED = "stillhere.skipped_because"
"""Tag of a stage that had nothing to do."""
NO_RESPONSE = "stillhere.no_response_because"
"""Tag of a timing stage that learned nothing of delays."""
_NO_TRIAL = "no trial was given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Zones:
    """Where the clock on a user's wall comes from."""

    attribute: str = "timezone"  # of the profile
    default: str = "UTC"  # of those without


def with_timing(
    trained: TrainedModel, home: Home, *, zones: Zones, seed: int, labels: str | None = None, trial: pd.DataFrame | None = None
) -> TrainedModel:
    """Add hazard, habits and, from a trial, the response to delays to a trained model, and log them to the active run.

    Where too little was watched for it, or the outcomes come from a log of their own, the model is returned without, and says why. Where
    the trial is too small to learn from, only the response is left out.

    Parameters
    ----------
    trial
        Decisions with randomised delays, see `training.timing.trial_log.read_trial`; None: no response is learned.

    Raises
    ------
    TrainingError
        If the trial is of another log.
    """
    product = trained.slices.train.product
    try:
        _require_watched(product, labels)
        fitted, no_response = _fit(trained, home, zones, seed=seed, trial=trial)
    except (TooLittleDataError, OneClassError) as exc:
        _tag(SKIPPED, str(exc))
        return replace(trained, no_timing=str(exc))
    log_timing(fitted)
    if no_response:
        _tag(NO_RESPONSE, no_response)
    return replace(trained, timing=fitted, no_response=no_response, content=replace(trained.content, timing=fitted.model))


def _require_watched(product: Product, labels: str | None) -> None:
    given = label_source(product, labels)
    if given is not None:
        raise TooLittleDataError(f"timing: outcomes come from the labels log {given.name}; when users came back is not watched there")
    if not product.label.activity:
        raise TooLittleDataError("timing: label.activity names no kind, so nobody's return is watched; name some in product.yaml")


def _fit(trained: TrainedModel, home: Home, zones: Zones, *, seed: int, trial: pd.DataFrame | None) -> tuple[FittedTiming, str]:
    """Fit hazard, habits and response; where there is none of the last, the reason, else ""."""
    product, signature = trained.slices.train.product, trained.content.signature
    raw = read_columns(home.raw_dir(product.name), product)
    watched = watch(raw, product, zones=zones_at(home.profiles_file(product.name), zones.attribute), default_zone=zones.default)
    fitted = fit_timing(trained.slices, watched, options=TimingOptions(seed=seed), signature=signature)
    if trial is None:
        return fitted, _NO_TRIAL + _lost(trained)
    try:
        drawn = rows_of_trial(trial, (product, home), (raw, watched), signature=signature, receptivity=fitted.model.receptivity)
        return learned_from(drawn, fitted, attributes=signature.categorical_inputs, seed=seed), ""
    except (TooLittleDataError, OneClassError) as exc:
        return fitted, str(exc) + _lost(trained)


def _lost(trained: TrainedModel) -> str:
    """What to say where the champion has a response: it belongs to the champion's own inputs, and is not handed on."""
    bundle = None if trained.champion is None else trained.champion.bundle
    if bundle is None or bundle.timing is None or bundle.timing.response is None:
        return ""
    return "; the champion learned one, and it is not handed on: train with the champion's trial again"


def _tag(name: str, why: str) -> None:
    import mlflow

    if mlflow.active_run() is not None:
        mlflow.set_tag(name, why)
