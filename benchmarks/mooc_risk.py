"""One MOOC task from rows to scores: everything is chosen on training courses, each judged by models that have not seen it."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from benchmarks.mooc_tasks import Task
from models.calibration import Calibration, shift_odds, sigmoid
from models.risk import RiskModel
from models.signature import Signature
from training.calibrate import choose_across, is_gain, log_losses
from training.cohorts import CorrectionChoice, choose_correction
from training.fit import FitParameters, dataset, grow, grow_additive, monotone_constraints
from training.folds import Fold, by_cohort
from training.frame import USER, TrainingFrame, learn_signature
from training.levels import LevelChoice, choose_levels, scored_rows, shifts_by_then
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
    levels: LevelChoice
    rounds: int
    additive_rounds: int
    train_s: float

    def raw(self, frame: TrainingFrame) -> FloatArray:
        """Raw scores, shape (n_rows,)."""
        return self.model.raw_scores(encode(frame, self.signature))

    def risk(self, task: Task, raw: FloatArray) -> FloatArray:
        """Calibrated risk of raw scores, shape (n_rows,), at the level that each course had shown by the row's day, if that was chosen."""
        alone = self.calibration.apply(raw)
        if not self.levels.applied:
            return alone
        rows = scored_rows(task.frame, alone, task.cohorts)
        return shift_odds(alone, shifts_by_then(rows, between_variance=self.levels.between_variance))


def train_on_courses(train: Task, parameters: FitParameters, *, seed: int) -> CourseModel:
    """Count trees, choose calibration and base rate by leaving courses out, five groups in turn; then grow on all.

    The trees are as many as lose least on the courses that were left out, since the latest three training courses alone, whose base rates
    are their own, would say little of the next twenty.
    """
    started_s = time.perf_counter()
    signature = learn_signature(train.frame)
    folds = by_cohort(train.frame, train.cohorts)
    chosen, raw = choose_trees(folds, signature, parameters, seed=seed)
    order = np.concatenate([fold.judge.rows.index.to_numpy() for fold in folds])
    judged = replace(train.frame, rows=train.frame.rows.loc[order])
    cohorts = dict(zip(train.frame.rows.index, train.cohorts, strict=True))
    cohort = np.array([cohorts[index] for index in order])
    calibration = choose_across(raw, judged.outcomes, cohort).calibration
    correction = choose_correction(calibration.apply(raw), judged.outcomes, cohort)
    calibration = replace(calibration, prior_shift=correction.shift)
    text = grow([train.frame], signature, parameters=chosen, seed=seed, rounds=chosen.max_rounds)
    return CourseModel(
        model=RiskModel(text, len(signature.input_names)),
        model_text=text,
        signature=signature,
        calibration=calibration,
        correction=correction,
        levels=choose_levels(scored_rows(judged, calibration.apply(raw), cohort)),
        rounds=chosen.max_rounds,
        additive_rounds=chosen.additive_rounds,
        train_s=time.perf_counter() - started_s,
    )


def choose_trees(folds: Sequence[Fold], signature: Signature, parameters: FitParameters, *, seed: int) -> tuple[FitParameters, FloatArray]:
    """How many trees, and whether with an additive part: what loses least on courses left out, and the raw scores of those courses.

    The additive part must gain more than one standard error over courses.

    Returns
    -------
    parameters, raw
        ``max_rounds`` is the number of trees; raw scores with as many, in the order of the folds, shape (n_rows,).
    """
    trees = left_out_scores(folds, signature, parameters, seed=seed)  # (n_marks, n_rows)
    outcomes = np.concatenate([fold.judge.outcomes for fold in folds])
    rounds, raw, losses = _least(trees, outcomes)
    alone = replace(parameters, max_rounds=rounds, additive_rounds=0)
    if not parameters.additive_rounds:
        return alone, raw
    mixed_rounds, mixed_raw, mixed_losses = _least((trees + left_out_additive(folds, signature, parameters, seed=seed)) / 2, outcomes)
    course = np.unique(np.concatenate([fold.units for fold in folds]).astype(str), return_inverse=True)[1]
    by_course = np.bincount(course, losses - mixed_losses)
    errors = by_course.sum() / np.sqrt(np.sum(by_course**2))
    sys.stdout.write(
        f"courses left out: log loss {losses.mean():.4f} with {rounds} trees of one seed, {mixed_losses.mean():.4f} with {mixed_rounds} and"
        f" the additive part; a gain of {errors:.1f} standard errors over courses\n"
    )
    if is_gain(losses - mixed_losses, course):
        return replace(parameters, max_rounds=mixed_rounds), mixed_raw
    return alone, raw


def left_out_scores(folds: Sequence[Fold], signature: Signature, parameters: FitParameters, *, seed: int) -> FloatArray:
    """Raw scores of courses left out after every tenth tree, shape (n_marks, n_rows), rows in the order of the folds."""
    import lightgbm

    marks = np.arange(_EVERY, parameters.max_rounds + 1, _EVERY)
    scores: list[FloatArray] = []
    for fold in folds:
        options = parameters.for_lightgbm(seed=seed, monotone=monotone_constraints(fold.learn.product, signature))
        booster = lightgbm.train(options, dataset([fold.learn], signature), num_boost_round=parameters.max_rounds)
        rows = encode(fold.judge, signature)
        steps = [booster.predict(rows, raw_score=True, start_iteration=mark - _EVERY, num_iteration=_EVERY) for mark in marks]
        scores.append(np.cumsum(steps, axis=0))
    return np.concatenate(scores, axis=1)


def left_out_additive(folds: Sequence[Fold], signature: Signature, parameters: FitParameters, *, seed: int) -> FloatArray:
    """Raw scores of courses left out by the additive part alone, shape (n_rows,), in the order of the folds."""
    texts = [grow_additive([fold.learn], signature, parameters=parameters, seed=seed) for fold in folds]
    models = [RiskModel(text, len(signature.input_names)) for text in texts]
    return np.concatenate([model.raw_scores(encode(fold.judge, signature)) for model, fold in zip(models, folds, strict=True)])


def _least(scores: FloatArray, outcomes: npt.NDArray[np.bool_]) -> tuple[int, FloatArray, FloatArray]:
    """Of scores after every tenth tree, shape (n_marks, n_rows): how many trees lose least, their scores and losses, shape (n_rows,)."""
    losses = np.array([log_losses(sigmoid(each), outcomes) for each in scores])
    best = int(np.argmin(losses.mean(axis=1)))
    return (best + 1) * _EVERY, scores[best], losses[best]


def users_of(task: Task) -> npt.NDArray[np.object_]:
    """Enrolment of each row."""
    return task.frame.rows[USER].to_numpy()


def horizon_us(task: Task) -> int:
    """Horizon in microseconds."""
    return task.frame.horizon // timedelta(microseconds=1)
