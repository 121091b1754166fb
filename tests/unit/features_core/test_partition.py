"""A log cut into ranges of users: what the records hold, and what does not become one."""

from dataclasses import fields, replace

import numpy as np
import pytest

from features.core.columns import EventColumns
from features.core.layout import HASH, KIND, KIND_BITS, KIND_MASK, N_PROPERTIES
from features.core.partition import count_ranges, empty_records, range_shift, scatter
from features.core.streaming import CACHE_LINE_BYTES

N_EVENTS, N_USERS = 5_000, 40


def log_of(n_events: int = N_EVENTS) -> EventColumns:
    random = np.random.default_rng(3)
    numbers = {field.name: random.integers(0, 1000, n_events) for field in fields(EventColumns)}
    numbers["known_us"] += 1000
    numbers["user"], kind = random.integers(0, N_USERS, n_events), random.integers(0, 3, n_events).astype(np.int16)
    return EventColumns(**{**numbers, "kind": kind})


def frozen(columns: EventColumns) -> tuple[np.ndarray, ...]:
    arrays = tuple(getattr(columns, field.name).copy() for field in fields(columns))
    for array in arrays:
        array.flags.writeable = False
    return arrays


def partitioned(columns: EventColumns, shift: int, wanted: list[bool]) -> tuple[bool, np.ndarray, np.ndarray]:
    cut, bounds = (shift, N_USERS, np.array(wanted)), (0, len(columns))
    counts = np.zeros(((N_USERS - 1) >> shift) + 1, np.int64)
    assert count_ranges(frozen(columns), bounds, cut, counts)
    starts = np.cumsum([0, *counts])
    records = empty_records(starts[-1])
    return scatter(frozen(columns), bounds, cut, starts[:-1].copy(), records), starts, records


@pytest.mark.parametrize("n", [1, 7, 100_000])
def test_every_record_has_a_cache_line_to_itself(n: int) -> None:
    records = empty_records(n)
    assert records.shape == (n, N_PROPERTIES)
    assert records.ctypes.data % CACHE_LINE_BYTES == 0
    assert records.strides[0] == CACHE_LINE_BYTES


def test_the_wanted_events_of_a_range_are_its_records_in_the_order_of_the_log() -> None:
    columns, shift = log_of(), 3
    right, starts, records = partitioned(columns, shift, [True, False, True])
    assert right
    for position in range(len(starts) - 1):
        own = (columns.user >> shift == position) & (columns.kind != 1)
        found = records[starts[position] : starts[position + 1]]
        assert np.array_equal(found[:, HASH], columns.event_hash[own])
        assert np.array_equal(found[:, KIND] >> KIND_BITS, columns.user[own])
        assert np.array_equal(found[:, KIND] & KIND_MASK, columns.kind[own])


def test_an_event_known_before_it_happened_is_noticed_whether_or_not_its_kind_is_wanted() -> None:
    columns = log_of(10)
    early = columns.known_us.copy()
    early[4] = columns.occurred_us[4] - columns.skew_us[4] - 1
    wanted = [kind != columns.kind[4] for kind in range(3)]
    assert partitioned(columns, 0, wanted)[0]
    assert not partitioned(replace(columns, known_us=early), 0, wanted)[0]


@pytest.mark.parametrize("n_users", [0, 1, 40, 5_000_000])
def test_there_are_no_more_ranges_than_are_worth_it(n_users: int) -> None:
    assert (max(n_users, 1) - 1) >> range_shift(100_000, n_users) < 100_000 // 8_192
