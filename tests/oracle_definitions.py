"""The aggregations, one function each, in the words and the order of docs/features.md."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from zoneinfo import ZoneInfo

from features.core.catalogue import Aggregation, Feature, Zone
from tests.oracle_facts import Fact

SECOND_US = 1_000_000
HOUR_US = 60 * 60 * SECOND_US
DAY_US = 24 * HOUR_US
SESSION_GAP_US = 30 * 60 * SECOND_US


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What one feature sees of one user."""

    feature: Feature
    kept: Sequence[Fact]
    as_of_us: int

    @cached_property
    def of(self) -> list[Fact]:
        """The counting events of the feature's kinds, in order."""
        return self.matching(self.feature.kinds, windows=1)

    @cached_property
    def to(self) -> list[Fact]:
        """The counting events of what it is set against, in order."""
        return self.matching(self.feature.to_kinds, windows=1)

    def matching(self, selectors: Iterable[str], *, windows: int) -> list[Fact]:
        """Events of these selectors within so many windows before as_of."""
        window = self.feature.window
        inside = [fact for fact in self.kept if window is None or fact.effective_us > self.as_of_us - windows * whole_us(window)]
        return sorted((fact for fact in inside if any(matches(fact, each) for each in selectors)), key=lambda fact: fact.place)

    def seconds_since(self, fact: Fact) -> float:
        return seconds(self.as_of_us - fact.effective_us)


def whole_us(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)


def matches(fact: Fact, selector: str) -> bool:
    return selector == fact.kind or (fact.subject is not None and selector == f"{fact.kind}/{fact.subject}")


def seconds(us: int) -> float:
    return float(us) / 1_000_000


def quotient(numerator: int, denominator: int) -> float:
    return float(numerator) / float(denominator) if denominator else math.nan


def count(sight: Sight) -> int:
    return len(sight.of)


def sum_of_values(sight: Sight) -> float:
    return float(sum(fact.value or 0 for fact in sight.of))


def distinct_subjects(sight: Sight) -> int:
    return len({fact.subject for fact in sight.of if fact.subject is not None})


def seconds_since_last(sight: Sight) -> float:
    return sight.seconds_since(sight.of[-1]) if sight.of else math.nan


def seconds_since_first(sight: Sight) -> float:
    return sight.seconds_since(sight.of[0]) if sight.of else math.nan


def days(facts: Sequence[Fact]) -> set[int]:
    return {fact.effective_us // DAY_US for fact in facts}


def active_days(sight: Sight) -> int:
    return len(days(sight.of))


def streak_days(sight: Sight) -> int:
    active, today = days(sight.of), sight.as_of_us // DAY_US
    last = today if today in active else today - 1
    length = 0
    while last - length in active:
        length += 1
    return length


def sessions(facts: Sequence[Fact]) -> list[list[Fact]]:
    """The events by session: by id, and the others in runs."""
    ids = {fact.session for fact in facts if fact.session is not None}
    found = [[fact for fact in facts if fact.session == each] for each in ids]
    run: list[Fact] = []
    for fact in facts:
        if fact.session is None:
            if not run or fact.effective_us - run[-1].effective_us > SESSION_GAP_US:
                run = []
                found.append(run)
            run.append(fact)
    return found


def session_count(sight: Sight) -> int:
    return len(sessions(sight.of))


# Values


def mean(sight: Sight) -> float:
    return sum_of_values(sight) / float(len(sight.of)) if sight.of else math.nan


def greatest(sight: Sight) -> float:
    return float(max(fact.value or 0 for fact in sight.of)) if sight.of else math.nan


# One against another


def ratio(sight: Sight) -> float:
    return quotient(len(sight.of), len(sight.to))


def after(facts: Sequence[Fact], fact: Fact) -> list[Fact]:
    return [other for other in facts if other.place > fact.place]


def before(facts: Sequence[Fact], fact: Fact) -> list[Fact]:
    return [other for other in facts if other.place < fact.place]


def between(earlier: Fact, later: Fact) -> float:
    return seconds(later.effective_us - earlier.effective_us)


def seconds_to_first(sight: Sight) -> float:
    following = after(sight.to, sight.of[0]) if sight.of else []
    return between(sight.of[0], following[0]) if following else math.nan


def seconds_to_next(sight: Sight) -> float:
    following = after(sight.to, sight.of[-1]) if sight.of else []
    return between(sight.of[-1], following[0]) if following else math.nan


def seconds_to_last(sight: Sight) -> float:
    preceding = before(sight.of, sight.to[-1]) if sight.to else []
    return between(preceding[-1], sight.to[-1]) if preceding else math.nan


def seconds_waiting(sight: Sight) -> float:
    if not sight.of or after(sight.to, sight.of[-1]):
        return math.nan
    return sight.seconds_since(sight.of[-1])


def share_of_first(sight: Sight) -> float:
    both = sight.matching((*sight.feature.kinds, *sight.feature.to_kinds), windows=1)
    earliest = both[: sight.feature.first]
    return quotient(len([fact for fact in earliest if fact in sight.of]), len(earliest))


# Course of time


def trend(sight: Sight) -> int:
    in_two_windows = len(sight.matching(sight.feature.kinds, windows=2))
    in_this, in_that_before = len(sight.of), in_two_windows - len(sight.of)
    return in_this - in_that_before


def gaps_us(facts: Sequence[Fact]) -> list[int]:
    return [later.effective_us - earlier.effective_us for earlier, later in pairwise(facts)]


def mean_gap_seconds(sight: Sight) -> float:
    if len(sight.of) < 2:
        return math.nan
    return quotient(sight.of[-1].effective_us - sight.of[0].effective_us, (len(sight.of) - 1) * 1_000_000)


def max_gap_seconds(sight: Sight) -> float:
    return seconds(max(gaps_us(sight.of))) if len(sight.of) >= 2 else math.nan


def std_gap_seconds(sight: Sight) -> float:
    gaps, middle = gaps_us(sight.of), mean_gap_seconds(sight)
    if not gaps:
        return math.nan
    squares = 0.0
    for gap in gaps:
        squares += (seconds(gap) - middle) * (seconds(gap) - middle)
    return math.sqrt(squares / float(len(gaps)))


def of_mean_gap(sight: Sight, numerator: float) -> float:
    middle = mean_gap_seconds(sight)
    return numerator / middle if middle > 0 else math.nan  # also where there is none: NaN is not greater than 0


def last_gap_ratio(sight: Sight) -> float:
    return of_mean_gap(sight, seconds_since_last(sight))


def max_gap_ratio(sight: Sight) -> float:
    return of_mean_gap(sight, max_gap_seconds(sight))


def decayed_count(sight: Sight) -> float:
    rate = math.log(2.0) / float(whole_us(sight.feature.half_life))
    total = 0.0
    for fact in sight.of:
        total += math.exp(-(float(sight.as_of_us - fact.effective_us) * rate))
    return total


def local_hour(fact: Fact, zone: Zone | None) -> int:
    """By the zone's name alone: its table is what is being checked."""
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=fact.effective_us)
    return instant.astimezone(ZoneInfo("UTC" if zone is None else zone.name)).hour


def hour_share(sight: Sight) -> float:
    start, end = sight.feature.hours
    wanted = [hour for hour in range(24) if (start <= hour < end if start < end else hour >= start or hour < end)]
    return quotient(len([fact for fact in sight.of if local_hour(fact, sight.feature.zone) in wanted]), len(sight.of))


def burst(sight: Sight) -> int:
    within_us = whole_us(sight.feature.within)
    times = [fact.effective_us for fact in sight.of]
    return max((len([t for t in times if end - within_us < t <= end]) for end in times), default=0)


def events_per_second(sight: Sight) -> float:
    span_us = sight.of[-1].effective_us - sight.of[0].effective_us if sight.of else 0
    return float(len(sight.of) - 1) / seconds(span_us) if span_us else math.nan


def events_per_active_hour(sight: Sight) -> float:
    return quotient(len(sight.of), len({fact.effective_us // HOUR_US for fact in sight.of}))


# Sessions


def last_session(sight: Sight) -> list[Fact]:
    return next((session for session in sessions(sight.of) if sight.of[-1] in session), [])


def last_session_events(sight: Sight) -> int:
    return len(last_session(sight))


def last_session_seconds(sight: Sight) -> float:
    session = last_session(sight)
    return between(session[0], session[-1]) if session else math.nan


def events_per_session(sight: Sight) -> float:
    return quotient(len(sight.of), session_count(sight))


# Order of steps


def digit(fact: Fact, alphabetical: Sequence[str]) -> int:
    matching = [selector for selector in alphabetical if matches(fact, selector)]
    with_subject = [selector for selector in matching if "/" in selector]
    return 1 + alphabetical.index((with_subject or matching)[0])


def last_kinds(sight: Sight) -> int:
    alphabetical = sorted(set(sight.feature.kinds))
    base, code = len(alphabetical) + 1, 0
    for fact in sight.of[max(len(sight.of) - sight.feature.last, 0) :]:
        code = code * base + digit(fact, alphabetical)
    return code


def step_events(sight: Sight, position: int) -> list[Fact]:
    return [fact for fact in sight.of if matches(fact, sight.feature.kinds[position - 1])]


def funnel_position(sight: Sight) -> int:
    return max((place for place in range(1, len(sight.feature.kinds) + 1) if step_events(sight, place)), default=0)


def seconds_at_step(sight: Sight) -> float:
    position = funnel_position(sight)
    return sight.seconds_since(step_events(sight, position)[0]) if position else math.nan


DEFINITIONS: dict[Aggregation, Callable[[Sight], float]] = {
    Aggregation.COUNT: count,
    Aggregation.SUM: sum_of_values,
    Aggregation.DISTINCT_SUBJECTS: distinct_subjects,
    Aggregation.SECONDS_SINCE_LAST: seconds_since_last,
    Aggregation.SECONDS_SINCE_FIRST: seconds_since_first,
    Aggregation.ACTIVE_DAYS: active_days,
    Aggregation.STREAK_DAYS: streak_days,
    Aggregation.SESSION_COUNT: session_count,
    Aggregation.MEAN: mean,
    Aggregation.MAX: greatest,
    Aggregation.RATIO: ratio,
    Aggregation.SECONDS_TO_FIRST: seconds_to_first,
    Aggregation.SECONDS_TO_NEXT: seconds_to_next,
    Aggregation.SECONDS_TO_LAST: seconds_to_last,
    Aggregation.SECONDS_WAITING: seconds_waiting,
    Aggregation.SHARE_OF_FIRST: share_of_first,
    Aggregation.TREND: trend,
    Aggregation.MEAN_GAP_SECONDS: mean_gap_seconds,
    Aggregation.MAX_GAP_SECONDS: max_gap_seconds,
    Aggregation.STD_GAP_SECONDS: std_gap_seconds,
    Aggregation.LAST_GAP_RATIO: last_gap_ratio,
    Aggregation.MAX_GAP_RATIO: max_gap_ratio,
    Aggregation.DECAYED_COUNT: decayed_count,
    Aggregation.HOUR_SHARE: hour_share,
    Aggregation.BURST: burst,
    Aggregation.EVENTS_PER_SECOND: events_per_second,
    Aggregation.EVENTS_PER_ACTIVE_HOUR: events_per_active_hour,
    Aggregation.LAST_SESSION_EVENTS: last_session_events,
    Aggregation.LAST_SESSION_SECONDS: last_session_seconds,
    Aggregation.EVENTS_PER_SESSION: events_per_session,
    Aggregation.LAST_KINDS: last_kinds,
    Aggregation.FUNNEL_POSITION: funnel_position,
    Aggregation.SECONDS_AT_STEP: seconds_at_step,
}
