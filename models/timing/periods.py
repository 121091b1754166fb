"""Time since as_of in periods that grow from an hour to days, and the local hour of an instant."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

HOUR_S = 3_600.0
DAY_S = 86_400.0
HOURS_OF_DAY = 24
HOURS_OF_WEEK = 168

_HOUR_US = 3_600_000_000
_FIRST_DAY_HOURS = (0, 1, 2, 3, 4, 6, 8, 10, 12, 15, 18, 21, 24)
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0


def period_edges_s(until_s: float) -> tuple[float, ...]:
    """Edges of the periods, ascending from 0: hourly at first, then six-hourly, half-daily, daily and two-daily, past ``until_s``.

    Examples
    --------
    >>> [edge / 3600 for edge in period_edges_s(36 * 3600.0)][-4:]
    [21.0, 24.0, 30.0, 36.0]
    """
    edges = [hours * HOUR_S for hours in _FIRST_DAY_HOURS]
    while edges[-1] < until_s:
        edges.append(edges[-1] + _width_s(edges[-1]))
    return tuple(edges)


def _width_s(from_s: float) -> float:
    days = from_s / DAY_S
    if days < 3:  # noqa: PLR2004 - three days in quarters, four in halves, a week in days
        return 6 * HOUR_S
    if days < 7:  # noqa: PLR2004
        return 12 * HOUR_S
    return DAY_S if days < 14 else 2 * DAY_S  # noqa: PLR2004


def hour_of_week(at_us: IntArray, utc_offset_s: IntArray) -> IntArray:
    """Local hour of the week of each instant, 0 (Monday 00:00 to 01:00) to 167, shapes broadcast.

    Parameters
    ----------
    at_us
        Microseconds since the Unix epoch.
    utc_offset_s
        Of the user's zone at as_of. A change of the clocks between as_of and the instant shifts the hour by one.

    Examples
    --------
    The epoch was a Thursday:

    >>> hour_of_week(np.array([0, 3_600_000_000]), np.array([0, 7_200])).tolist()
    [72, 75]
    """
    hours: IntArray = (at_us + utc_offset_s * 1_000_000) // _HOUR_US + _EPOCH_WEEKDAY * HOURS_OF_DAY
    return hours % HOURS_OF_WEEK
