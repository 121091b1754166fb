from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from features.core.catalogue import Kind
from features.core.columns import EventColumns, columns_from_events
from features.core.event import Event

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KINDS = (Kind(name="login"),)


def columns() -> EventColumns:
    events = [
        Event(event_id=str(i), user_id="ada", kind=kind, occurred_at=NOON, received_at=NOON) for i, kind in enumerate(("login", "hum"))
    ]
    return columns_from_events(events, KINDS)[0]


def test_events_of_other_kinds_are_left_out() -> None:
    assert len(columns()) == 1


def test_no_events_make_empty_columns() -> None:
    empty, user_ids = columns_from_events([], KINDS)
    assert len(empty) == 0
    assert user_ids == []


@pytest.mark.parametrize(
    "value", [np.zeros(2, np.int64), np.zeros(1, np.int32), np.zeros((1, 1), np.int64)], ids=("length", "type", "shape")
)
def test_a_column_that_does_not_fit_is_refused_by_name(value: np.ndarray) -> None:
    with pytest.raises(ValueError, match="event column value: got"):
        replace(columns(), value=value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user": [1]}, "user code 1"),
        ({"user": [-1]}, "user code -1"),
        ({"kind": [1]}, "kind code 1"),
        ({"skew_us": [-1]}, "skew_us -1"),
        ({"known_us": [0]}, "an event cannot be known before it happened"),
    ],
)
def test_what_is_no_event_is_refused_with_its_position(change: dict[str, list[int]], message: str) -> None:
    good = columns()
    good.check(1, 1)
    (name, numbers), *_ = change.items()
    wrong = replace(good, **{name: np.array(numbers, getattr(good, name).dtype)})
    with pytest.raises(ValueError, match=f"event 0 of the log: .*{message}"):
        wrong.check(1, 1)
