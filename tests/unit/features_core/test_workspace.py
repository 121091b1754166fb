"""Memory kept between batches changes no answer: whatever was in it, and whoever else wants it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from threading import Barrier

import numpy as np
import pytest

from features.core.catalogue import Aggregation, Catalogue, Feature, Kind
from features.core.columns import EventColumns
from features.core.event import to_us
from features.core.kernel import batch_vectors
from features.core.program import Program, compile_program
from features.core.streaming import CACHE_LINE_BYTES
from features.core.workspace import Workspace

START_US, DAY_US, DAYS = to_us(datetime(2026, 3, 1, tzinfo=UTC)), 86_400_000_000, 20
N_KINDS = 3


def program(aggregation: Aggregation, *, kinds: int = N_KINDS) -> Program:
    names = tuple(f"kind{i}" for i in range(kinds))
    windows = (None, timedelta(days=7))
    features = tuple(Feature(aggregation=aggregation, of="all", kinds=names, window=window) for window in windows)
    return compile_program(Catalogue(kinds=tuple(Kind(name=f"kind{i}") for i in range(N_KINDS)), features=features))


COUNTS, SUBJECTS = program(Aggregation.COUNT, kinds=1), program(Aggregation.DISTINCT_SUBJECTS)


def log_of(n_events: int, n_users: int) -> EventColumns:
    random = np.random.default_rng(n_events)
    occurred_us = START_US + np.sort(random.integers(0, DAYS * DAY_US, n_events))
    numbers = {field.name: random.integers(0, 50, n_events) for field in fields(EventColumns)}
    numbers |= {"user": random.integers(0, n_users, n_events), "kind": random.integers(0, N_KINDS, n_events).astype(np.int16)}
    numbers |= {"occurred_us": occurred_us, "known_us": occurred_us + 1, "skew_us": np.zeros(n_events, np.int64)}
    return EventColumns(**numbers)


def computed(n_events: int, using: Program, workspace: Workspace | None) -> np.ndarray:
    n_users = max(n_events // 100, 1)
    users = np.repeat(np.arange(n_users), 2)
    as_of_us = START_US + np.arange(2 * n_users) % DAYS * DAY_US
    return batch_vectors(log_of(n_events, n_users), n_users, users, as_of_us, using, threads=2, workspace=workspace)


def test_logs_of_any_size_and_products_may_follow_each_other() -> None:
    workspace = Workspace()
    for n_events in (3_000, 40_000, 200, 39_000, 60_000, 0):
        for using in (SUBJECTS, COUNTS):
            found = computed(n_events, using, workspace)
            assert np.array_equal(found, computed(n_events, using, None), equal_nan=True)


def test_an_answer_stays_when_the_next_log_overwrites_the_memory() -> None:
    workspace = Workspace()
    first = computed(5_000, SUBJECTS, workspace)
    before = first.copy()
    computed(6_000, SUBJECTS, workspace)
    assert np.array_equal(first, before, equal_nan=True)


def test_calls_at_the_same_time_do_not_meet_in_it() -> None:
    workspace, sizes, together = Workspace(), (20_000, 21_000, 22_000, 23_000), Barrier(5)

    def work(n_events: int) -> list[np.ndarray]:
        together.wait()
        return [computed(n_events, SUBJECTS, workspace) for _ in range(3)]

    def fail() -> None:
        together.wait()
        for _ in range(3):
            with pytest.raises(ValueError, match="of the log"):  # in the last slice, while the other threads still write
                batch_vectors(bad, 1, zeros, zeros, COUNTS, workspace=workspace)

    bad, zeros = log_of(24_000, 10), np.zeros(1, np.int64)
    with ThreadPoolExecutor(len(sizes) + 1) as pool:
        failed = pool.submit(fail)
        answers = list(pool.map(work, sizes))
        failed.result()
    for n_events, several in zip(sizes, answers, strict=True):
        expected = computed(n_events, SUBJECTS, None)
        assert all(np.array_equal(found, expected, equal_nan=True) for found in several)


def test_memory_is_kept_unless_more_is_needed_and_lent_to_one_at_a_time() -> None:
    workspace = Workspace()
    with workspace.lend() as room:
        large = room(1_000)
        with workspace.lend() as other:
            assert not np.shares_memory(other(10), large)
    with workspace.lend() as room:
        assert np.shares_memory(room(900), large)
        more = room(5_000)
    assert more.shape == (5_000, 8)
    assert more.ctypes.data % CACHE_LINE_BYTES == 0
    assert not np.shares_memory(more, large)


def test_it_is_free_again_after_a_call_that_failed() -> None:
    workspace = Workspace()
    with workspace.lend() as room:
        kept = room(1_000)
    bad = log_of(1_000, 10)
    zeros = np.zeros(1, np.int64)
    with pytest.raises(ValueError, match="of the log"):
        batch_vectors(bad, 1, zeros, zeros, COUNTS, workspace=workspace)
    with workspace.lend() as room:
        assert np.shares_memory(room(10), kept)
