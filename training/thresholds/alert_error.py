"""How wrong alerts are at a threshold: two definitions, and what users as the independent units allow to be said of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from training.thresholds.rows import AlertRows

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

_SIDES = 0.05  # an interval leaves 2.5 % on each side


class AlertError(StrEnum):
    """Which share of wrong alerts is held. FP are stayers alerted, TN stayers left alone."""

    OF_STAYERS = "of_stayers"  # FP / (FP + TN): falls as the threshold rises
    OF_ALERTS = "of_alerts"  # FP / alerts: where dropout is common it is met by alerting everyone


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share of rows with its two-sided 95 % interval, users counted; NaN and [0, 1] where there are no rows."""

    value: float
    low: float
    high: float
    rows: int
    users: int

    def __str__(self) -> str:
        return "-" if self.rows == 0 else f"{self.value:.1%} [{self.low:.1%}, {self.high:.1%}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFigures:
    """Both errors, the share alerted and the recall: never one without the others."""

    of_stayers: Share
    of_alerts: Share
    alerted: Share
    recall: Share

    def error(self, which: AlertError) -> Share:
        """The error of one definition."""
        return self.of_stayers if which is AlertError.OF_STAYERS else self.of_alerts


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What rows of dependent users amount to: ``hits`` of ``n`` independent ones."""

    hits: float
    n: float
    rows: int
    users: int


def evidence(hit: BoolArray, user: IntArray) -> Evidence:
    """Shrink rows to as many independent ones as they are worth.

    The design effect is the cluster-robust (linearised) variance of the share over that of independent rows, at least 1; then
    n = rows / effect, corrected by t quantiles for the number of users. Where no variance can be seen (no hits, or nothing but hits), every
    user counts once.

    Parameters
    ----------
    hit, user
        Of each row, shape (n_rows,); users as codes, small integers from 0 on.

    References
    ----------
    Korn, Graubard (1998), Confidence intervals for proportions with small expected number of positive counts estimated from survey data,
    Survey Methodology 24, 193-201. Liang, Zeger (1986), doi:10.1093/biomet/73.1.13.

    Examples
    --------
    >>> evidence(np.array([True, False, False, False]), np.array([0, 1, 2, 3])).rows
    4
    >>> evidence(np.zeros(10, dtype=bool), np.repeat([0, 1], 5)).n
    2.0
    """
    rows = len(hit)
    if rows == 0:
        return Evidence(hits=0.0, n=0.0, rows=0, users=0)
    users = int(np.count_nonzero(np.bincount(user)))
    share = float(hit.mean())
    n = _effective(share, np.bincount(user, hit - share).astype(np.float64), rows=rows, users=users)
    return Evidence(hits=share * n, n=n, rows=rows, users=users)


def _effective(share: float, residuals: FloatArray, *, rows: int, users: int) -> float:
    if users < 2 or share in {0.0, 1.0}:  # noqa: PLR2004 - a variance needs two
        return float(users)
    from scipy.special import stdtrit  # Student's t quantile

    variance = users / (users - 1) * float(residuals @ residuals) / rows**2
    independent = min(float(rows), share * (1 - share) / variance) if variance > 0 else float(rows)
    corrected = independent * (stdtrit(max(rows - 1, 1), 0.975) / stdtrit(users - 1, 0.975)) ** 2
    return float(min(rows, max(corrected, 1.0)))


def upper_bound(seen: Evidence, *, miss: float) -> float:
    """One-sided upper confidence bound of the share, exact for independent rows; 1 without any.

    References
    ----------
    Clopper, Pearson (1934), doi:10.1093/biomet/26.4.404.

    Examples
    --------
    >>> round(upper_bound(Evidence(hits=0.0, n=20.0, rows=20, users=20), miss=0.05), 4)
    0.1391
    """
    from scipy.special import betaincinv

    return 1.0 if seen.n <= seen.hits else float(betaincinv(seen.hits + 1, seen.n - seen.hits, 1 - miss))


def lower_bound(seen: Evidence, *, miss: float) -> float:
    """One-sided lower confidence bound of the share; 0 without any hits."""
    from scipy.special import betaincinv

    return 0.0 if seen.hits <= 0 else float(betaincinv(seen.hits, seen.n - seen.hits + 1, miss))


def share_of(hit: BoolArray, user: IntArray) -> Share:
    """The share of rows that are hits, with its interval."""
    seen = evidence(hit, user)
    value = float(hit.mean()) if seen.rows else float("nan")
    low, high = lower_bound(seen, miss=_SIDES / 2), upper_bound(seen, miss=_SIDES / 2)
    return Share(value=value, low=low, high=high, rows=seen.rows, users=seen.users)


def alert_figures(rows: AlertRows, alerted: BoolArray) -> AlertFigures:
    """Measure alerts against outcomes; ``alerted`` of each row.

    Examples
    --------
    >>> from training.thresholds.rows import alert_rows
    >>> rows = alert_rows(range(4), ["free"] * 4, np.array([0.9, 0.8, 0.2, 0.1]), np.array([True, False, False, False]))
    >>> figures = alert_figures(rows, rows.risk >= 0.5)
    >>> round(figures.of_stayers.value, 3), figures.of_alerts.value, figures.alerted.value, figures.recall.value
    (0.333, 0.5, 0.5, 1.0)
    """
    stayed = ~rows.dropped_out
    return AlertFigures(
        of_stayers=share_of(alerted[stayed], rows.user[stayed]),
        of_alerts=share_of(stayed[alerted], rows.user[alerted]),
        alerted=share_of(alerted, rows.user),
        recall=share_of(alerted[~stayed], rows.user[~stayed]),
    )
