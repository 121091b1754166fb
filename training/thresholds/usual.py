"""What is usual for each cohort on the day of a solve, and the proposal that thresholds and baselines make together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml

from training.frame import AS_OF, TrainingFrame
from training.thresholds.errors import TooFewRowsError
from training.thresholds.signals import QUANTILES, Baseline, SignalSet, baselines
from training.thresholds.solve import Thresholds

_REFUSED = re.compile(r"[^\w./ -]")
"""Characters that MLflow takes in no metric's name, as cohorts may have them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """The baseline of each signal and cohort, from their own history."""

    asked: SignalSet
    at: datetime  # as_of of the newest row with a known outcome
    baselines: tuple[Baseline, ...] = ()
    missing_because: str = ""  # why there are none; "" where there are

    @property
    def title(self) -> str:
        """Whose usual it is, and of when."""
        return f"usual within {self.asked.window.days} days before {self.at.date()}, by {self.asked.by}"


def usual_of(frame: TrainingFrame, asked: SignalSet) -> Usual:
    """Take the baselines as of the frame's newest row; too few users are said, and stop no thresholds."""
    at: datetime = frame.rows[AS_OF].max().to_pydatetime()
    try:
        return Usual(asked=asked, at=at, baselines=tuple(baselines(frame, asked, at=at)))
    except TooFewRowsError as exc:
        return Usual(asked=asked, at=at, missing_because=str(exc))


def baseline_rows(usual: Usual) -> list[dict[str, Any]]:
    """One row for each signal and cohort, as numbers: what is usual, on how many users it rests, and from where on it is an alert."""
    return [
        {
            "signal": each.signal.name,
            "cohort": each.cohort,
            "feature": each.signal.feature,
            "unit": each.signal.unit,
            "class": each.signal.severity,
            "users": each.users,
            "own_weight": each.own_weight,
            "mean": each.mean,
            **{f"p{share * 100:.0f}": value for share, value in zip(QUANTILES, each.quantiles, strict=True)},
            "baseline": each.baseline,
            "absolute": each.signal.absolute,
            "ratio": each.signal.ratio,
            "limit": each.limit,
            "condition": each.condition,
        }
        for each in usual.baselines
    ]


def baseline_metrics(found: Sequence[Baseline]) -> dict[str, float]:
    """Figures of a run: ``signal.<signal>.<cohort>.usual``, ``.limit`` and ``.users``."""
    metrics: dict[str, float] = {}
    for each in found:
        prefix = f"signal.{each.signal.name}.{_REFUSED.sub('_', each.cohort)}"
        metrics |= {f"{prefix}.usual": each.baseline, f"{prefix}.limit": each.limit, f"{prefix}.users": float(each.users)}
    return metrics


def proposal(solved: Thresholds, usual: Usual | None) -> dict[str, Any]:
    """Plain values: the two keys of policy.yaml as they stand there, and the baselines by signal and cohort where there are any."""
    found: dict[str, Any] = {"risk_threshold": solved.risk_threshold, "segment_thresholds": dict(solved.segment_thresholds)}
    if usual is None:
        return found
    by_signal: dict[str, dict[str, Any]] = {}
    for each in usual.baselines:
        numbers = {"baseline": each.baseline, "limit": each.limit, "users": each.users, "own_weight": each.own_weight}
        by_signal.setdefault(each.signal.name, {})[each.cohort] = {**numbers, "condition": each.condition}
    asked = {"by": usual.asked.by, "at": usual.at.isoformat(), "window_s": usual.asked.window.total_seconds(), "signals": by_signal}
    return found | {"baselines": asked | ({"missing_because": usual.missing_because} if usual.missing_because else {})}


def proposal_text(solved: Thresholds, usual: Usual | None) -> str:
    """The proposal as YAML."""
    return yaml.safe_dump(proposal(solved, usual), sort_keys=False, allow_unicode=True, width=120)
