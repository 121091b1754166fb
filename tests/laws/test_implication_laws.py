"""Where a review says that one condition follows from another, no user's events contradict it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.core.catalogue import Aggregation
from features.core.condition import Comparison, Condition
from features.declarations.product_file import load_product
from serving.policy_review import implies
from tests.laws.catalogues import full_catalogue
from tests.laws.histories import as_ofs, crowded_histories, histories
from tests.oracle import oracle_vector
from tests.serving_world import ROOT

FULL = full_catalogue(keep=3)
KINDS_OF_COUNT = (Aggregation.COUNT, Aggregation.ACTIVE_DAYS, Aggregation.SESSION_COUNT, Aggregation.DISTINCT_SUBJECTS)
SOME = replace(FULL, features=tuple(feature for feature in FULL.features if feature.aggregation in KINDS_OF_COUNT))
PRODUCT = replace(load_product(ROOT / "products" / "onboarding"), catalogue=SOME)
COUNTS = tuple(feature for feature in SOME.features if feature.aggregation is Aggregation.COUNT)

conditions = st.builds(
    Condition,
    feature=st.sampled_from([*[one.name for one in COUNTS] * 3, *SOME.feature_names]),
    comparison=st.sampled_from(list(Comparison)),
    value=st.sampled_from([0.0, 1.0, 2.0, 2.5, 3.0, 5.0]),
)


moments = (histories() | crowded_histories()).flatmap(lambda events: st.tuples(st.just(events), as_ofs(events)))


@given(moment=moments, asked=st.lists(conditions, min_size=30, max_size=30))
def test_what_is_said_to_follow_holds_of_every_timeline(moment, asked):
    events, as_of_us = moment
    values = dict(zip(SOME.feature_names, oracle_vector(events, as_of_us, SOME), strict=True))
    holding = [one for one in asked if one.compare(values[one.feature], one.value)]
    failing = [one for one in asked if not one.compare(values[one.feature], one.value)]
    assert [(mine, theirs) for mine in holding for theirs in failing if implies(mine, theirs, PRODUCT)] == []


@pytest.mark.parametrize("inner", COUNTS, ids=lambda feature: feature.name)
def test_of_nested_windows_of_the_same_kinds_the_narrower_implies_the_wider(inner):
    for outer in COUNTS:
        mine, theirs = (Condition(feature=one.name, comparison=Comparison.AT_LEAST, value=2.0) for one in (inner, outer))
        if set(inner.kinds) == set(outer.kinds):
            is_nested = outer.window is None or (inner.window is not None and inner.window <= outer.window)
            assert implies(mine, theirs, PRODUCT) is is_nested
