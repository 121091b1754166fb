"""One MOOC task from rows to scores: everything is chosen on training courses, each judged by models that have not seen it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from benchmarks.mooc_tasks import Task
from models.calibration import Calibration
from models.risk import RiskModel
from models.signature import Signature
from training.calibrate import choose_across, log_losses
from training.cohorts import CorrectionChoice, choose_correction
from training.fit import FitParameters, dataset, grow, monotone_constraints
from training.folds import Fold, by_cohort
from training.frame import USER, TrainingFrame, learn_signature
from training.pipeline import encode

FloatArray = npt.NDArray[np.float64]

_EVERY = 10  # trees between two looks at the courses that were left out


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseModel:
    """A model of the training courses, and what was chosen for it on them."""

    model: RiskModel
    model_text: str
    signature: Signature
    calibration: Calibration
    correction: CorrectionChoice
    rounds: int
    train_s: float

    def raw(self, frame: TrainingFrame) -> FloatArray:
        """Raw scores, shape (n_rows,)."""
        return self.model.raw_scores(encode(frame, self.signature))


def train_on_courses(train: Task, parameters: FitParameters, *, seed: int) -> CourseModel:
    """Count trees, choose calibration and base rate by leaving courses out, five groups in turn; then grow on all.

    The trees are as many as lose least on the courses that were left out, since the latest three training courses alone, whose base rates
    are their own, would say little of the next twenty.
    """
    started_s = time.perf_counter()
    signature = learn_signature(train.frame)
    folds = by_cohort(train.frame, train.cohorts)
    rounds, raw = left_out_scores(folds, signature, parameters, seed=seed)
    order = np.concatenate([fold.judge.rows.index.to_numpy() for fold in folds])
    judged = replace(train.frame, rows=train.frame.rows.loc[order])
    cohorts = dict(zip(train.frame.rows.index, train.cohorts, strict=True))
    cohort = np.array([cohorts[index] for index in order])
    calibration = choose_across(raw, judged.outcomes, cohort).calibration
    correction = choose_correction(calibration.apply(raw), judged.outcomes, cohort)
    text = grow([train.frame], signature, parameters=parameters, seed=seed, rounds=rounds)
    return CourseModel(
        model=RiskModel(text, len(signature.input_names)),
        model_text=text,
        signature=signature,
        calibration=replace(calibration, prior_shift=correction.shift),
        correction=correction,
        rounds=rounds,
        train_s=time.perf_counter() - started_s,
    )


def left_out_scores(folds: Sequence[Fold], signature: Signature, parameters: FitParameters, *, seed: int) -> tuple[int, FloatArray]:
    """Trees that lose least on courses left out, and the raw scores of those courses with as many, in the order of the folds."""
    import lightgbm

    marks = np.arange(_EVERY, parameters.max_rounds + 1, _EVERY)
    scores: list[FloatArray] = []
    for fold in folds:
        options = parameters.for_lightgbm(seed=seed, monotone=monotone_constraints(fold.learn.product, signature))
        booster = lightgbm.train(options, dataset([fold.learn], signature), num_boost_round=parameters.max_rounds)
        rows = encode(fold.judge, signature)
        steps = [booster.predict(rows, raw_score=True, start_iteration=mark - _EVERY, num_iteration=_EVERY) for mark in marks]
        scores.append(np.cumsum(steps, axis=0))
    raw = np.concatenate(scores, axis=1)  # (n_marks, n_rows)
    outcomes = np.concatenate([fold.judge.outcomes for fold in folds])
    losses = [float(log_losses(1 / (1 + np.exp(-each)), outcomes).mean()) for each in raw]
    best = int(np.argmin(losses))
    return int(marks[best]), raw[best]


def users_of(task: Task) -> npt.NDArray[np.object_]:
    """Enrolment of each row."""
    return task.frame.rows[USER].to_numpy()


def horizon_us(task: Task) -> int:
    """Horizon in microseconds."""
    return task.frame.horizon // timedelta(microseconds=1)
