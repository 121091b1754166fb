"""The pipeline as plain functions: a training frame in, a reviewed model out. Nothing here touches MLflow, Feast or the disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from models.bundle import BundleContent
from models.calibration import shift_odds
from models.levels import CohortLevels
from models.risk import RiskModel
from models.signature import Signature
from training.bounds import require_seed
from training.calibrate import CalibrationChoice, choose_calibration
from training.cohorts import by_first_week, choose_correction
from training.compare import Scored
from training.errors import NotComparableError
from training.fit import FitParameters, Fitted, fit
from training.frame import USER, TrainingFrame, causes_of, learn_signature
from training.gate import unlearned
from training.leaks import require_no_tell_tale
from training.levels import choose_levels, declared_cohorts, final_levels, scored_rows
from training.registry import Champion
from training.review import (
    CHAMPION,
    MODEL,
    Review,
    baselines,
    bundle_scored,
    explain_sample,
    known_stability,
    review,
    slice_summary,
    with_alerts,
)
from training.segment_report import segment_rows
from training.segments import LearnedSegments, learn_segments
from training.split import Slices, require_gaps, split_by_time
from training.stages import Stage, no_stage
from training.thresholds.report import threshold_metrics
from training.timing.fitted import FittedTiming

_US = timedelta(microseconds=1)

FloatArray = npt.NDArray[np.float64]
Report = Callable[[str, float], None]
"""Called with a stage's name and its share done, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """A model, ready to be written as a bundle, and everything known about it."""

    content: BundleContent
    slices: Slices
    parameters: FitParameters
    fitted: Fitted
    calibration: CalibrationChoice
    review: Review
    segments: LearnedSegments | None  # None where behaviour was too little or too much alike
    too_good: Mapping[str, float] = field(default_factory=dict)  # inputs that alone order the outcomes suspiciously well, and their AUC
    champion: Champion | None = None  # the one that this model is compared with
    timing: FittedTiming | None = None  # None where it was not asked for, or could not be learned
    no_timing: str = ""  # why it could not
    no_response: str = ""  # why nothing was learned of delays, where the rest of timing was


def say_nothing(stage: str, share: float) -> None:
    """Report to nobody."""


def train_model(
    frame: TrainingFrame,
    *,
    parameters: FitParameters | None = None,
    seed: int = 0,
    report: Report = say_nothing,
    champion: Champion | None = None,
    stage: Stage = no_stage,
) -> TrainedModel:
    """Split by time, fit, calibrate on a later slice, measure on the latest.

    Parameters
    ----------
    champion
        The present champion: scored on the same test rows, of which those that it has learned from are left out; the ids of its learned
        segments are kept where segments are the same.
    stage
        Called around each stage: ``training.stages.mlflow_stage`` nests a run for each.

    Raises
    ------
    TooLittleDataError, OneClassError
        If a slice cannot be learned from or measured on.
    BadInputError
        If the seed is out of its range.
    """
    require_seed(seed)
    slices = split_by_time(frame)
    require_gaps(slices)
    slices, champion = _fair(slices, champion)
    beside = Beside(champion=champion, stage=stage)
    return train_slices(slices, parameters=parameters or FitParameters(), seed=seed, report=report, beside=beside)


def train_slices(
    slices: Slices, *, parameters: FitParameters, seed: int, report: Report = say_nothing, beside: Beside | None = None
) -> TrainedModel:
    """Train on slices that were cut elsewhere: fit on ``train``, stop on ``stop``, calibrate on ``calibration``, measure on ``test``."""
    beside = beside or Beside()
    product, stage = slices.train.product, beside.stage
    signature = learn_signature(slices.train)
    too_good = require_no_tell_tale(slices.fitted, signature, max_auc=parameters.leak_auc)
    with stage("fit") as note:
        fitted = fit(
            slices.train,
            slices.stop,
            signature,
            parameters=parameters,
            seed=seed,
            progress=lambda done, of: report("fitting LightGBM", done / of),
        )
        note({"lightgbm.rounds": fitted.rounds, "stop.log_loss": fitted.stop_log_loss})
    report("fitting LightGBM", 1.0)
    model = RiskModel(fitted.model_text, len(signature.input_names))
    report("learning segments", 0.0)
    with stage("segments") as note:
        segments = learn_segments(slices.train, seed=seed, previous=None if beside.champion is None else beside.champion.segments)
        note({"segments.k": 0 if segments is None else segments.k})
    report("learning segments", 1.0)
    with stage("calibrate") as note:
        choice = _calibrate(model, signature, slices.calibration)
        note(calibration_metrics(choice))
    causes = causes_of(product)
    content = BundleContent(
        product=product.name,
        model_text=fitted.model_text,
        signature=signature,
        calibration=choice.calibration,
        causes=causes,
        segments=None if segments is None else segments.model,
        levels=_levels(choice, model, signature, slices.calibration),
        about=_about(slices),
    )
    measured = _measure(slices, content, model, seed=seed, report=report, beside=beside)
    return TrainedModel(
        content=content,
        slices=slices,
        parameters=parameters,
        fitted=fitted,
        calibration=choice,
        review=measured,
        segments=segments,
        too_good=too_good,
        champion=beside.champion,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What a training happens beside: the champion it is compared with, and whoever keeps the book of its stages."""

    champion: Champion | None = None
    stage: Stage = field(default=no_stage)


def _fair(slices: Slices, champion: Champion | None) -> tuple[Slices, Champion | None]:
    """Leave out test rows that the champion has learned from; where too few would remain, it is not compared, and why is kept."""
    if champion is None or champion.bundle is None:
        return slices, champion
    try:
        rows = unlearned(slices.test, {f"champion {champion.version.version}": champion.bundle})
    except NotComparableError as exc:
        return slices, replace(champion, bundle=None, unusable=str(exc))
    return replace(slices, test=slices.test.at(np.flatnonzero(rows))), champion


def _measure(slices: Slices, content: BundleContent, model: RiskModel, *, seed: int, report: Report, beside: Beside) -> Review:
    report("evaluating", 0.0)
    encoded = encode(slices.test, content.signature)
    with beside.stage("explain") as note:
        causes = explain_sample(model, encoded, tuple(content.causes[name] for name in content.signature.input_names))
        note({"contrib.one_row_ms": causes.one_row_ms})
    report("evaluating", 0.3)
    with beside.stage("evaluate") as note:
        raw = model.raw_scores(encoded)
        scored = _scored(content, raw, slices.test)
        champion = beside.champion.bundle if beside.champion else None
        others = {} if champion is None else {CHAMPION: bundle_scored(champion, slices.test)}
        others |= baselines(slices, seed=seed)
        measured = review(slices.test, scored, others, segments=segment_rows(slices.test, content.segments), causes=causes)
        note({f"model.{name}": measured.evaluations[MODEL].figures[name].value for name in ("auc", "log_loss", "brier", "ece")})
    report("evaluating", 0.8)
    with beside.stage("thresholds") as note:
        measured = with_alerts(measured, slices.test)
        note({} if measured.alerts is None or measured.alerts.solved is None else threshold_metrics(measured.alerts.solved))
    report("evaluating", 1.0)
    return replace(measured, stability=known_stability(champion=champion))


def encode(frame: TrainingFrame, signature: Signature) -> FloatArray:
    """Model inputs of every row, shape (n_rows, n_inputs)."""
    return signature.encode(frame.vectors, frame.profiles())


def with_about(trained: TrainedModel, **facts: Any) -> TrainedModel:
    """Add facts, such as the MLflow run id, to what the bundle says about itself."""
    return replace(trained, content=replace(trained.content, about={**trained.content.about, **facts}))


def _calibrate(model: RiskModel, signature: Signature, calibration: TrainingFrame) -> CalibrationChoice:
    """Choose the map, then how to correct the base rate between those who came in different weeks."""
    raw, users = model.raw_scores(encode(calibration, signature)), calibration.rows[USER].to_numpy()
    choice = choose_calibration(raw, calibration.outcomes, calibration.as_of_us, users, horizon_us=calibration.horizon // _US)
    cohorts = by_first_week(users, calibration.as_of_us)
    correction = choose_correction(choice.calibration.apply(raw), calibration.outcomes, cohorts)
    choice = replace(choice, calibration=replace(choice.calibration, prior_shift=correction.shift), correction=correction)
    declared = declared_cohorts(calibration)
    if declared is None:
        return choice
    return replace(choice, levels=choose_levels(scored_rows(calibration, choice.calibration.apply(raw), declared)))


def _levels(choice: CalibrationChoice, model: RiskModel, signature: Signature, calibration: TrainingFrame) -> CohortLevels | None:
    """Levels by the outcomes of the calibration slice, all of which are mature when the test slice begins; None where none were better."""
    cohorts = declared_cohorts(calibration)
    if cohorts is None or choice.levels is None or not choice.levels.applied:
        return None
    rows = scored_rows(calibration, choice.calibration.apply(model.raw_scores(encode(calibration, signature))), cohorts)
    return final_levels(rows, str(calibration.product.cohort), between_variance=choice.levels.between_variance)


def _scored(content: BundleContent, raw: FloatArray, test: TrainingFrame) -> Scored:
    """Risk of the test rows as the bundle would give it."""
    risk = content.calibration.apply(raw)
    if content.levels is None:
        return Scored(probabilities=risk, ranks=raw)
    return Scored.by(shift_odds(risk, content.levels.of(test.profiles())))


def calibration_metrics(choice: CalibrationChoice) -> dict[str, float]:
    """Log losses of the maps and of the corrections of the base rate, the shift chosen, and how far weeks of joining differ (log-odds)."""
    logged = {f"calibration.{name}_log_loss": loss for name, loss in choice.log_loss.items()}
    if choice.correction is None:
        return logged
    logged |= {f"correction.{name}_log_loss": loss for name, loss in choice.correction.log_loss.items()}
    logged |= {} if choice.levels is None else {f"levels.{name}_log_loss": loss for name, loss in choice.levels.log_loss.items()}
    spread = float(np.sqrt(choice.correction.prior.between_variance))
    return logged | {"correction.shift": choice.correction.shift, "correction.between_cohorts_sd": spread}


def _about(slices: Slices) -> dict[str, Any]:
    return {
        "horizon_s": slices.train.horizon // timedelta(seconds=1),
        "slices": {name: slice_summary(part) for name, part in slices.named().items()},
    }
