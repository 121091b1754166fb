"""A timeline is a pure function of the set of events that ever went in."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.core.catalogue import Kind
from features.core.event import Event, event_hash, text_hash, to_us
from features.core.timeline import Timeline, TimelineFormatError, merge, pack, timeline_from_events, unpack
from tests.laws.catalogues import UNKNOWN_KIND, kinds
from tests.laws.histories import flood, histories
from tests.oracle_facts import distinct


@given(histories(), histories(), kinds())
def test_merge_is_commutative(left: list[Event], right: list[Event], kinds: tuple[Kind, ...]) -> None:
    a, b = timeline_from_events(left, kinds), timeline_from_events(right, kinds)
    assert pack(merge(a, b, kinds)) == pack(merge(b, a, kinds))


@given(histories(), histories(), histories(), kinds())
def test_merge_is_associative(left: list[Event], middle: list[Event], right: list[Event], kinds: tuple[Kind, ...]) -> None:
    a, b, c = (timeline_from_events(events, kinds) for events in (left, middle, right))
    assert pack(merge(merge(a, b, kinds), c, kinds)) == pack(merge(a, merge(b, c, kinds), kinds))


@given(histories(), kinds())
def test_merge_is_idempotent_and_the_empty_timeline_changes_nothing(events: list[Event], kinds: tuple[Kind, ...]) -> None:
    once = timeline_from_events(events, kinds)
    assert pack(merge(once, once, kinds)) == pack(merge(once, Timeline(), kinds)) == pack(merge(Timeline(), once, kinds)) == pack(once)


@given(histories(), kinds(), st.randoms(use_true_random=False), st.integers(1, 6))
def test_order_duplication_and_batching_change_no_byte(
    events: list[Event], kinds: tuple[Kind, ...], chance: object, n_batches: int
) -> None:
    again = [*events, *events[::2]]
    chance.shuffle(again)
    merged = Timeline()
    for batch in range(n_batches):
        merged = merge(unpack(pack(merged)), timeline_from_events(again[batch::n_batches], kinds), kinds)
    assert pack(merged) == pack(timeline_from_events(events, kinds))


@given(histories(), kinds())
def test_the_timeline_holds_what_the_definition_says(events: list[Event], kinds: tuple[Kind, ...]) -> None:
    timeline = timeline_from_events(events, kinds)
    expected, let_go_us = set(), []
    for kind in (*kinds, Kind(name=UNKNOWN_KIND)):  # kept like any kind that is declared without a word
        ordered = sorted((fact.sent_us, fact.hash, fact.known_us) for fact in distinct(events) if fact.kind == kind.name)
        low, high = min(kind.keep_first, len(ordered)), max(len(ordered) - kind.keep, 0)
        expected.update((text_hash(kind.name), *fact) for fact in [*ordered[:low], *ordered[high:]])
        let_go_us += [fact[0] for fact in ordered[low:high]]
    assert set(zip(*timeline.events[:4].tolist(), strict=True)) == expected
    assert timeline.n_events == len(expected)
    assert timeline.coverage_start_us == (max(let_go_us) + 1 if let_go_us else None)
    assert timeline.newest_known_us == max((fact[3] for fact in expected), default=0)


@given(histories(), kinds(), st.permutations(range(5)))
def test_merge_holds_past_a_flood(events: list[Event], kinds: tuple[Kind, ...], order: list[int]) -> None:
    start_us = min((to_us(event.occurred_at) for event in events), default=0)
    parts = [events, *(flood("hover", 400, start_us=start_us)[i::4] for i in range(4))]
    merged = Timeline()
    for i in order:
        merged = merge(merged, timeline_from_events(parts[i], kinds), kinds)
    assert pack(merged) == pack(timeline_from_events([event for part in parts for event in part], kinds))


@given(histories(), kinds())
def test_packing_loses_nothing(events: list[Event], kinds: tuple[Kind, ...]) -> None:
    timeline = timeline_from_events(events, kinds)
    read = unpack(pack(timeline))
    assert (read.events == timeline.events).all()
    assert (read.let_go == timeline.let_go).all()
    assert pack(read) == pack(timeline)
    assert all(a < b for a, b in pairwise(zip(*read.events[:3].tolist(), strict=True)))
    assert set(read.events[2].tolist()) <= {event_hash(event) for event in events}


@given(histories(), kinds(), st.data())
def test_damaged_bytes_are_refused_by_name(events: list[Event], kinds: tuple[Kind, ...], data: st.DataObject) -> None:
    packed = pack(timeline_from_events(events, kinds)) or pack(timeline_from_events(flood("hover", 3, start_us=0), kinds))
    with pytest.raises(TimelineFormatError):
        unpack(packed[: data.draw(st.integers(1, len(packed) - 1))])
    position, flip = data.draw(st.integers(0, len(packed) - 1)), data.draw(st.integers(1, 255))
    with pytest.raises(TimelineFormatError):
        unpack(packed[:position] + bytes([packed[position] ^ flip]) + packed[position + 1 :])


@given(st.binary(min_size=1, max_size=300))
def test_any_other_bytes_are_refused_by_name(noise: bytes) -> None:
    with pytest.raises(TimelineFormatError):
        unpack(noise)
