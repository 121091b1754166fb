"""Slices are ordered in time, and no label looks into a later one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.training import synthetic
from training.errors import LeakError, OneClassError, TooLittleDataError
from training.frame import AS_OF, OUTCOME, USER, TrainingFrame
from training.split import Slices, require_gaps, split_by_time

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def frame_of_hours(hours: list[int], *, outcomes: list[bool] | None = None, horizon_days: int = 5) -> TrainingFrame:
    outcomes = outcomes or [i % 3 == 0 for i in range(len(hours))]
    rows = pd.DataFrame(
        {USER: [f"u{i % 50}" for i in range(len(hours))], AS_OF: [BEGIN + timedelta(hours=h) for h in hours], OUTCOME: outcomes}
    )
    return TrainingFrame(product=synthetic.product(), rows=rows, horizon=timedelta(days=horizon_days))


@given(st.lists(st.integers(0, 24 * 90), min_size=20, max_size=60))
def test_every_label_is_known_before_the_next_slice_begins(hours: list[int]) -> None:
    try:
        slices = split_by_time(frame_of_hours(sorted(hours)), min_rows=1)
    except (TooLittleDataError, OneClassError):
        return  # refused, so nothing can leak
    for earlier, later in pairwise(slices.named().values()):
        assert earlier.rows[AS_OF].max() + earlier.horizon <= later.rows[AS_OF].min()
    require_gaps(slices)


def test_shares_are_of_all_rows_and_rows_of_one_instant_stay_together() -> None:
    slices = split_by_time(frame_of_hours([24 * (i // 10) for i in range(1000)]))
    assert len(slices.test.rows) == 200
    assert set(slices.test.rows[AS_OF]) & set(slices.calibration.rows[AS_OF]) == set()
    assert sum(len(part.rows) for part in slices.named().values()) == 1000 - 3 * 4 * 10  # three gaps of five days, four days inside each


def test_a_gap_that_swallows_most_rows_shrinks_every_earlier_slice_alike() -> None:
    busy = [24 * 200 + i % 96 for i in range(3000)]  # four days with most of the rows, then some later ones
    slices = split_by_time(frame_of_hours(sorted([*range(0, 24 * 120, 2), *busy, *[24 * 207 + i % 48 for i in range(800)]])))
    assert slices.test.rows[AS_OF].min() >= BEGIN + timedelta(days=200)
    sizes = {name: len(part.rows) for name, part in slices.named().items()}
    assert sizes["train"] > sizes["stop"] > 100
    assert sizes["train"] > sizes["calibration"] > 100


def test_a_log_too_short_for_the_horizon_is_refused_with_the_numbers() -> None:
    with pytest.raises(
        TooLittleDataError, match=r"slice train has 0 rows.*600 mature rows span 9 days.*three gaps of the horizon \(5 days\)"
    ):
        split_by_time(frame_of_hours([i * 24 * 10 // 600 for i in range(600)]))


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(TooLittleDataError, match="slice train has 33 rows, expected at least 100"):
        split_by_time(frame_of_hours([24 * i for i in range(80)]))


@pytest.mark.parametrize(("outcome", "word"), [(True, "dropped out"), (False, "stayed")])
def test_one_outcome_only_is_refused(outcome: bool, word: str) -> None:
    frame = frame_of_hours([3 * i for i in range(1000)], outcomes=[outcome] * 1000)
    with pytest.raises(OneClassError, match=f"rows of slice train {word}, expected both outcomes"):
        split_by_time(frame)


def test_slices_without_a_gap_are_refused() -> None:
    frame = frame_of_hours([24 * i for i in range(400)])
    parts = [frame.at(np.arange(start, start + 100)) for start in (0, 100, 200, 300)]
    touching = Slices(train=parts[0], stop=parts[1], calibration=parts[2], test=parts[3])
    with pytest.raises(LeakError, match="last label of slice train is known 4 days, 0:00:00 after slice stop begins"):
        require_gaps(touching)


def test_a_gap_of_exactly_one_horizon_is_enough() -> None:
    frame = frame_of_hours([24 * i for i in range(400)], horizon_days=1)
    parts = [frame.at(np.arange(start, start + 100)) for start in (0, 100, 200, 300)]
    require_gaps(Slices(train=parts[0], stop=parts[1], calibration=parts[2], test=parts[3]))
    longer = [replace(part, horizon=timedelta(days=1, microseconds=1)) for part in parts]
    with pytest.raises(LeakError):
        require_gaps(Slices(train=longer[0], stop=longer[1], calibration=longer[2], test=longer[3]))
