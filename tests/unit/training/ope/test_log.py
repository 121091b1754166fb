"""What cannot be evaluated is refused, with the rows named."""

from __future__ import annotations

import numpy as np
import pytest

from training.ope.log import DecisionLog, OpeError, check_support, unsupported_rows

GOOD = {"action": np.array([0, 1, 1]), "reward": np.array([0.0, 1.0, 0.0]), "propensity": np.array([0.5, 0.25, 0.25]), "n_actions": 2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"propensity": np.array([0.5, 0.0, 0.25])}, r"propensity of a logged action is not in \(0, 1\].*rows 1.*got 0.0"),
        ({"propensity": np.array([0.5, np.nan, 0.25])}, "rows 1"),
        ({"propensity": np.array([0.5, 1.01, 0.25])}, "got 1.01"),
        ({"propensity": np.array([0.5])}, r"propensity: shape \(1,\), expected \(3,\)"),
        ({"reward": np.array([0.0, np.nan, np.inf])}, "reward is missing.*2 of 3 rows"),
        ({"action": np.array([0, 1, 2])}, "not an index from 0 to 1.*rows 2"),
        ({"action": np.array([0.0, 1.0, 1.0])}, "expected indices"),
        ({"action": np.array([], dtype=int)}, "n_rows >= 1"),
        ({"groups": np.array(["ann"])}, "groups: shape"),
        ({"propensities": np.array([[0.5, 0.5]] * 3)}, "`propensities` and `propensity` differ.*rows 1, 2"),
        ({"propensities": np.array([[0.5, 0.4]] * 3)}, "do not sum to 1"),
    ],
)
def test_a_broken_log_is_refused(change: dict, message: str) -> None:
    with pytest.raises(OpeError, match=message):
        DecisionLog(**(GOOD | change))


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (np.ones((3, 3)) / 3, r"shape \(3, 3\), expected \(n_rows, n_actions\) = \(3, 2\)"),
        (np.array([[0.5, 0.5], [0.6, 0.6], [1, 0]]), "do not sum to 1.*rows 1"),
        (np.array([[0.5, 0.5], [1.5, -0.5], [1, 0]]), r"not in \[0, 1\].*rows 1"),
        (np.array([[0.5, 0.5], [np.nan, 1.0], [1, 0]]), r"not in \[0, 1\].*rows 1"),
    ],
)
def test_a_policy_that_is_no_distribution_is_refused(policy: np.ndarray, message: str) -> None:
    with pytest.raises(OpeError, match=message):
        check_support(policy, DecisionLog(**GOOD))


def test_rows_without_support_are_named() -> None:
    log = DecisionLog(**GOOD, propensities=np.array([[0.5, 0.5], [0.75, 0.25], [0.75, 0.25]]))
    check_support(np.tile([0.0, 1.0], (3, 1)), log)
    never = DecisionLog(
        action=np.array([0, 0, 1]),
        reward=np.zeros(3),
        propensity=np.array([1.0, 0.5, 0.5]),
        n_actions=2,
        propensities=np.array([[1.0, 0.0], [0.5, 0.5], [0.5, 0.5]]),
    )
    with pytest.raises(OpeError, match=r"no support in 1 of 3 rows \(rows 0\)"):
        check_support(np.tile([0.0, 1.0], (3, 1)), never)
    assert unsupported_rows(np.tile([1.0, 0.0], (3, 1)), never).tolist() == []


def test_without_full_propensities_an_action_nobody_took_is_found() -> None:
    log = DecisionLog(**{**GOOD, "n_actions": 3})
    with pytest.raises(OpeError, match="no support in 3 of 3 rows"):
        check_support(np.tile([0.5, 0.25, 0.25], (3, 1)), log)
