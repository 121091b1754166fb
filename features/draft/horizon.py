"""Over how long a silence counts as dropping out: proposed from how long people stay away between visits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from features.core.columns import Int64s
from features.core.labels import NO_EVENT_US, label_rows, spine_rows
from features.core.product import SpineRule

_US = timedelta(microseconds=1)
_HOUR_US, _DAY_US = timedelta(hours=1) // _US, timedelta(days=1) // _US
_HOURS = (1, 2, 3, 6, 12)
_DAYS = (1, 2, 3, 5, 7, 10, 14, 21, 30, 45, 60, 90, 120, 180, 365)
ROUND = tuple(timedelta(hours=n) for n in _HOURS) + tuple(timedelta(days=n) for n in _DAYS)
"""Durations that people say."""

_COMMON = 90  # percent of the gaps that a horizon should cover
_SHARE_OF_LOG = 6  # three gaps of a horizon are cut out of the log for an honest split
_LATER_SLICES = (0.20, 0.15, 0.12)  # shares of the rows for test, calibration and early stopping, as training cuts them
_LEAST_ROWS = 100  # of a slice
_LEAST_LEFT = 0.10  # share of the rows to learn from
_ROWS_PER_HORIZON = 4
_MOST_ROWS = 2_000_000
_DAYS_MATTER_FROM = 14  # days of log; below that gaps are counted in hours


@dataclass(frozen=True, slots=True, kw_only=True)
class HorizonGuess:
    """A label proposal and what it rests on."""

    horizon: timedelta
    spine: SpineRule
    common_gap: timedelta | None  # nine of ten gaps between active days (hours in a short log) are no longer; None: nobody came back
    span: timedelta  # of the log
    n_rows: int  # mature rows that the spine gives, among the users looked at
    base_rate: float | None  # share of them that drop out
    newest_us: int  # when the log ends; 0 without events


def guess_horizon(user: Int64s, occurred_us: Int64s, *, user_share: float = 1.0) -> HorizonGuess:
    """Propose horizon and spine from events, and count what they give.

    Parameters
    ----------
    user, occurred_us
        Events of some or all users, in any order; codes 0 .. n - 1.
    user_share
        Share of all users that these are.

    Examples
    --------
    Somebody who comes every second day for 60 days:

    >>> guess = guess_horizon(np.zeros(30, np.int64), np.arange(30) * 2 * _DAY_US)
    >>> guess.common_gap.days, guess.horizon.days, guess.base_rate
    (2, 2, 0.0)
    """
    span = timedelta(microseconds=int(occurred_us.max() - occurred_us.min())) if len(occurred_us) else timedelta(0)
    unit_us = _DAY_US if span >= timedelta(days=_DAYS_MATTER_FROM) else _HOUR_US
    gaps = gaps_in(user, occurred_us // unit_us)
    common = timedelta(microseconds=int(np.percentile(gaps, _COMMON, method="higher")) * unit_us) if len(gaps) else None
    guess, newest_us = None, int(occurred_us.max(initial=0))
    for horizon in _candidates(common or span, at_most=span / _SHARE_OF_LOG):
        spine = _spine(horizon, span, n_users=int(user.max(initial=-1) + 1) / user_share)
        as_of_us, dropped_out = _labelled(user, occurred_us, spine, horizon)
        base_rate = float(dropped_out.mean()) if len(dropped_out) else None
        tried = HorizonGuess(
            horizon=horizon, spine=spine, common_gap=common, span=span, n_rows=len(as_of_us), base_rate=base_rate, newest_us=newest_us
        )
        guess = guess or tried
        if can_be_split(as_of_us, dropped_out, horizon_us=horizon // _US, least_rows=max(1, int(_LEAST_ROWS * user_share))):
            return tried
    assert guess is not None
    return guess


def gaps_in(user: Int64s, bucket: Int64s) -> Int64s:
    """Distances between each user's consecutive buckets (days, hours) that have events.

    Examples
    --------
    >>> gaps_in(np.array([0, 0, 0, 1]), np.array([5, 5, 9, 7])).tolist()
    [4]
    """
    order = np.lexsort((bucket, user))
    same_user = np.diff(user[order]) == 0
    steps: Int64s = np.diff(bucket[order])[same_user]
    return steps[steps > 0]


def windows_for(horizon: timedelta, count: int) -> list[timedelta]:
    """About ``count`` round windows around the horizon, ascending: the horizon first, then its neighbours below and above in turn.

    Examples
    --------
    >>> [window.days for window in windows_for(timedelta(days=7), 4)]
    [3, 5, 7, 10]
    """
    middle = min(range(len(ROUND)), key=lambda index: abs(ROUND[index] - horizon))
    order = sorted(range(len(ROUND)), key=lambda index: (abs(index - middle), index))
    return sorted(ROUND[index] for index in order[:count])


def can_be_split(as_of_us: Int64s, dropped_out: npt.NDArray[np.bool_], *, horizon_us: int, least_rows: int) -> bool:
    """Whether slices in order of time, a horizon apart, leave enough rows of both outcomes in each.

    Examples
    --------
    >>> as_of_us, dropped_out = np.arange(1_000), np.arange(1_000) % 2 == 0
    >>> [can_be_split(as_of_us, dropped_out, horizon_us=horizon_us, least_rows=20) for horizon_us in (10, 100, 300)]
    [True, True, False]
    """
    order = np.argsort(as_of_us, kind="stable")
    as_of_us, dropped_out = as_of_us[order], dropped_out[order]
    end = len(as_of_us)
    for share in _LATER_SLICES:
        first = max(0, end - round(share * len(as_of_us)))
        if not _teaches(dropped_out[first:end], least_rows):
            return False
        end = int(np.searchsorted(as_of_us, as_of_us[first] - horizon_us, side="right"))
    return end >= _LEAST_LEFT * len(as_of_us) and _teaches(dropped_out[:end], least_rows)


def _teaches(dropped_out: npt.NDArray[np.bool_], least_rows: int) -> bool:
    return len(dropped_out) >= least_rows and bool(dropped_out.any()) and not bool(dropped_out.all())


def _candidates(wanted: timedelta, *, at_most: timedelta) -> list[timedelta]:
    """Round horizons, the most wanted first: the wanted one rounded up as far as allowed, then ever shorter ones."""
    allowed = [duration for duration in ROUND if duration <= at_most] or [ROUND[0]]
    best = next((index for index, duration in enumerate(allowed) if duration >= wanted), len(allowed) - 1)
    return allowed[best::-1]


def _rounded_up(wanted: timedelta) -> timedelta:
    return next((duration for duration in ROUND if duration >= wanted), ROUND[-1])


def _spine(horizon: timedelta, span: timedelta, *, n_users: float) -> SpineRule:
    """Rows every quarter of a horizon while active within one; further apart where that makes too many."""
    every = min(_rounded_up(horizon / _ROWS_PER_HORIZON), horizon)
    while n_users * (span / every) > _MOST_ROWS and every < horizon:
        every = next(duration for duration in ROUND if duration > every)
    stop_after = timedelta(days=max(1, -(-span // timedelta(days=1))))
    return SpineRule(every=every, start_after=every, stop_after=max(stop_after, every), active_within=horizon)


def _labelled(user: Int64s, occurred_us: Int64s, spine: SpineRule, horizon: timedelta) -> tuple[Int64s, npt.NDArray[np.bool_]]:
    """as_of and outcome of every mature row."""
    first_us = np.full(int(user.max(initial=-1)) + 1, NO_EVENT_US, np.int64)
    np.minimum.at(first_us, user, occurred_us)
    end_us = int(occurred_us.max(initial=0))
    rows = spine_rows(first_us, spine, end_of_data_us=end_us, activity_user=user, activity_occurred_us=occurred_us)
    labels = label_rows(user, occurred_us, rows.user, rows.as_of_us, horizon_us=horizon // _US, end_of_data_us=end_us)
    return rows.as_of_us[labels.mature], labels.dropped_out[labels.mature]
