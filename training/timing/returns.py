"""When somebody came back after as_of, or how long they were watched without; and from that the rows that the hazard is learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from features.core.columns import Int64s

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

NEVER_US = int(np.iinfo(np.int64).max)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityLog:
    """Everybody's activity, ordered by user and time; users are coded 0 .. n_users - 1."""

    user: Int64s  # (n_events,)
    occurred_us: Int64s  # (n_events,)
    start: Int64s  # (n_users + 1,) where each user's events begin
    end_us: int  # everything up to and including this instant was seen

    def until(self, end_us: int) -> ActivityLog:
        """The same log as if it ended earlier."""
        return ActivityLog(user=self.user, occurred_us=self.occurred_us, start=self.start, end_us=min(end_us, self.end_us))


def activity_log(user: Int64s, occurred_us: Int64s, *, n_users: int, end_us: int) -> ActivityLog:
    """Order the activity of a log that ends at ``end_us``."""
    order = np.lexsort((occurred_us, user))
    start = np.searchsorted(user[order], np.arange(n_users + 1)).astype(np.int64)
    return ActivityLog(user=user[order], occurred_us=occurred_us[order], start=start, end_us=end_us)


def position_after(log: ActivityLog, user: Int64s, as_of_us: Int64s) -> Int64s:
    """Where in the log each row's first activity after as_of stands; the start of the next user's where there is none."""
    place = np.concatenate([log.user, user])
    instant = np.concatenate([log.occurred_us, as_of_us])
    is_row = np.concatenate([np.zeros(len(log.user), np.bool_), np.ones(len(user), np.bool_)])
    order = np.lexsort((is_row, instant, place))  # activity at as_of itself comes before the row: it is not after it
    events_before = np.cumsum(~is_row[order])
    position = np.empty(len(user), np.int64)
    position[order[is_row[order]] - len(log.user)] = events_before[is_row[order]]
    return position


class Returns(NamedTuple):
    """One element per row."""

    times_s: FloatArray  # until the return, or until the row was lost from sight
    observed: BoolArray  # it was the return


def returns_of(log: ActivityLog, user: Int64s, as_of_us: Int64s) -> Returns:
    """Time from each as_of to the user's next activity; censored where the log ends first.

    Examples
    --------
    >>> log = activity_log(np.array([0, 0]), np.array([10, 30]) * 10**6, n_users=1, end_us=40 * 10**6)
    >>> times_s, observed = returns_of(log, np.array([0, 0, 0]), np.array([5, 10, 30]) * 10**6)
    >>> times_s.tolist(), observed.tolist()
    ([5.0, 20.0, 10.0], [True, True, False])
    """
    position = position_after(log, user, as_of_us)
    has_next = position < log.start[user + 1]
    next_us = np.full(len(user), NEVER_US)
    next_us[has_next] = log.occurred_us[position[has_next]]
    observed = next_us <= log.end_us
    return Returns(times_s=(np.where(observed, next_us, log.end_us) - as_of_us) / 1e6, observed=observed)


class PersonPeriods(NamedTuple):
    """One element per (row, period) in which the row's user was still away at the start and watched until the end."""

    row: Int64s
    period: Int64s
    returned: BoolArray


def person_periods(returns: Returns, watched_s: FloatArray, edges_s: FloatArray) -> PersonPeriods:
    """Expand rows into periods, only those that were observed whole.

    A period that the log's end cuts is left out even if the return was seen in it: those who did not return in it would be missing.

    Parameters
    ----------
    watched_s
        From as_of to the end of the log, shape (n_rows,).

    Examples
    --------
    Back after 15, watched for 25 of the periods (0, 10], (10, 20], (20, 30]; and not back:

    >>> returns = Returns(np.array([15.0, 25.0]), np.array([True, False]))
    >>> rows = person_periods(returns, np.array([25.0, 25.0]), np.array([0.0, 10.0, 20.0, 30.0]))
    >>> rows.row.tolist(), rows.period.tolist(), rows.returned.tolist()
    ([0, 0, 1, 1], [0, 1, 0, 1], [False, True, False, False])
    """
    whole = np.searchsorted(edges_s, watched_s, side="right") - 1
    back_in = np.searchsorted(edges_s, returns.times_s, side="left") - 1  # the period (e_k, e_k+1] that the return falls in
    n_periods = np.minimum(np.where(returns.observed, back_in + 1, len(edges_s) - 1), np.minimum(whole, len(edges_s) - 1))
    n_periods = np.maximum(n_periods, 0)
    row = np.repeat(np.arange(len(n_periods)), n_periods)
    period = np.arange(len(row)) - np.repeat(np.cumsum(n_periods) - n_periods, n_periods)
    return PersonPeriods(row=row, period=period, returned=returns.observed[row] & (period == back_in[row]))
