"""Two scorers on the same rows: how much better is one, for whom, and how sure is that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.calibrate import log_losses
from training.evaluate import Evaluation, Interval, UserDraws, auc_gain, evaluate
from training.segment_report import SegmentRows

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

METRICS = ("log_loss", "auc", "brier")
"""What gains are measured in; a gain above 0 is always better."""
SEGMENT_METRICS = ("log_loss", "auc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What one scorer says of the rows of a slice."""

    probabilities: FloatArray  # shape (n_rows,)
    ranks: FloatArray  # what the rows are ordered by, shape (n_rows,): finer than probabilities where a calibration has flat steps

    @classmethod
    def by(cls, probabilities: FloatArray) -> Scored:
        """Probabilities that order the rows themselves."""
        return cls(probabilities=probabilities, ranks=probabilities)

    def at(self, rows: BoolArray) -> Scored:
        """The same scorer on some of the rows."""
        return Scored(probabilities=self.probabilities[rows], ranks=self.ranks[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentGain:
    """What one scorer gains over another in one segment."""

    segmentation: str
    segment: str
    over: str  # name of the other scorer
    metric: str  # one of `METRICS`
    rows: int
    users: int
    gain: Interval


def evaluated(scored: Scored, outcomes: BoolArray, draws: UserDraws) -> Evaluation:
    """All figures of one scorer."""
    return evaluate(scored.probabilities, outcomes, draws, scores=scored.ranks)


def gain(metric: str, ours: Scored, theirs: Scored, *, outcomes: BoolArray, draws: UserDraws) -> Interval:
    """How much better ``ours`` is than ``theirs`` on the same rows and the same bootstrap samples of users; above 0 is better.

    For ``log_loss`` and ``brier`` the mean of their loss minus ours, for ``auc`` ours minus theirs.

    Examples
    --------
    >>> outcomes = np.array([True, False])
    >>> sure, unsure = Scored.by(np.array([0.9, 0.1])), Scored.by(np.array([0.5, 0.5]))
    >>> round(gain("brier", sure, unsure, outcomes=outcomes, draws=UserDraws(["ann", "bob"])).value, 4)
    0.24
    """
    if metric == "auc":
        return auc_gain(ours.ranks, theirs.ranks, outcomes, draws)
    return draws.mean_interval(row_losses(metric, theirs, outcomes) - row_losses(metric, ours, outcomes))


def row_losses(metric: str, scored: Scored, outcomes: BoolArray) -> FloatArray:
    """Loss of each row, shape (n_rows,): for ``log_loss`` in nats, for ``brier`` the squared error.

    Raises
    ------
    ValueError
        If the metric is not a mean over rows.
    """
    if metric == "log_loss":
        return log_losses(scored.probabilities, outcomes)
    if metric == "brier":
        losses: FloatArray = (scored.probabilities - outcomes) ** 2
        return losses
    raise ValueError(f"metric is {metric!r}, expected log_loss or brier; auc is no mean over rows")


def gains(ours: Scored, others: Mapping[str, Scored], *, outcomes: BoolArray, draws: UserDraws) -> dict[str, dict[str, Interval]]:
    """Paired gain over every other scorer, by its name and by metric."""
    return {
        name: {metric: gain(metric, ours, theirs, outcomes=outcomes, draws=draws) for metric in METRICS} for name, theirs in others.items()
    }


def segment_gains(
    ours: Scored,
    others: Mapping[str, Scored],
    segments: Sequence[SegmentRows],
    *,
    outcomes: BoolArray,
    users: npt.NDArray[np.object_],
) -> list[SegmentGain]:
    """Paired gain over every other scorer in every segment, users of the segment drawn anew."""
    found = []
    for segment in segments:
        mine, of_mine = segment.rows, outcomes[segment.rows]
        sample = UserDraws(users[mine])
        found += [
            SegmentGain(
                segmentation=segment.segmentation,
                segment=segment.segment,
                over=name,
                metric=metric,
                rows=int(mine.sum()),
                users=sample.n_users,
                gain=gain(metric, ours.at(mine), theirs.at(mine), outcomes=of_mine, draws=sample),
            )
            for name, theirs in others.items()
            for metric in SEGMENT_METRICS
        ]
    return found
