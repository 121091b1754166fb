"""Sorting, compiled: grouping by a code and ordering by keys."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.core.branchless import as_number
from features.core.columns import Int64s, Places
from features.core.compiled import borrowing, compiled, shared


@compiled
def group(codes: npt.NDArray[np.int64], n_groups: int) -> tuple[Int64s, Places]:
    """Positions of every code's elements: ``order[start[c]:start[c + 1]]``, in input order.

    Codes must lie in 0 .. n_groups - 1.
    """
    start = np.zeros(n_groups + 1, np.int64)
    for code in codes:
        start[code + 1] += 1
    for code in range(n_groups):
        start[code + 1] += start[code]
    order = np.empty(len(codes), np.uint32)
    free = start[:-1].copy()
    for position in range(len(codes)):
        code = codes[position]
        order[free[code]] = position
        free[code] += 1
    return start, order


@borrowing
def lower_bound(ascending: Int64s | Places, wanted: int) -> int:
    """Place of the first element that is not less than ``wanted``, so also the number of those that are; the length if there is none."""
    low, n = np.int64(0), len(ascending)
    while n > 0:  # as many steps whatever is found
        half = (n + 1) >> 1
        low += half * as_number(ascending[np.uint64(low + half - 1)] < wanted)
        n -= half
    return low  # type: ignore[return-value]


@borrowing
def _less(major: Int64s, minor: Int64s, i: int, j: int) -> bool:
    less: bool = major[i] < major[j] or (major[i] == major[j] and minor[i] < minor[j])
    return less


@shared
def key_order(major: Int64s, minor: Int64s, n: int, scratch: Places) -> int:
    """Stable ascending order of the first ``n`` elements by (major, minor).

    Made for what comes here: a log in order of arrival is almost sorted, and costs one insertion per late event; a timeline
    in kind order is a few sorted runs, and costs a few merges. ``scratch`` is uint32[3, >= n + 1]; the answer is the number
    of its row that holds the order.
    """
    if _insert(major, minor, n, scratch[0]):
        return 0
    runs = scratch[2]
    n_runs = _find_runs(major, minor, scratch[0, :n], runs)
    row = 0
    while n_runs > 1:
        merged = 0
        for run in range(0, n_runs, 2):
            low, middle = runs[run], runs[run + 1]
            high = runs[run + 2] if run + 2 <= n_runs else middle
            _merge_runs(major, minor, scratch[row], scratch[1 - row], (low, middle, high))
            runs[merged] = low
            merged += 1
        runs[merged] = n
        n_runs = merged
        row = 1 - row
    return row


@borrowing
def _insert(major: Int64s, minor: Int64s, n: int, order: Places) -> bool:
    """Sort by insertion; False, with ``order`` some order, as soon as that takes more than ``n / 4`` moves."""
    moves = n >> 2
    for i in range(n):
        place = i
        while place > 0 and moves >= 0 and _less(major, minor, i, order[place - 1]):
            order[place] = order[place - 1]
            place -= 1
            moves -= 1
        order[place] = i
    return moves >= 0


@borrowing
def _find_runs(major: Int64s, minor: Int64s, order: Places, runs: Places) -> int:
    n = len(order)
    runs[0] = 0
    n_runs = 1
    for i in range(1, n):
        if _less(major, minor, order[i], order[i - 1]):
            runs[n_runs] = i
            n_runs += 1
    runs[n_runs] = n
    return n_runs


@borrowing
def _merge_runs(major: Int64s, minor: Int64s, source: Places, target: Places, bounds: tuple[int, int, int]) -> None:
    low, middle, high = bounds
    left, right = low, middle
    for position in range(low, high):
        if right >= high or (left < middle and not _less(major, minor, source[right], source[left])):
            target[position] = source[left]
            left += 1
        else:
            target[position] = source[right]
            right += 1
