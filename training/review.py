"""Everything a reviewer needs to judge a model: figures beside baselines, causes, and what an explanation costs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.attribution import matrix_by_cause
from models.risk import RiskModel
from training.baselines import recency_probabilities, recency_scores
from training.evaluate import Evaluation, Interval, UserDraws, auc_gain, evaluate
from training.frame import AS_OF, USER, TrainingFrame
from training.split import Slices

FloatArray = npt.NDArray[np.float64]

MODEL, RECENCY, BASE_RATE = "model", "recency alone", "base rate"
_EXPLAINED_ROWS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Causes:
    """TreeSHAP by cause on a sample of the test slice."""

    names: list[str]
    sums: FloatArray  # log-odds, shape (n_rows, n_names), base value left out
    one_row_ms: float  # median time of one explanation


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Evaluations on the test slice by scorer name, the paired gain over recency, and the causes."""

    evaluations: Mapping[str, Evaluation]
    scores: Mapping[str, FloatArray]  # what each scorer orders the test rows by
    gain_over_recency: Interval | None
    causes: Causes


def review(
    slices: Slices, raw: FloatArray, probabilities: FloatArray, *, model: RiskModel, encoded: FloatArray, causes: tuple[str, ...]
) -> Review:
    """Measure the model on the test slice beside recency alone and the base rate of the training slice.

    Parameters
    ----------
    raw, probabilities, encoded
        Raw scores (n_rows,), calibrated risks (n_rows,) and model inputs (n_rows, n_inputs) of the test slice.
    causes
        Cause of each input.
    """
    outcomes = slices.test.outcomes
    draws = UserDraws(slices.test.rows[USER].to_numpy())
    evaluations = {MODEL: evaluate(probabilities, outcomes, draws, scores=raw)}
    scores = {MODEL: raw}
    gain = None
    recency = _recency(slices)
    if recency is not None:
        scores[RECENCY], recency_risk = recency
        evaluations[RECENCY] = evaluate(recency_risk, outcomes, draws, scores=scores[RECENCY])
        gain = auc_gain(raw, scores[RECENCY], outcomes, draws)
    base_rate = np.full(len(outcomes), slices.train.outcomes.mean())
    evaluations[BASE_RATE] = evaluate(base_rate, outcomes, draws)
    return Review(evaluations=evaluations, scores=scores, gain_over_recency=gain, causes=explain_sample(model, encoded, causes))


def explain_sample(model: RiskModel, encoded: FloatArray, causes: tuple[str, ...]) -> Causes:
    """TreeSHAP by cause of up to 500 evenly spaced rows, one call each as in serving, timed."""
    picked = encoded[np.linspace(0, len(encoded) - 1, min(_EXPLAINED_ROWS, len(encoded))).astype(int)]
    values, times_s = [], []
    for row in picked:
        started = time.perf_counter()
        values.append(model.contributions(row))
        times_s.append(time.perf_counter() - started)
    names, sums = matrix_by_cause(np.array(values), causes)
    return Causes(names=names[:-1], sums=sums[:, :-1], one_row_ms=float(np.median(times_s)) * 1000)


def _recency(slices: Slices) -> tuple[FloatArray, FloatArray] | None:
    train, test = recency_scores(slices.train), recency_scores(slices.test)
    if train is None or test is None:
        return None
    return test, recency_probabilities(train, slices.train.outcomes, test)


def slice_summary(frame: TrainingFrame) -> dict[str, str | int | float]:
    """Rows, users, dropout rate and span of a slice, for the run and the model card."""
    return {
        "rows": len(frame.rows),
        "users": int(frame.rows[USER].nunique()),
        "dropout_rate": round(float(frame.outcomes.mean()), 4),
        "from": frame.rows[AS_OF].min().isoformat(timespec="minutes"),
        "to": frame.rows[AS_OF].max().isoformat(timespec="minutes"),
    }
