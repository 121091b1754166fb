"""Time since as_of in periods that grow from an hour to days."""

from __future__ import annotations

from features.core.weekly import HOUR_S

DAY_S = 86_400.0

_FIRST_DAY_HOURS = (0, 1, 2, 3, 4, 6, 8, 10, 12, 15, 18, 21, 24)


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
