"""The executors beside online and batch: what Feast's client runs equals the oracle, whatever the product and the history."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from features.adapters.behaviour import behaviour_function
from features.core.catalogue import Catalogue
from features.core.event import Event, to_us
from features.core.timeline import pack, timeline_from_events
from tests.laws.catalogues import catalogues
from tests.laws.histories import histories, instants
from tests.oracle import oracle_vector


@settings(max_examples=60)
@given(st.lists(histories(max_size=15), min_size=1, max_size=3), catalogues(), instants())
def test_the_behaviour_view_equals_the_oracle_for_every_user_of_a_request(
    users: list[list[Event]], catalogue: Catalogue, at: object
) -> None:
    as_of_us = max([to_us(at), *(event.known_us for events in users for event in events)])
    packed = [pack(timeline_from_events(events, catalogue.kinds)) for events in users]
    found = behaviour_function(catalogue)({"packed": [*packed, None], "as_of_us": [as_of_us] * (len(users) + 1)})
    expected = [oracle_vector(events, as_of_us, catalogue) for events in (*users, [])]
    for column, name in enumerate(catalogue.feature_names):
        assert np.array_equal(found[name], [row[column] for row in expected], equal_nan=True), name
    assert all(isinstance(number, float) and not math.isinf(number) for name in catalogue.feature_names for number in found[name])
