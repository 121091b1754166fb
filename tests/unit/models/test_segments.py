"""Segments of one user and of many are the same, and those that plain numpy finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.segments import LearnedSegment, ScaledInput, SegmentModel

NAMES = ("a", "b", "c")
CUT = 3.0


def model(centres, *, is_log=(True, False)):
    inputs = tuple(
        ScaledInput(feature=name, fill=1.0, is_log=log, offset=0.5, divisor=2.0, weight=0.25)
        for name, log in zip(("c", "a"), is_log, strict=True)
    )
    segments = tuple(LearnedSegment(id=f"s{number}", name="", centre=centre) for number, centre in enumerate(centres))
    return SegmentModel(feature_names=NAMES, inputs=inputs, segments=segments, next_number=9)


def plain_points(vectors):
    """Of `model`, as the class describes them."""
    known = np.where(np.isnan(vectors), 1.0, vectors)
    values = np.stack([np.log1p(np.maximum(known[:, 2], 0.0)), known[:, 0]], axis=1)
    return np.clip((values - 0.5) / 2.0, -CUT, CUT) * 0.25


numbers = st.one_of(st.just(np.nan), st.floats(-1e6, 1e6), st.integers(-3, 3).map(float))
rows = st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=8).map(lambda them: np.array(them, dtype=np.float64))
places = st.sampled_from([-0.75, -0.25, 0.0, 0.125, 0.75])  # so that a point is often as near to one as to another


@settings(deadline=None)
@given(vectors=rows, centres=st.lists(st.tuples(places, places), min_size=1, max_size=5))
def test_one_user_is_in_the_segment_that_they_are_in_among_many(vectors, centres):
    segments = model(centres)
    together = segments.positions(vectors)
    assert [segments.assign(vectors[place : place + 1]) for place in range(len(vectors))] == [[f"s{one}"] for one in together]
    distances = ((plain_points(vectors)[:, None, :] - segments.centres) ** 2).sum(axis=2)
    assert distances[np.arange(len(vectors)), together] == pytest.approx(distances.min(axis=1), rel=1e-12)


def test_of_centres_as_near_as_each_other_the_first_counts():
    vectors = np.array([[0.5, 9.0, 0.0]])
    assert model([(0.0, 1.0), (0.0, 0.5), (0.0, -0.5)], is_log=(False, False)).assign(vectors) == ["s1"]


@given(vectors=rows)
def test_coordinates_are_those_of_the_formula(vectors):
    assert model([(0.0, 0.0)]).points(vectors) == pytest.approx(plain_points(vectors), rel=1e-12, abs=1e-12)


def test_vectors_may_lie_in_memory_in_any_order():
    vectors = np.arange(12.0).reshape(4, 3)
    segments = model([(0.0, 0.0), (0.5, 0.5)])
    for same in (np.asfortranarray(vectors), np.repeat(vectors, 2, axis=1)[:, ::2]):
        assert segments.assign(same) == segments.assign(vectors)
