"""One definition: online, batch and the oracle agree with ``==`` on every feature."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from features.core.catalogue import Aggregation, Catalogue, Feature, Kind, kind_of
from features.core.columns import columns_from_events
from features.core.event import Event, from_us, to_us
from features.core.kernel import batch_vectors, vector, vectors
from features.core.program import Program, compile_program
from features.core.timeline import TimelineFormatError, pack, timeline_from_events, unpack
from tests.laws.catalogues import GROUPS, KINDS, catalogues, full_catalogue
from tests.laws.histories import STARTS, as_ofs, crowded_histories, flood, histories
from tests.oracle import oracle_vector
from tests.oracle_definitions import DEFINITIONS

FULL = full_catalogue()
FULL_PROGRAM = compile_program(FULL)
SMALL = full_catalogue(keep=2)
SMALL_PROGRAM = compile_program(SMALL)

silences_us = st.integers(0, 40 * 86_400_000_000)


Flood = Callable[[int], list[Event]]


def same(left: float, right: float) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right))


def assert_same(found: Sequence[float], expected: Sequence[float], catalogue: Catalogue) -> None:
    """Equal to the last bit; what differs is named."""
    triples = zip(catalogue.feature_names, found, expected, strict=True)
    assert {name: (left, right) for name, left, right in triples if not same(left, right)} == {}


def live_as_of_us(events: list[Event], at_us: int) -> int:
    """A live as_of is never before anything that is known."""
    return max([at_us, *(event.known_us for event in events)])


def online(events: list[Event], as_of_us: int, program: Program, *, known_us: int | None = None) -> object:
    packed = pack(timeline_from_events(events, program.catalogue.kinds))
    return vector(packed, as_of_us, program, known_us=known_us)


def batch(users: list[list[Event]], rows: list[tuple[int, int, int]], program: Program, *, threads: int = 0) -> object:
    """Vectors of (user, as_of, known)."""
    named = [dataclasses.replace(event, user_id=str(user)) for user, events in enumerate(users) for event in events]
    columns, user_ids = columns_from_events(named, program.catalogue.kinds)
    codes = {int(user_id): code for code, user_id in enumerate(user_ids)}
    for user in range(len(users)):  # those without an event that anyone declared
        codes.setdefault(user, len(codes))
    spine_user = np.array([codes[user] for user, _, _ in rows], np.int64)
    as_of_us, known_us = (np.array([row[i] for row in rows], np.int64) for i in (1, 2))
    return batch_vectors(columns, len(users), spine_user, as_of_us, program, spine_known_us=known_us, threads=threads)


def test_the_oracle_defines_every_aggregation() -> None:
    assert set(DEFINITIONS) == set(Aggregation)


def test_the_full_catalogue_has_every_aggregation_over_every_kind_and_window() -> None:
    def found(of: object) -> set[tuple[object, object]]:
        return {(feature.aggregation, of(feature)) for feature in FULL.features}

    assert {aggregation for aggregation, _ in found(lambda feature: feature.aggregation)} == set(Aggregation)
    windowless = {aggregation for aggregation, window in found(lambda feature: feature.window) if window is None}
    assert windowless == set(Aggregation) - {Aggregation.TREND}
    assert {kind_of(selector) for feature in FULL.features for selector in feature.selectors} == set(KINDS)


@given(histories(), catalogues(), st.data())
def test_online_equals_the_oracle(events: list[Event], catalogue: Catalogue, data: st.DataObject) -> None:
    as_of_us = live_as_of_us(events, data.draw(as_ofs(events)))
    assert_same(online(events, as_of_us, compile_program(catalogue)), oracle_vector(events, as_of_us, catalogue), catalogue)


@given(st.lists(histories(max_size=15), min_size=1, max_size=4), catalogues(), st.sampled_from((1, 2)), st.data())
def test_batch_equals_the_oracle_at_past_instants(
    users: list[list[Event]], catalogue: Catalogue, threads: int, data: st.DataObject
) -> None:
    """And where less is known than has happened by then."""
    as_of_us = data.draw(st.lists(st.tuples(as_ofs([event for events in users for event in events]), silences_us | st.just(0)), max_size=4))
    rows = [(user, at_us, at_us - silence_us) for at_us, silence_us in as_of_us for user in range(len(users))]
    found = batch(users, rows, compile_program(catalogue), threads=threads)
    assert found.shape == (len(rows), len(catalogue.features))
    for row, (user, at_us, known_us) in zip(found, rows, strict=True):
        assert_same(row, oracle_vector(users[user], at_us, catalogue, known_us=known_us), catalogue)


@given(crowded_histories(), st.lists(st.integers(0, 40), min_size=1, max_size=2), st.sampled_from((0, 1, 30)))
def test_batch_keeps_the_newest_and_oldest_of_what_was_known_then(events: list[Event], hours: list[int], silent_hours: int) -> None:
    hour_us, start_us = 3_600_000_000, to_us(STARTS[1])
    rows = [(0, start_us + hour * hour_us, start_us + (hour - silent_hours) * hour_us) for hour in hours]
    for catalogue, program in ((SMALL, SMALL_PROGRAM), (FULL, FULL_PROGRAM)):
        for found, (_, at_us, known_us) in zip(batch([events], rows, program), rows, strict=True):
            assert_same(found, oracle_vector(events, at_us, catalogue, known_us=known_us), catalogue)


@given(histories(), st.data())
def test_online_equals_batch_on_every_feature_there_is(events: list[Event], data: st.DataObject) -> None:
    as_of_us = live_as_of_us(events, data.draw(as_ofs(events)))
    packed = pack(timeline_from_events(events, FULL.kinds))
    found = vectors([packed, b"", packed], np.full(3, as_of_us), FULL_PROGRAM)
    assert_same(found[0], batch([events], [(0, as_of_us, as_of_us)], FULL_PROGRAM)[0], FULL)
    assert_same(found[0], vector(packed, as_of_us, FULL_PROGRAM), FULL)
    assert_same(found[2], found[0], FULL)
    assert_same(found[0], oracle_vector(events, as_of_us, FULL), FULL)
    assert_same(found[1], oracle_vector([], as_of_us, FULL), FULL)


@given(histories(), silences_us, st.data())
def test_silence_until_an_as_of_to_come_is_what_it_is_when_nothing_more_is_known(
    events: list[Event], silence_us: int, data: st.DataObject
) -> None:
    """Online from all events, from only those known, in batch, and by the oracle. (The timeline has let nothing go.)"""
    known_us = data.draw(as_ofs(events))
    as_of_us = known_us + silence_us
    known = [event for event in events if event.known_us <= known_us]
    expected = oracle_vector(known, as_of_us, FULL)
    assert_same(oracle_vector(events, as_of_us, FULL, known_us=known_us), expected, FULL)
    assert_same(online(events, as_of_us, FULL_PROGRAM, known_us=known_us), expected, FULL)
    assert_same(online(known, as_of_us, FULL_PROGRAM), expected, FULL)
    assert_same(batch([events], [(0, as_of_us, known_us)], FULL_PROGRAM)[0], expected, FULL)
    packed = [pack(timeline_from_events(each, FULL.kinds)) for each in (events, known)]
    several = vectors(packed, np.full(2, as_of_us), FULL_PROGRAM, known_us=np.full(2, known_us))
    assert_same(several[0], expected, FULL)
    assert_same(several[1], expected, FULL)


def test_what_is_known_after_as_of_is_refused() -> None:
    columns, _ = columns_from_events(flood("login", 1, start_us=0), FULL.kinds)
    one = np.zeros(1, np.int64)
    for ask in (
        lambda: vector(b"", 0, FULL_PROGRAM, known_us=1),
        lambda: vectors([b""], one, FULL_PROGRAM, known_us=one + 1),
        lambda: batch_vectors(columns, 1, one, one, FULL_PROGRAM, spine_known_us=one + 1),
    ):
        with pytest.raises(ValueError, match="known"):
            ask()


floods = st.builds(
    lambda kind, subject, n: lambda start_us: flood(kind, n, start_us=start_us, subject=subject),
    st.sampled_from(("hover", "page_view", "click")),
    st.sampled_from((None, "pricing", "save")),
    st.sampled_from((3, 65, 500)),
)


@given(histories(), floods, st.data())
def test_a_flood_of_one_kind_changes_no_other_kinds_features(events: list[Event], floods_from: Flood, data: st.DataObject) -> None:
    at_us = data.draw(as_ofs(events))
    flooded = [*events, *floods_from(at_us)]
    as_of_us, kind = live_as_of_us(flooded, at_us), flooded[-1].kind
    for feature, quiet, loud in zip(FULL.features, *(online(each, as_of_us, FULL_PROGRAM) for each in (events, flooded)), strict=True):
        assert looks_at(feature, kind) or same(quiet, loud), feature.name


@given(histories(), floods, catalogues(), st.data())
def test_past_a_flood_too_online_and_batch_equal_the_oracle(
    events: list[Event], floods_from: Flood, catalogue: Catalogue, data: st.DataObject
) -> None:
    at_us = data.draw(as_ofs(events))
    flooded = [*events, *floods_from(at_us)]
    as_of_us, program = live_as_of_us(flooded, at_us), compile_program(catalogue)
    assert_same(online(flooded, as_of_us, program), oracle_vector(flooded, as_of_us, catalogue), catalogue)
    amid_us = at_us + 100_000_000
    assert_same(batch([flooded], [(0, amid_us, amid_us)], program)[0], oracle_vector(flooded, amid_us, catalogue), catalogue)


def looks_at(feature: Feature, kind: str) -> bool:
    return kind in {kind_of(selector) for selector in feature.selectors}


@given(histories())
def test_kinds_that_the_program_does_not_have_are_ignored(events: list[Event]) -> None:
    fewer = Catalogue(
        kinds=tuple(kind for kind in FULL.kinds if kind.name != "hover"),
        features=tuple(feature for feature in FULL.features if not looks_at(feature, "hover")),
    )
    as_of_us = live_as_of_us(events, 0)
    packed = pack(timeline_from_events(events, FULL.kinds))
    assert_same(vector(packed, as_of_us, compile_program(fewer)), oracle_vector(events, as_of_us, fewer), fewer)


@given(histories(), st.data())
def test_forged_bytes_with_a_right_checksum_never_crash(events: list[Event], data: st.DataObject) -> None:
    packed = pack(timeline_from_events([*events, *flood("hover", 3, start_us=0)], FULL.kinds))
    forged = bytearray(packed[:-8])
    for _ in range(data.draw(st.integers(1, 4))):
        forged[data.draw(st.integers(4, len(forged) - 1))] = data.draw(st.integers(0, 255))
    sealed = bytes(forged) + xxhash.xxh3_64_intdigest(bytes(forged)).to_bytes(8, "little")
    with contextlib.suppress(TimelineFormatError):
        assert len(vector(sealed, 0, FULL_PROGRAM)) == len(FULL.features)
    with contextlib.suppress(TimelineFormatError):
        assert unpack(sealed).n_events >= 0


@given(histories())
def test_a_damaged_timeline_is_reported_with_the_position_of_its_user(events: list[Event]) -> None:
    packed = pack(timeline_from_events([*events, *flood("hover", 3, start_us=0)], FULL.kinds))
    with pytest.raises(TimelineFormatError, match="user 1"):
        vectors([packed, packed[:-1], packed], np.zeros(3, np.int64), FULL_PROGRAM)


def test_a_user_without_events_has_a_vector() -> None:
    found = vector(b"", to_us(from_us(0)), FULL_PROGRAM)
    assert_same(found, oracle_vector([], 0, FULL), FULL)


def test_a_catalogue_without_features_gives_empty_vectors() -> None:
    program = compile_program(Catalogue(kinds=(Kind(name="login"),), features=()))
    assert vector(b"", 0, program).shape == (0,)
    assert GROUPS["any"]
