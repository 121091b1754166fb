"""A user who falls silent has other features tomorrow. What silence may do, and may not do, to each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.core.catalogue import Aggregation, Feature
from features.core.event import Event
from features.core.kernel import vector
from features.core.program import compile_program
from features.core.timeline import pack, timeline_from_events
from tests.laws.catalogues import full_catalogue
from tests.laws.histories import DAY, HALF_HOUR, histories
from tests.oracle_definitions import Sight, whole_us
from tests.oracle_facts import distinct, kept_of

FULL = full_catalogue()
PROGRAM = compile_program(FULL)
NOTHING = dict(zip(FULL.feature_names, vector(b"", 0, PROGRAM).tolist(), strict=True))
DAY_US = whole_us(DAY)

GROW = {
    Aggregation.SECONDS_SINCE_LAST,
    Aggregation.SECONDS_SINCE_FIRST,
    Aggregation.SECONDS_WAITING,
    Aggregation.SECONDS_AT_STEP,
    Aggregation.LAST_GAP_RATIO,
}
"""As long as the same events count, every microsecond of silence makes them greater, and nothing but the clock changes any other.
(Decayed counts fade and streaks break, each in its own way.)"""

NEVER_GROW = {
    Aggregation.COUNT,
    Aggregation.DISTINCT_SUBJECTS,
    Aggregation.ACTIVE_DAYS,
    Aggregation.STREAK_DAYS,
    Aggregation.SESSION_COUNT,
    Aggregation.MAX,
    Aggregation.MAX_GAP_SECONDS,
    Aggregation.LAST_SESSION_EVENTS,
    Aggregation.LAST_SESSION_SECONDS,
    Aggregation.DECAYED_COUNT,
    Aggregation.FUNNEL_POSITION,
    Aggregation.BURST,
}
"""Also as events leave the window, until there is nothing left to speak of."""

GROW_OR_END = {Aggregation.SECONDS_SINCE_LAST, Aggregation.SECONDS_WAITING}
"""About the newest event: nothing but that leaving the window stops them."""

STAY_OR_END = {Aggregation.SECONDS_TO_NEXT, Aggregation.SECONDS_TO_LAST}
"""About the newest events of two: an older one leaving the window cannot change them, only end them."""

silences_us = st.one_of(st.integers(1, 40 * DAY_US), st.sampled_from([1, whole_us(HALF_HOUR), DAY_US, 2 * DAY_US, 7 * DAY_US]))
Change = tuple[Feature, float, float, bool]


def changes(events: list[Event], silence_us: int, aggregations: AbstractSet[Aggregation]) -> Iterator[Change]:
    """Of every feature of these aggregations: its number, the one after the silence, and whether the same events count."""
    as_of_us = max([0, *(event.known_us for event in events)])
    packed, facts = pack(timeline_from_events(events, FULL.kinds)), distinct(events)
    kept = [fact for kind in FULL.kinds for fact in kept_of(kind, facts)]
    before, after = (vector(packed, at_us, PROGRAM).tolist() for at_us in (as_of_us, as_of_us + silence_us))
    for feature, was, now in zip(FULL.features, before, after, strict=True):
        if feature.aggregation in aggregations:
            then, later = (Sight(feature=feature, kept=kept, as_of_us=at_us) for at_us in (as_of_us, as_of_us + silence_us))
            yield feature, was, now, counting(then) == counting(later)


def counting(sight: Sight) -> list[object]:
    return [sight.matching(sight.feature.selectors, windows=windows) for windows in (1, 2)]  # a trend looks at two


def equal(left: float, right: float) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right))


@given(histories(), silences_us)
def test_while_the_same_events_count_only_what_looks_at_the_clock_changes(events: list[Event], silence_us: int) -> None:
    for feature, was, now, same in changes(events, silence_us, set(Aggregation) - {Aggregation.DECAYED_COUNT, Aggregation.STREAK_DAYS}):
        if same and feature.aggregation in GROW:
            assert now > was or (math.isnan(was) and math.isnan(now)), feature.name
        elif same:
            assert equal(now, was), feature.name


@given(histories(), silences_us)
def test_events_that_leave_a_window_never_make_more_of_what_is_left(events: list[Event], silence_us: int) -> None:
    for feature, was, now, _ in changes(events, silence_us, NEVER_GROW | GROW_OR_END | STAY_OR_END):
        if equal(now, NOTHING[feature.name]):
            continue
        if feature.aggregation in NEVER_GROW:
            assert now <= was, feature.name
        elif feature.aggregation in GROW_OR_END:
            assert now > was, feature.name
        else:
            assert now == was, feature.name


@given(histories())
def test_a_window_that_has_passed_leaves_what_there_was_before_the_first_event(events: list[Event]) -> None:
    passed_us = max([0, *(event.known_us for event in events)]) + 14 * DAY_US  # twice the longest window that passes in a lifetime
    found = vector(pack(timeline_from_events(events, FULL.kinds)), passed_us, PROGRAM).tolist()
    for feature, now in zip(FULL.features, found, strict=True):
        if feature.window is not None and feature.window <= 7 * DAY:
            assert equal(now, NOTHING[feature.name]), feature.name


@given(histories(), silences_us)
def test_a_decayed_count_falls_by_half_in_each_half_life(events: list[Event], silence_us: int) -> None:
    for feature, was, now, same in changes(events, silence_us, {Aggregation.DECAYED_COUNT}):
        if same:
            half_lives = silence_us / whole_us(feature.half_life)
            assert now == pytest.approx(was * 0.5**half_lives, rel=1e-6, abs=1e-300), feature.name
            assert now < was or was == 0 or half_lives < 1e-12, feature.name


@given(histories(), silences_us)
def test_a_streak_stays_until_a_day_is_over_without_an_event_and_is_then_none(events: list[Event], silence_us: int) -> None:
    for feature, was, now, same in changes(events, silence_us, {Aggregation.STREAK_DAYS}):
        if same:
            assert now in {was, 0.0}, feature.name
            assert now == 0 or silence_us < 2 * DAY_US, feature.name


@given(histories(), silences_us)
def test_a_trend_falls_as_its_events_grow_older_until_they_leave_it(events: list[Event], silence_us: int) -> None:
    oldest_us = min((fact.effective_us for fact in distinct(events)), default=0)
    later_us = max([0, *(event.known_us for event in events)]) + silence_us
    for feature, was, now, _ in changes(events, silence_us, {Aggregation.TREND}):
        if oldest_us > later_us - 2 * whole_us(feature.window):  # all are still in one of its two windows
            assert now <= was, feature.name
