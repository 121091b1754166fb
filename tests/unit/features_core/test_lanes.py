"""Counting with wide comparisons is counting, wherever a stretch begins and ends."""

import numpy as np
import pytest

from features.core.compiled import compiled
from features.core.lanes import LANES, count_at_most

LARGEST = 0xFFFF_FFFF


@compiled
def counted(numbers: np.ndarray, start: int, end: int, most: int) -> int:
    return count_at_most(numbers, start, end, most)


@pytest.mark.parametrize("start", [0, 1, 5])
@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 31, 32, 33, 100])
@pytest.mark.parametrize("most", [0, 7, 1 << 31, LARGEST])
def test_every_stretch_is_counted_as_one_by_one(start: int, length: int, most: int) -> None:
    random = np.random.default_rng(length)
    numbers = random.choice(np.array([0, 6, 7, 8, 1 << 31, LARGEST - 1, LARGEST], np.uint32), start + length + LANES)
    end = start + length
    assert counted(numbers, start, end, most) == (numbers[start:end] <= most).sum()
