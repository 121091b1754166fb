"""Aggregations by what computes them; the kernel goes through them in this order."""

from __future__ import annotations

from features.core.catalogue import Aggregation

SUFFIXES = (
    Aggregation.COUNT,
    Aggregation.SUM,
    Aggregation.DISTINCT_SUBJECTS,
    Aggregation.SESSION_COUNT,
    Aggregation.ACTIVE_DAYS,
    Aggregation.SECONDS_SINCE_LAST,
    Aggregation.SECONDS_SINCE_FIRST,
    Aggregation.STREAK_DAYS,
)
"""Answered for any suffix by running statistics, `features.core.row`. All others go through the events, `features.core.scans`."""
QUOTIENTS = (Aggregation.MEAN, Aggregation.RATIO, Aggregation.TREND, Aggregation.EVENTS_PER_SESSION)
VALUES = (Aggregation.MAX,)
PAIRS = (
    Aggregation.SECONDS_TO_FIRST,
    Aggregation.SECONDS_TO_NEXT,
    Aggregation.SECONDS_TO_LAST,
    Aggregation.SECONDS_WAITING,
    Aggregation.SHARE_OF_FIRST,
)
GAPS = (
    Aggregation.MEAN_GAP_SECONDS,
    Aggregation.MAX_GAP_SECONDS,
    Aggregation.STD_GAP_SECONDS,
    Aggregation.LAST_GAP_RATIO,
    Aggregation.MAX_GAP_RATIO,
    Aggregation.EVENTS_PER_SECOND,
)
COURSE = (Aggregation.DECAYED_COUNT, Aggregation.HOUR_SHARE, Aggregation.BURST, Aggregation.EVENTS_PER_ACTIVE_HOUR)
SESSIONS = (Aggregation.LAST_SESSION_EVENTS, Aggregation.LAST_SESSION_SECONDS)
STEPS = (Aggregation.LAST_KINDS, Aggregation.FUNNEL_POSITION, Aggregation.SECONDS_AT_STEP)

OF_TWO = (Aggregation.RATIO, *PAIRS)
"""Those that set `of` against `to`."""

VALUED = (Aggregation.SUM, Aggregation.MEAN, Aggregation.MAX)
"""Those that read the values of events."""
FUNNELS = (Aggregation.FUNNEL_POSITION, Aggregation.SECONDS_AT_STEP)
"""Those over a funnel."""
CODES = (Aggregation.LAST_KINDS,)
"""Those whose number is a category, not a quantity: greater means nothing."""

PARAMETERS = {
    **dict.fromkeys(OF_TWO, ("to",)),
    Aggregation.SHARE_OF_FIRST: ("to", "first"),
    Aggregation.TREND: ("window",),
    Aggregation.DECAYED_COUNT: ("half_life",),
    Aggregation.HOUR_SHARE: ("hours",),
    Aggregation.BURST: ("within",),
    Aggregation.LAST_KINDS: ("last",),
}
"""Fields of `Feature` that an aggregation cannot do without."""

AGGREGATIONS = (*SUFFIXES, *QUOTIENTS, *VALUES, *PAIRS, *GAPS, *COURSE, *SESSIONS, *STEPS)


def stop_of(family: tuple[Aggregation, ...]) -> int:
    """Where a family ends in `AGGREGATIONS`.

    Examples
    --------
    >>> stop_of(SUFFIXES), stop_of(QUOTIENTS)
    (8, 12)
    """
    return AGGREGATIONS.index(family[-1]) + 1
