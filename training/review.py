"""Everything a reviewer needs to judge a model: figures beside baselines and champion, for whom, causes, and what an explanation costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from models.attribution import matrix_by_cause
from models.bundle import Bundle
from models.cause_stability import CauseStability
from models.risk import RiskModel
from training.baselines import logistic_scores, recency_probabilities, recency_scores
from training.compare import Scored, SegmentGain, evaluated, gains, segment_gains
from training.evaluate import Evaluation, Interval, UserDraws
from training.explanation_budget import explained
from training.frame import AS_OF, USER, TrainingFrame
from training.segment_report import SegmentFigures, SegmentRows, figures_of
from training.split import Slices
from training.thresholds.alerts import Alerts, alerts_on

FloatArray = npt.NDArray[np.float64]

MODEL, CHAMPION, LOGISTIC, RECENCY, BASE_RATE = "model", "champion", "logistic", "recency alone", "base rate"
"""Names of the scorers in every table, in this order; metrics spell them with ``_`` for the space."""

_EXPLAINED_ROWS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Causes:
    """TreeSHAP by cause on a sample of the test slice."""

    names: list[str]
    sums: FloatArray  # log-odds, shape (n_rows, n_names), base value left out
    one_row_ms: float  # median time of one explanation


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Evaluations on the test slice by scorer name, and what the model gains over each of the others."""

    scored: Mapping[str, Scored]  # the model first
    evaluations: Mapping[str, Evaluation]
    gains: Mapping[str, Mapping[str, Interval]]  # by the other scorer's name, then by metric; above 0: the model is better
    segments: Sequence[SegmentRows]
    segment_figures: Sequence[SegmentFigures]
    segment_gains: Sequence[SegmentGain]  # over every other scorer but the base rate
    causes: Causes
    alerts: Alerts | None = None  # None before `with_alerts`
    stability: Mapping[str, CauseStability] = field(default_factory=dict)  # of the model's and the champion's causes, where measured

    @property
    def model(self) -> Scored:
        """The model that is reviewed."""
        return self.scored[MODEL]

    @property
    def scores(self) -> dict[str, FloatArray]:
        """What each scorer orders the test rows by; without those that do not order them."""
        return {name: scored.ranks for name, scored in self.scored.items() if name != BASE_RATE}

    @property
    def gain_over_recency(self) -> Interval | None:
        """AUC gain over recency alone, paired; None where it could not be measured."""
        return self.gains[RECENCY]["auc"] if RECENCY in self.gains else None


def review(test: TrainingFrame, model: Scored, others: Mapping[str, Scored], *, segments: Sequence[SegmentRows], causes: Causes) -> Review:
    """Measure the model on the test slice beside the others, over all rows and by segment.

    Parameters
    ----------
    model, others
        What each says of the rows of ``test``; others by name, as `baselines` and `champion_scored` give them.
    segments
        As ``training.segment_report.segment_rows`` gives them.
    causes
        As `explain_sample` gives them.
    """
    outcomes, users = test.outcomes, test.rows[USER].to_numpy()
    draws = UserDraws(users)
    scored = {MODEL: model, **others}
    beside = {name: each for name, each in others.items() if name != BASE_RATE}
    return Review(
        scored=scored,
        evaluations={name: evaluated(each, outcomes, draws) for name, each in scored.items()},
        gains=gains(model, others, outcomes=outcomes, draws=draws),
        segments=segments,
        segment_figures=[figures_of(segment, model.probabilities, outcomes) for segment in segments],
        segment_gains=segment_gains(model, beside, segments, outcomes=outcomes, users=users),
        causes=causes,
    )


def with_alerts(found: Review, test: TrainingFrame) -> Review:
    """Add the thresholds at which the model may alert, solved on the rows that it was reviewed on."""
    return replace(found, alerts=alerts_on(test, found.model.probabilities))


def known_stability(**bundles: Bundle | None) -> dict[str, CauseStability]:
    """Stability of causes by scorer, of those bundles that say it: ``known_stability(model=bundle, champion=None)``."""
    return {name: each.cause_stability for name, each in bundles.items() if each is not None and each.cause_stability is not None}


def baselines(slices: Slices, *, seed: int) -> dict[str, Scored]:
    """What the model is always shown beside, learned from the fitted rows: logistic regression, recency alone, the base rate."""
    test = slices.test
    found = {LOGISTIC: Scored.by(logistic_scores(slices.fitted, test, seed))}
    train, seconds = recency_scores(slices.train), recency_scores(test)
    if train is not None and seconds is not None:
        found[RECENCY] = Scored(probabilities=recency_probabilities(train, slices.train.outcomes, seconds), ranks=seconds)
    found[BASE_RATE] = Scored.by(np.full(len(test.rows), slices.train.outcomes.mean()))
    return found


def bundle_scored(bundle: Bundle, frame: TrainingFrame) -> Scored:
    """What a loaded bundle says of the rows of a frame of the same product; features that the product gained since are left out."""
    vectors, profiles = frame.vectors, frame.profiles()
    risk = bundle.risk(vectors, profiles)
    return Scored(probabilities=risk, ranks=bundle.raw_scores(vectors, profiles) if bundle.levels is None else risk)


def explain_sample(model: RiskModel, encoded: FloatArray, causes: tuple[str, ...]) -> Causes:
    """TreeSHAP by cause of up to 500 evenly spaced rows, one call each as in serving, timed."""
    picked = encoded[np.linspace(0, len(encoded) - 1, min(_EXPLAINED_ROWS, len(encoded))).astype(int)]
    values, one_row_ms = explained(model, picked)
    names, sums = matrix_by_cause(values, causes)
    return Causes(names=names[:-1], sums=sums[:, :-1], one_row_ms=one_row_ms)


def slice_summary(frame: TrainingFrame) -> dict[str, str | int | float]:
    """Rows, users, dropout rate and span of a slice, for the run and the model card."""
    return {
        "rows": len(frame.rows),
        "users": int(frame.rows[USER].nunique()),
        "dropout_rate": round(float(frame.outcomes.mean()), 4),
        "from": frame.rows[AS_OF].min().isoformat(timespec="minutes"),
        "to": frame.rows[AS_OF].max().isoformat(timespec="minutes"),
    }
