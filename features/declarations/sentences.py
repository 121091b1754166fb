"""Every aggregation in words: the unit of its number, and a sentence for features that declare none."""

from __future__ import annotations

from datetime import timedelta

from features.core.catalogue import Aggregation, Feature, kind_of, subject_of

_A = Aggregation

_WORDS: dict[Aggregation, tuple[str, str]] = {
    _A.COUNT: ("count", "Number of {own}{window}."),
    _A.SUM: ("count", "Sum of the values of {own}{window}."),
    _A.DISTINCT_SUBJECTS: ("count", "Number of different subjects of {own}{window}."),
    _A.SECONDS_SINCE_LAST: ("s", "Time since the newest of {own}{window}."),
    _A.SECONDS_SINCE_FIRST: ("s", "Time since the oldest of {own}{window}."),
    _A.ACTIVE_DAYS: ("days", "Number of UTC days with {own}{window}."),
    _A.SESSION_COUNT: ("sessions", "Number of sessions with {own}{window}."),
    _A.STREAK_DAYS: ("days", "Length of the unbroken run of UTC days with {own}{window} that has not ended yet."),
    _A.MEAN: ("count", "Mean of the values of {own}{window}."),
    _A.MAX: ("count", "Greatest value of {own}{window}."),
    _A.RATIO: ("ratio", "Number of {own} for each of {other}{window}."),
    _A.TREND: ("count", "Number of {own}{window}, less the number in as long a time before."),
    _A.SECONDS_TO_FIRST: ("s", "Time from the oldest of {own} to the first of {other} after it{window}."),
    _A.SECONDS_TO_NEXT: ("s", "Time from the newest of {own} to the first of {other} after it{window}."),
    _A.SECONDS_TO_LAST: ("s", "Time from the newest of {own} before the newest of {other} to that one{window}."),
    _A.SECONDS_WAITING: ("s", "Time since the newest of {own} if none of {other} has followed{window}."),
    _A.MEAN_GAP_SECONDS: ("s", "Mean time between neighbours among {own}{window}."),
    _A.MAX_GAP_SECONDS: ("s", "Longest time between neighbours among {own}{window}."),
    _A.STD_GAP_SECONDS: ("s", "Standard deviation of the times between neighbours among {own}{window}."),
    _A.LAST_GAP_RATIO: ("ratio", "Time since the newest of {own}, by the mean time between them{window}."),
    _A.MAX_GAP_RATIO: ("ratio", "Longest time between neighbours among {own}, by the mean time{window}."),
    _A.HOUR_SHARE: ("share", "Share of {own} between {hours} in {zone}{window}."),
    _A.LAST_SESSION_EVENTS: ("count", "Number of {own} in the newest session{window}."),
    _A.LAST_SESSION_SECONDS: ("s", "Time from the oldest to the newest of {own} in the newest session{window}."),
    _A.EVENTS_PER_SESSION: ("per session", "Number of {own} for each session with any{window}."),
    _A.EVENTS_PER_ACTIVE_HOUR: ("per hour", "Number of {own} for each UTC hour with any{window}."),
    _A.EVENTS_PER_SECOND: ("per second", "Number of {own} per second from the oldest to the newest{window}."),
    _A.LAST_KINDS: ("code", "Kinds of the newest {last} of {own}{window}, as a code."),
    _A.DECAYED_COUNT: ("count", "Number of {own}{window}, each counting half as much with every {half_life} that passes."),
    _A.FUNNEL_POSITION: ("step", "Farthest step of the funnel {of} with an event{window}."),
    _A.SECONDS_AT_STEP: ("s", "Time since the farthest step of the funnel {of} was first reached{window}."),
    _A.SHARE_OF_FIRST: ("share", "Share of {own} among the oldest {first} of them and {other}{window}."),
    _A.BURST: ("count", "Greatest number of {own} within {within}{window}."),
}
"""Unit and sentence of each aggregation; values and subjects have the units of their kinds."""


def unit_of(aggregation: Aggregation) -> str:
    """Unit of the aggregation's number."""
    return _WORDS[aggregation][0]


def sentence(feature: Feature) -> str:
    """What the number is, in one plain sentence.

    Examples
    --------
    >>> sentence(Feature(aggregation=Aggregation.COUNT, of="view/docs", kinds=("view/docs",), window=timedelta(days=7)))
    'Number of view events about docs in the last 7 days.'
    >>> sentence(Feature(aggregation=Aggregation.SECONDS_SINCE_LAST, of="use", kinds=("login", "click")))
    'Time since the newest of use events.'
    """
    return _WORDS[feature.aggregation][1].format(
        own=_events(feature.of),
        other=_events(feature.to or ""),
        of=feature.of,
        window="" if feature.window is None else f" in the last {_duration(feature.window)}",
        first=feature.first,
        last=feature.last,
        within=_duration(feature.within),
        half_life=_duration(feature.half_life),
        hours=" and ".join(f"{hour}:00" for hour in feature.hours or ()),
        zone="UTC" if feature.zone is None else feature.zone.name,
    )


def _events(selector: str) -> str:
    subject = subject_of(selector)
    return f"{kind_of(selector)} events" if subject is None else f"{kind_of(selector)} events about {subject}"


def _duration(duration: timedelta | None) -> str:
    """In words, in the largest unit that it is a multiple of.

    Examples
    --------
    >>> _duration(timedelta(hours=36)), _duration(timedelta(days=1)), _duration(timedelta(milliseconds=1500))
    ('36 hours', '1 day', '1.5 seconds')
    """
    seconds = 0.0 if duration is None else duration.total_seconds()
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size and seconds % size == 0:
            return _counted(seconds / size, name)
    return _counted(seconds, "second")


def _counted(n: float, name: str) -> str:
    return f"{n:g} {name}" if n == 1 else f"{n:g} {name}s"
