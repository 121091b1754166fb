"""What is usual for a cohort, from its own history, and the limits that follow: dynamic baselines, absolute and ratio forms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.frame import AS_OF, USER, TrainingFrame
from training.thresholds.errors import TooFewRowsError
from training.thresholds.rows import primary_segments

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

BY_SEGMENT = "segment"
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Shown of every cohort, beside the mean: an average alone hides that most are at zero (S0.10)."""


class Worse(StrEnum):
    """On which side of usual trouble lies."""

    ABOVE = "above"
    BELOW = "below"


class AlertWhen(StrEnum):
    """How the absolute and the ratio form are joined."""

    BOTH = "both"  # AND
    EITHER = "either"  # OR


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One number that is watched against what is usual."""

    name: str
    feature: str  # of the product's catalogue
    unit: str  # the feature's own
    worse: Worse
    severity: str  # alert class: critical, high, medium or low
    quantile: float  # of the cohort's users: the baseline
    absolute: float  # in the feature's unit
    ratio: float  # times the baseline
    alert_when: AlertWhen
    baseline_floor: float | None = None  # the baseline is never taken to be lower
    sentence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalSet:
    """The signals of a product, and whose history says what is usual."""

    by: str  # an attribute, or `BY_SEGMENT`
    window: timedelta
    least_users: int
    signals: tuple[Signal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What is usual for one cohort, and from where on it is an alert."""

    signal: Signal
    cohort: str
    users: int  # with a defined value in the window
    own_weight: float  # of the cohort beside everybody, 0 to 1
    mean: float
    quantiles: tuple[float, ...]  # of the cohort alone, as in `QUANTILES`; NaN without users
    baseline: float  # pooled, floored
    limit: float

    @property
    def condition(self) -> str:
        """As a condition of policy.yaml.

        The limit itself is no alert where trouble lies above ("> 60 s"), and is one where it lies below ("<= 1.5 min").
        """
        return f"{self.signal.feature} {'>' if self.signal.worse is Worse.ABOVE else '<='} {self.limit:.6g}"

    def fires(self, values: FloatArray) -> BoolArray:
        """Whether values are an alert, any shape; what is undefined (NaN) is none."""
        fired: BoolArray = values > self.limit if self.signal.worse is Worse.ABOVE else values <= self.limit
        return fired


def baselines(frame: TrainingFrame, signals: SignalSet, *, at: datetime) -> list[Baseline]:
    """The baseline of each signal and cohort from the rows in (at - window, at].

    A user counts once, by the median of their rows. The quantile is that of a mixture of the cohort's users, with weight n / (n +
    least_users), and everybody's.

    Raises
    ------
    TooFewRowsError
        If fewer than ``least_users`` users have a signal's feature in the window.
    """
    recent = frame.rows[(frame.rows[AS_OF] > at - signals.window) & (frame.rows[AS_OF] <= at)]
    cohort = cohorts(frame, signals.by)[(frame.rows[AS_OF] > at - signals.window) & (frame.rows[AS_OF] <= at)]
    return [each for signal in signals.signals for each in _of_signal(recent, cohort, signal, signals)]


def cohorts(frame: TrainingFrame, by: str) -> npt.NDArray[np.str_]:
    """Cohort of each row, shape (n_rows,); "" where it is not known."""
    named = primary_segments(frame) if by == BY_SEGMENT else frame.rows[by].tolist()
    return np.array(["" if name is None or name != name else str(name) for name in named], dtype=np.str_)  # noqa: PLR0124 - NaN


def limit_of(signal: Signal, baseline: float) -> float:
    """Where the alert begins: the stricter of the two forms if both must hold, else the laxer.

    Examples
    --------
    >>> rate = Signal(name="failures", feature="ratio", unit="ratio", worse=Worse.ABOVE, severity="high", quantile=0.75, absolute=0.03,
    ...               ratio=3.0, alert_when=AlertWhen.BOTH)
    >>> round(limit_of(rate, 0.015), 4), round(limit_of(rate, 0.005), 4)
    (0.045, 0.03)
    """
    forms = (signal.absolute, signal.ratio * baseline)
    return max(forms) if (signal.worse is Worse.ABOVE) == (signal.alert_when is AlertWhen.BOTH) else min(forms)


def alerts(frame: TrainingFrame, found: Sequence[Baseline], by: str) -> dict[str, BoolArray]:
    """Which rows are an alert, by signal; a row of a cohort without baseline is none."""
    cohort = cohorts(frame, by)
    fired = {each.signal.name: np.zeros(len(frame.rows), dtype=bool) for each in found}
    for each in found:
        values = frame.rows[each.signal.feature].to_numpy(dtype=np.float64)
        fired[each.signal.name] |= (cohort == each.cohort) & each.fires(values)
    return fired


def _of_signal(rows: pd.DataFrame, cohort: npt.NDArray[np.str_], signal: Signal, signals: SignalSet) -> list[Baseline]:
    defined = rows[signal.feature].notna().to_numpy()
    users = pd.DataFrame({"user": rows[USER], "cohort": cohort, "value": rows[signal.feature]})[defined]
    one_each = users.groupby("user", sort=True).agg(value=("value", "median"), cohort=("cohort", "last"))
    if len(one_each) < signals.least_users:
        raise TooFewRowsError(
            f"signal {signal.name}: {len(one_each)} users have {signal.feature} within {signals.window.days} days, expected at least"
            f" {signals.least_users}; import a longer log, or widen the window in signals.yaml"
        )
    everybody = one_each["value"].to_numpy(dtype=np.float64)
    names = sorted(name for name in one_each["cohort"].unique() if name)
    return [_baseline(signal, name, one_each["value"][one_each["cohort"] == name].to_numpy(), everybody, signals) for name in names]


def _baseline(signal: Signal, cohort: str, own: FloatArray, everybody: FloatArray, signals: SignalSet) -> Baseline:
    weight = len(own) / (len(own) + signals.least_users)
    values = np.concatenate([own, everybody])
    weights = np.concatenate([np.full(len(own), weight / len(own)), np.full(len(everybody), (1 - weight) / len(everybody))])
    usual = float(np.quantile(values, signal.quantile, method="inverted_cdf", weights=weights))
    usual = usual if signal.baseline_floor is None else max(usual, signal.baseline_floor)
    return Baseline(
        signal=signal,
        cohort=cohort,
        users=len(own),
        own_weight=weight,
        mean=float(own.mean()),
        quantiles=tuple(np.quantile(own, QUANTILES).tolist()),
        baseline=usual,
        limit=limit_of(signal, usual),
    )
