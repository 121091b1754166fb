"""May a challenger replace the champion: better by a paired bootstrap, worse for no segment beyond a margin, explained in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from models.bundle import Bundle
from training.compare import METRICS, Scored, SegmentGain, gain
from training.errors import NotComparableError, TrainingError
from training.evaluate import Interval, UserDraws
from training.explanation_budget import MOST_MS, over_budget
from training.frame import USER, TrainingFrame
from training.segment_report import SegmentRows
from training.split import MIN_ROWS

BoolArray = npt.NDArray[np.bool_]

_US = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """When a challenger counts as better."""

    metric: str = "log_loss"  # or "auc", "brier"
    confidence: float = 0.95  # of the two-sided interval whose lower end must be above 0
    margin: float = 0.01  # most that a segment may be worse, where it surely is; in nats for log_loss, in AUC for auc
    min_rows: int = MIN_ROWS  # a segment with fewer rows, or fewer users, is shown and not judged: its figures mean nothing
    min_users: int = 30
    explanation_budget_ms: float = MOST_MS  # of one explanation; 0: however long it takes

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise GateError(f"gate: metric is {self.metric!r}, expected one of {list(METRICS)}")
        if not 0.5 <= self.confidence < 1:  # noqa: PLR2004 - below a half it would be a wish, not a confidence
            raise GateError(f"gate: confidence is {self.confidence}, expected at least 0.5 and below 1, such as 0.95")
        if not self.margin >= 0:
            raise GateError(f"gate: margin is {self.margin}, expected 0 or more; 0.01 is the default")
        if not self.explanation_budget_ms >= 0:
            raise GateError(f"gate: explanation_budget_ms is {self.explanation_budget_ms}, expected 0 (none) or more, such as {MOST_MS:g}")


class GateError(TrainingError):
    """The gate was asked for something that it cannot hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the gate found, and why."""

    passed: bool
    gate: Gate
    gain: Interval  # of the challenger over the champion, above 0 is better
    rows: int
    users: int
    segments: Sequence[SegmentGain]
    one_row_ms: float | None  # of one explanation; None where it was not measured
    reasons: Sequence[str]  # sentences; one for each thing that stands against it, or the one that speaks for it

    @property
    def because(self) -> str:
        """All reasons as one text."""
        return "; ".join(self.reasons)


def judge(
    challenger: Scored,
    champion: Scored,
    *,
    test: TrainingFrame,
    segments: Sequence[SegmentRows],
    gate: Gate,
    one_row_ms: float | None = None,
) -> Verdict:
    """Judge two scorers on the same rows.

    The challenger passes if the lower end of the interval of its gain is above 0, users drawn with replacement and both scored on the same
    samples, and if no segment with enough rows and users is worse beyond the margin: its gain is below minus the margin, and the upper end
    of its interval below 0. Of many small segments some always look worse by chance. And one explanation must be within its budget.

    Parameters
    ----------
    test
        The rows that both scored, none of which either has learned from (`unlearned`).
    one_row_ms
        Median time of one explanation of the challenger; None: it is not judged.
    """
    outcomes, users = test.outcomes, test.rows[USER].to_numpy()
    draws = _draws(users, gate)
    overall = gain(gate.metric, challenger, champion, outcomes=outcomes, draws=draws)
    by_segment = [_in_segment(challenger, champion, segment, outcomes=outcomes, users=users, gate=gate) for segment in segments]
    slow = over_budget(one_row_ms, gate.explanation_budget_ms)
    against = [*_not_better(overall, gate), *_worse_segments(by_segment, gate), *([slow] if slow else [])]
    found = Verdict(
        passed=not against,
        gate=gate,
        gain=overall,
        rows=len(users),
        users=draws.n_users,
        segments=by_segment,
        one_row_ms=one_row_ms,
        reasons=against,
    )
    return found if against else replace(found, reasons=[f"{_measured(overall, gate)}, so it is better"])


def unlearned(test: TrainingFrame, bundles: Mapping[str, Bundle]) -> BoolArray:
    """Rows of the slice that no model has learned from: from when the last outcome that any of them knew was known, shape (n_rows,).

    Raises
    ------
    NotComparableError
        If too few remain to compare anything on.
    """
    until = {name: _learned_until_us(bundle) for name, bundle in bundles.items()}
    rows: BoolArray = test.as_of_us >= max(until.values(), default=0)
    if rows.sum() < MIN_ROWS or len(np.unique(test.outcomes[rows])) < 2:  # noqa: PLR2004 - both outcomes
        latest = max(until, key=lambda name: until[name])
        raise NotComparableError(
            f"{latest} has learned from outcomes known until {_EPOCH + until[latest] * _US:%Y-%m-%d %H:%M}, and after that the test slice"
            f" has {int(rows.sum())} rows, expected at least {MIN_ROWS} with both outcomes; import a later log, then compare again"
        )
    return rows


def _learned_until_us(bundle: Bundle) -> int:
    """When the last outcome that the model was fitted or calibrated on was known; 0 where the bundle does not say."""
    slices, horizon_s = bundle.about.get("slices", {}), bundle.about.get("horizon_s", 0)
    ends = [datetime.fromisoformat(part["to"]) for name, part in slices.items() if name != "test"]
    return (max(ends) + timedelta(seconds=horizon_s) - _EPOCH) // _US if ends else 0


def _in_segment(
    challenger: Scored, champion: Scored, segment: SegmentRows, *, outcomes: BoolArray, users: npt.NDArray[Any], gate: Gate
) -> SegmentGain:
    mine = segment.rows
    draws = _draws(users[mine], gate)
    return SegmentGain(
        segmentation=segment.segmentation,
        segment=segment.segment,
        over="champion",
        metric=gate.metric,
        rows=int(mine.sum()),
        users=draws.n_users,
        gain=gain(gate.metric, challenger.at(mine), champion.at(mine), outcomes=outcomes[mine], draws=draws),
    )


def _draws(users: npt.NDArray[Any], gate: Gate) -> UserDraws:
    return UserDraws(users, confidence=gate.confidence)


def _not_better(overall: Interval, gate: Gate) -> list[str]:
    if overall.low > 0:
        return []
    return [f"{_measured(overall, gate)}, whose lower end is not above 0: not shown to be better"]


def _measured(overall: Interval, gate: Gate) -> str:
    return f"its {gate.metric} gain over the champion is {overall} at {gate.confidence:.0%} confidence"


def _worse_segments(segments: Sequence[SegmentGain], gate: Gate) -> list[str]:
    return [
        f"in segment {each.segmentation}/{each.segment} ({each.rows} rows) it is worse by {-each.gain.value:.4f} {gate.metric},"
        f" more than the margin of {gate.margin}, and surely worse"
        for each in segments
        if not holds(each, gate)
    ]


def holds(segment: SegmentGain, gate: Gate) -> bool:
    """Whether nothing in the segment stands against a promotion: it is not judged, within the margin, or not surely worse."""
    return not is_judged(segment, gate) or segment.gain.value >= -gate.margin or segment.gain.high >= 0


def is_judged(segment: SegmentGain, gate: Gate) -> bool:
    """Whether the segment has enough rows and users to stand against a promotion."""
    return segment.rows >= gate.min_rows and segment.users >= gate.min_users and not np.isnan(segment.gain.value)
