"""Training rows and their labels: which (user, as_of) to learn from, and whether the user then dropped out."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from features.core.columns import Int64s
from features.core.product import SpineRule
from features.core.user import DAY_US

__all__ = ["NO_EVENT_US", "Labels", "Spine", "label_rows", "last_activity_us", "spine_rows"]

Bools = npt.NDArray[np.bool_]

NO_EVENT_US = int(np.iinfo(np.int64).max)
"""In ``first_us``: the user has no event, so no row."""


class Labels(NamedTuple):
    """One element per row of the spine."""

    dropped_out: Bools  # no activity in (as_of, as_of + horizon]; means something only where mature
    mature: Bools  # the whole horizon lies before the end of the data


class Spine(NamedTuple):
    """(user, as_of) rows, by user and then by as_of."""

    user: Int64s
    as_of_us: Int64s


def label_rows(
    activity_user: Int64s, activity_occurred_us: Int64s, spine_user: Int64s, spine_as_of_us: Int64s, *, horizon_us: int, end_of_data_us: int
) -> Labels:
    """Whether each row's user showed no activity in ``(as_of, as_of + horizon]``, and whether that can be known yet.

    Parameters
    ----------
    activity_user, activity_occurred_us
        Every event that counts as activity, in any order; the effective time (``occurred_us - skew_us``).
    end_of_data_us
        Everything up to and including this instant was seen.

    Examples
    --------
    One user, active at 10 and 20 us; horizon 10 us; data until 30 us:

    >>> users, times = np.array([0, 0]), np.array([10, 20])
    >>> as_of = np.array([9, 10, 20, 21])
    >>> labels = label_rows(users, times, np.zeros(4, np.int64), as_of, horizon_us=10, end_of_data_us=30)
    >>> labels.dropped_out.tolist(), labels.mature.tolist()
    ([False, False, True, True], [True, True, True, False])
    """
    last_us = last_activity_us(activity_user, activity_occurred_us, spine_user, spine_as_of_us + horizon_us)
    return Labels(dropped_out=last_us <= spine_as_of_us, mature=spine_as_of_us + horizon_us <= end_of_data_us)


def last_activity_us(activity_user: Int64s, activity_occurred_us: Int64s, row_user: Int64s, until_us: Int64s) -> Int64s:
    """Time of each row's user's newest activity at or before ``until_us``; the least int64 if there is none."""
    last_us = np.full(len(row_user), np.iinfo(np.int64).min, dtype=np.int64)
    user = np.concatenate((activity_user, row_user))
    instant_us = np.concatenate((activity_occurred_us, until_us))
    is_row = np.concatenate((np.zeros(len(activity_user), np.bool_), np.ones(len(row_user), np.bool_)))
    order = np.lexsort((is_row, instant_us, user))  # an activity at until_us itself comes before the row
    newest = np.maximum.accumulate(np.where(is_row[order], -1, np.arange(len(order))))  # place in `order` of the newest activity
    place = np.flatnonzero(is_row[order])
    row = order[place] - len(activity_user)
    found = order[newest[place]]
    same_user = (newest[place] >= 0) & (user[found] == row_user[row])
    last_us[row[same_user]] = instant_us[found[same_user]]
    return last_us


def spine_rows(
    first_us: Int64s,
    rule: SpineRule,
    *,
    end_of_data_us: int,
    activity_user: Int64s | None = None,
    activity_occurred_us: Int64s | None = None,
) -> Spine:
    """The rows that a rule asks for, up to and including ``end_of_data_us``.

    Parameters
    ----------
    first_us
        (n_users,) each user's first event; `NO_EVENT_US`: no row for this user.
    activity_user, activity_occurred_us
        Needed when the rule has ``active_within``; as for `label_rows`.

    Raises
    ------
    ValueError
        If the rule has ``active_within`` and no activity is given, or ``every`` is not positive.

    Examples
    --------
    Every two days from one to five days after the first event:

    >>> rule = SpineRule(every=timedelta(days=2), start_after=timedelta(days=1), stop_after=timedelta(days=5))
    >>> spine = spine_rows(np.array([0]), rule, end_of_data_us=10 * DAY_US)
    >>> (spine.as_of_us // DAY_US).tolist()
    [1, 3, 5]
    """
    every_us, start_us, stop_us = _us(rule.every), _us(rule.start_after), _us(rule.stop_after)
    if every_us <= 0:
        raise ValueError(f"spine: every: got {rule.every}, expected a positive duration")
    users = np.flatnonzero(first_us != NO_EVENT_US)
    begin_us = first_us[users] + start_us
    last_us = np.minimum(first_us[users] + stop_us, end_of_data_us)
    n_rows = np.maximum((last_us - begin_us) // every_us + 1, 0)
    user = np.repeat(users, n_rows)
    step = np.arange(n_rows.sum()) - np.repeat(np.cumsum(n_rows) - n_rows, n_rows)
    as_of_us = np.repeat(begin_us, n_rows) + step * every_us
    if rule.at_midnight:
        user, as_of_us = _at_midnight(user, as_of_us, end_of_data_us)
    if rule.active_within is not None:
        active = _active(user, as_of_us, _us(rule.active_within), (activity_user, activity_occurred_us))
        user, as_of_us = user[active], as_of_us[active]
    return Spine(user=user.astype(np.int64), as_of_us=as_of_us.astype(np.int64))


def _at_midnight(user: Int64s, as_of_us: Int64s, end_of_data_us: int) -> tuple[Int64s, Int64s]:
    """Moved forward to the next UTC midnight (a midnight stays); what then coincides is one row."""
    midnight_us = -(-as_of_us // DAY_US) * DAY_US
    first = np.ones(len(user), dtype=np.bool_)
    first[1:] = (np.diff(user) != 0) | (np.diff(midnight_us) != 0)
    kept = first & (midnight_us <= end_of_data_us)
    return user[kept], midnight_us[kept]


def _active(user: Int64s, as_of_us: Int64s, within_us: int, activity: tuple[Int64s | None, Int64s | None]) -> Bools:
    activity_user, activity_occurred_us = activity
    if activity_user is None or activity_occurred_us is None:
        raise ValueError(
            "spine: active_within: got no activity, expected activity_user and activity_occurred_us; pass the events of the label"
        )
    return last_activity_us(activity_user, activity_occurred_us, user, as_of_us) > as_of_us - within_us


def _us(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)
