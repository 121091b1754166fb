from __future__ import annotations

import math

import pytest

from features.core.condition import Comparison, Condition
from features.core.product import Segment
from features.core.segments import segment_of

OFTEN = Condition(feature="count_login_7d", comparison=Comparison.AT_LEAST, value=3.0)
SEGMENTS = (
    Segment(name="vip", where={"plan": "pro"}, conditions=(OFTEN,)),
    Segment(name="paying", where={"plan": "pro"}),
    Segment(name="often", conditions=(OFTEN,)),
    Segment(name="rest"),
)


@pytest.mark.parametrize(
    ("numbers", "profile", "segment"),
    [
        ({"count_login_7d": 3.0}, {"plan": "pro"}, "vip"),
        ({"count_login_7d": 2.0}, {"plan": "pro"}, "paying"),
        ({"count_login_7d": 3.0}, {"plan": "free"}, "often"),
        ({"count_login_7d": math.nan}, {}, "rest"),
        ({}, {}, "rest"),
        (None, {"plan": "pro"}, None),  # vip or paying: cannot be told
        (None, {}, None),
        ({"count_login_7d": 3.0}, None, None),
    ],
)
def test_the_first_segment_of_which_everything_holds(numbers, profile, segment):
    assert segment_of(SEGMENTS, numbers, profile) == segment


def test_what_needs_nothing_unknown_is_told_all_the_same():
    assert segment_of(SEGMENTS[1:2], None, {"plan": "pro"}) == "paying"
    assert segment_of(SEGMENTS[2:], {"count_login_7d": 1.0}, None) == "rest"
    assert segment_of((), None, None) is None


@pytest.mark.parametrize("comparison", Comparison)
def test_each_comparison_at_its_bound(comparison):
    segments = [Segment(name="held", conditions=(Condition(feature="x", comparison=comparison, value=2.0),))]
    held = [segment_of(segments, {"x": x}, None) == "held" for x in (1.0, 2.0, 3.0, math.nan)]
    assert held == [eval(f"{x} {comparison.value} 2") for x in (1.0, 2.0, 3.0)] + [False]
