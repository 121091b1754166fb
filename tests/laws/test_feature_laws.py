"""One definition: online, batch and the oracle agree with ``==`` on every feature."""

from __future__ import annotations

import contextlib
import dataclasses
import math

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from features.core.catalogue import Aggregation, Catalogue, Kind
from features.core.columns import columns_from_events
from features.core.event import Event, from_us, to_us
from features.core.kernel import batch_vectors, vector, vectors
from features.core.program import compile_program
from features.core.timeline import TimelineFormatError, pack, timeline_from_events, unpack
from tests.laws.histories import GROUPS, catalogues, flood, full_catalogue, histories, instants
from tests.oracle import DEFINITIONS, oracle_vector

FULL = full_catalogue()
FULL_PROGRAM = compile_program(FULL)


def same(left: object, right: object) -> bool:
    return np.array_equal(np.asarray(left), np.asarray(right), equal_nan=True)


def live_as_of_us(events: list[Event], at_us: int) -> int:
    """A live as_of is never before anything that is known."""
    return max([at_us, *(event.known_us for event in events)])


def test_the_oracle_defines_every_aggregation() -> None:
    assert set(DEFINITIONS) == set(Aggregation)


@given(histories(), catalogues(), instants())
def test_online_equals_the_oracle(events: list[Event], catalogue: Catalogue, at: object) -> None:
    as_of_us = live_as_of_us(events, to_us(at))
    packed = pack(timeline_from_events(events, catalogue.kinds))
    assert same(vector(packed, as_of_us, compile_program(catalogue)), oracle_vector(events, as_of_us, catalogue))


@given(st.lists(histories(max_size=15), min_size=1, max_size=4), catalogues(), st.lists(instants(), max_size=4), st.sampled_from((1, 2)))
def test_batch_equals_the_oracle_at_past_instants(users: list[list[Event]], catalogue: Catalogue, ats: list, threads: int) -> None:
    named = [dataclasses.replace(event, user_id=str(user)) for user, events in enumerate(users) for event in events]
    columns, user_ids = columns_from_events(named, catalogue.kinds)
    rows = [(code, int(user_id), to_us(at)) for at in ats for code, user_id in enumerate(user_ids)]
    spine_user, as_of_us = np.array([row[0] for row in rows], np.int64), np.array([row[2] for row in rows], np.int64)
    found = batch_vectors(columns, len(user_ids), spine_user, as_of_us, compile_program(catalogue), threads=threads)
    expected = [oracle_vector(users[user], at_us, catalogue) for _, user, at_us in rows]
    assert same(found, np.array(expected, np.float64).reshape(found.shape))


@given(histories(), instants())
def test_online_equals_batch_on_every_feature_there_is(events: list[Event], at: object) -> None:
    as_of_us = live_as_of_us(events, to_us(at))
    columns, user_ids = columns_from_events(events, FULL.kinds)
    packed = pack(timeline_from_events(events, FULL.kinds))
    online = vectors([packed, b"", packed], np.full(3, as_of_us), FULL_PROGRAM)
    batch = batch_vectors(columns, max(len(user_ids), 1), np.zeros(1, np.int64), np.array([as_of_us]), FULL_PROGRAM)
    assert same(online[0], batch[0])
    assert same(online[2], batch[0])
    assert same(online[0], oracle_vector(events, as_of_us, FULL))
    assert same(online[1], oracle_vector([], as_of_us, FULL))


@given(histories(), st.integers(1, 40 * 86_400_000_000))
def test_a_silent_users_features_age(events: list[Event], silence_us: int) -> None:
    as_of_us = live_as_of_us(events, 0)
    packed = pack(timeline_from_events(events, FULL.kinds))
    before, after = vector(packed, as_of_us, FULL_PROGRAM), vector(packed, as_of_us + silence_us, FULL_PROGRAM)
    for feature, was, now in zip(FULL.features, before, after, strict=True):
        if feature.aggregation is Aggregation.SECONDS_SINCE_LAST:
            assert now > was or math.isnan(now)
        elif feature.window is not None and feature.aggregation in {
            Aggregation.COUNT,
            Aggregation.ACTIVE_DAYS,
            Aggregation.DISTINCT_SUBJECTS,
        }:
            assert now <= was
        elif feature.window is None and feature.aggregation is Aggregation.COUNT:
            assert now == was


@given(histories(), instants())
def test_a_flood_of_one_kind_changes_no_other_kinds_features(events: list[Event], at: object) -> None:
    at_us = to_us(at)
    flooded = [*events, *flood("hover", 500, start_us=at_us)]
    as_of_us = live_as_of_us(flooded, at_us)
    quiet, loud = (vector(pack(timeline_from_events(each, FULL.kinds)), as_of_us, FULL_PROGRAM) for each in (events, flooded))
    untouched = [i for i, feature in enumerate(FULL.features) if "hover" not in feature.kinds]
    assert same(quiet[untouched], loud[untouched])


@given(histories())
def test_kinds_that_the_program_does_not_have_are_ignored(events: list[Event]) -> None:
    fewer = Catalogue(
        kinds=tuple(kind for kind in FULL.kinds if kind.name != "hover"),
        features=tuple(feature for feature in FULL.features if "hover" not in feature.kinds),
    )
    as_of_us = live_as_of_us(events, 0)
    packed = pack(timeline_from_events(events, FULL.kinds))
    assert same(vector(packed, as_of_us, compile_program(fewer)), oracle_vector(events, as_of_us, fewer))


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
    assert same(found, oracle_vector([], 0, FULL))


def test_a_catalogue_without_features_gives_empty_vectors() -> None:
    program = compile_program(Catalogue(kinds=(Kind(name="login"),), features=()))
    assert vector(b"", 0, program).shape == (0,)
    assert GROUPS["any"]
