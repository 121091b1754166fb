"""The pipeline as plain functions: a training frame in, a reviewed model out. Nothing here touches MLflow, Feast or the disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from models.bundle import BundleContent
from models.risk import RiskModel
from models.segments import SegmentModel
from models.signature import Signature
from training.calibrate import CalibrationChoice, choose_calibration
from training.cohorts import by_first_week, choose_correction
from training.fit import FitParameters, Fitted, fit
from training.frame import USER, TrainingFrame, causes_of, learn_signature
from training.leaks import require_no_tell_tale
from training.review import Review, review, slice_summary
from training.segment_report import SegmentFigures, segment_figures
from training.segments import LearnedSegments, learn_segments
from training.split import Slices, require_gaps, split_by_time

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
    segment_figures: Sequence[SegmentFigures]


def say_nothing(stage: str, share: float) -> None:
    """Report to nobody."""


def train_model(
    frame: TrainingFrame,
    *,
    parameters: FitParameters | None = None,
    seed: int = 0,
    report: Report = say_nothing,
    previous: SegmentModel | None = None,
) -> TrainedModel:
    """Split by time, fit, calibrate on a later slice, measure on the latest.

    Parameters
    ----------
    previous
        The champion's learned segments, whose ids are kept where segments are the same.

    Raises
    ------
    TooLittleDataError, OneClassError
        If a slice cannot be learned from or measured on.
    """
    slices = split_by_time(frame)
    require_gaps(slices)
    return train_slices(slices, parameters=parameters or FitParameters(), seed=seed, report=report, previous=previous)


def train_slices(
    slices: Slices, *, parameters: FitParameters, seed: int, report: Report = say_nothing, previous: SegmentModel | None = None
) -> TrainedModel:
    """Train on slices that were cut elsewhere: fit on ``train``, stop on ``stop``, calibrate on ``calibration``, measure on ``test``."""
    product = slices.train.product
    signature = learn_signature(slices.train)
    require_no_tell_tale(slices.fitted, signature, max_auc=parameters.leak_auc)
    fitted = fit(
        slices.train,
        slices.stop,
        signature,
        parameters=parameters,
        seed=seed,
        progress=lambda done, of: report("fitting LightGBM", done / of),
    )
    report("fitting LightGBM", 1.0)
    model = RiskModel(fitted.model_text, len(signature.input_names))
    report("learning segments", 0.0)
    segments = learn_segments(slices.train, seed=seed, previous=previous)
    report("learning segments", 1.0)
    choice = _calibrate(model, signature, slices.calibration)
    report("evaluating", 0.0)
    causes = causes_of(product)
    encoded = encode(slices.test, signature)
    raw = model.raw_scores(encoded)
    risk = choice.calibration.apply(raw)
    measured = review(
        slices,
        raw,
        risk,
        model=model,
        encoded=encoded,
        causes=tuple(causes[name] for name in signature.input_names),
    )
    report("evaluating", 1.0)
    content = BundleContent(
        product=product.name,
        model_text=fitted.model_text,
        signature=signature,
        calibration=choice.calibration,
        causes=causes,
        segments=None if segments is None else segments.model,
        about=_about(slices),
    )
    return TrainedModel(
        content=content,
        slices=slices,
        parameters=parameters,
        fitted=fitted,
        calibration=choice,
        review=measured,
        segments=segments,
        segment_figures=segment_figures(slices.test, risk, content.segments),
    )


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
    return replace(choice, calibration=replace(choice.calibration, prior_shift=correction.shift), correction=correction)


def _about(slices: Slices) -> dict[str, Any]:
    return {
        "horizon_s": slices.train.horizon // timedelta(seconds=1),
        "slices": {name: slice_summary(part) for name, part in slices.named().items()},
    }
