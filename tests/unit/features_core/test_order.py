import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.core.compiled import compiled
from features.core.order import group, key_order

keys = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), max_size=40)


@compiled
def order_of(major: np.ndarray, minor: np.ndarray) -> np.ndarray:
    n = len(major)
    scratch = np.empty((3, n + 1), np.uint32)
    return scratch[key_order(major, minor, n, scratch), :n].copy()


@given(keys)
def test_ordering_is_stable_and_by_both_keys(keys: list[tuple[int, int]]) -> None:
    table = np.array(keys, np.int64).reshape(-1, 2)
    found = order_of(np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1]))
    assert found.tolist() == sorted(range(len(keys)), key=keys.__getitem__)


@given(st.lists(st.integers(0, 5), max_size=30))
def test_grouping_keeps_the_order_within_groups(codes: list[int]) -> None:
    start, order = group(np.array(codes, np.int64), 6)
    for code in range(6):
        assert order[start[code] : start[code + 1]].tolist() == [i for i, each in enumerate(codes) if each == code]
