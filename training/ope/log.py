"""Logged decisions and a policy to evaluate on them, checked once, before anything is estimated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.errors import TrainingError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_SHOWN = 5
_SUM_TOLERANCE = 1e-6


class OpeError(TrainingError):
    """A log cannot say what a policy is worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionLog:
    """What was done, with which chance, and what came of it.

    Parameters
    ----------
    action
        Index of the action taken, 0 to n_actions - 1, shape (n_rows,).
    reward
        What came of it, finite, higher is better, shape (n_rows,).
    propensity
        P(the action taken) under the logging policy, in (0, 1], shape (n_rows,). Recorded or known by design; never estimated here.
    n_actions
        How many actions there are, taken or not.
    propensities
        P(each action) under the logging policy, shape (n_rows, n_actions), where it was recorded: support is then checked by row.
    groups
        Whose decision each row is, shape (n_rows,): rows of one user are drawn and folded together. None: every row is its own.

    Raises
    ------
    OpeError
        If shapes differ, an action is out of range, a reward is not finite, or a propensity is not in (0, 1]; rows are named.

    Examples
    --------
    >>> log = DecisionLog(action=[0, 1], reward=[0.0, 1.0], propensity=[0.5, 0.5], n_actions=2)
    >>> log.n_rows
    2
    """

    action: IntArray
    reward: FloatArray
    propensity: FloatArray
    n_actions: int
    propensities: FloatArray | None = None
    groups: npt.NDArray[Any] | None = None

    def __post_init__(self) -> None:
        action = np.asarray(self.action)
        if action.ndim != 1 or len(action) == 0 or not np.issubdtype(action.dtype, np.integer):
            raise OpeError(f"actions have shape {action.shape} and type {action.dtype}, expected indices of shape (n_rows,), n_rows >= 1")
        self._keep("action", action.astype(np.int64))
        _refuse(
            (self.action < 0) | (self.action >= self.n_actions), self.action, f"an action is not an index from 0 to {self.n_actions - 1}"
        )
        for name in ("reward", "propensity"):
            self._keep(name, _vector(getattr(self, name), name, len(self.action)))
        _refuse(~np.isfinite(self.reward), self.reward, "a reward is missing or no number; leave out rows whose outcome is not known yet")
        _refuse(~((self.propensity > 0) & (self.propensity <= 1)), self.propensity, "the propensity of a logged action is not in (0, 1]")
        if self.groups is not None:
            self._keep("groups", _vector(self.groups, "groups", len(self.action), dtype=None))
        self._check_propensities()

    @property
    def n_rows(self) -> int:
        """How many decisions were logged."""
        return len(self.action)

    def _keep(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _check_propensities(self) -> None:
        if self.propensities is None:
            return
        full = probabilities(self.propensities, self, name="logging propensities")
        self._keep("propensities", full)
        own = full[np.arange(self.n_rows), self.action]
        _refuse(np.abs(own - self.propensity) > _SUM_TOLERANCE, own, "`propensities` and `propensity` differ for the logged action")


def probabilities(policy: npt.ArrayLike, log: DecisionLog, *, name: str = "evaluation policy") -> FloatArray:
    """Check that a policy gives each logged row a distribution over the actions; return it as floats, shape (n_rows, n_actions).

    Raises
    ------
    OpeError
        If the shape differs, or a row is not a distribution; rows are named.

    Examples
    --------
    >>> log = DecisionLog(action=[0], reward=[1.0], propensity=[0.5], n_actions=2)
    >>> probabilities([[0.25, 0.75]], log).tolist()
    [[0.25, 0.75]]
    """
    given = np.asarray(policy, dtype=np.float64)
    if given.shape != (log.n_rows, log.n_actions):
        raise OpeError(f"{name}: shape {given.shape}, expected (n_rows, n_actions) = {(log.n_rows, log.n_actions)}")
    _refuse(((given < 0) | (given > 1) | np.isnan(given)).any(axis=1), given, f"{name}: a probability is not in [0, 1]")
    _refuse(np.abs(given.sum(axis=1) - 1) > _SUM_TOLERANCE, given.sum(axis=1), f"{name}: probabilities do not sum to 1")
    return given


def unsupported_rows(policy: npt.ArrayLike, log: DecisionLog) -> IntArray:
    """Rows where the policy may do what the log can say nothing of, in order.

    With ``propensities``: where an action has mass under the policy and none under the logging policy. Without: where an action has
    mass that no row of the log took. The first is exact; the second can only find actions that are missing from the whole log.

    Examples
    --------
    >>> log = DecisionLog(action=[0, 1], reward=[0.0, 1.0], propensity=[1.0, 0.5], n_actions=2, propensities=[[1, 0], [0.5, 0.5]])
    >>> unsupported_rows([[0.5, 0.5], [0.5, 0.5]], log).tolist()
    [0]
    """
    given = probabilities(policy, log)
    if log.propensities is not None:
        possible = log.propensities > 0
    else:
        possible = np.broadcast_to(np.bincount(log.action, minlength=log.n_actions) > 0, given.shape)
    return np.flatnonzero(((given > 0) & ~possible).any(axis=1)).astype(np.int64)


def check_support(policy: npt.ArrayLike, log: DecisionLog) -> None:
    """Refuse a policy that may do what the logging policy never did.

    Raises
    ------
    OpeError
        Naming the rows, as many as fit, and what to do.
    """
    rows = unsupported_rows(policy, log)
    if len(rows):
        raise OpeError(
            f"no support in {len(rows)} of {log.n_rows} rows ({_first(rows)}): the evaluation policy may take an action there that"
            " the logging policy never takes; evaluate on the rows with support and say so, or log with exploration"
        )


def _vector(values: npt.ArrayLike, name: str, n_rows: int, dtype: type | None = np.float64) -> npt.NDArray[Any]:
    array = np.asarray(values, dtype=dtype)
    if array.shape != (n_rows,):
        raise OpeError(f"{name}: shape {array.shape}, expected ({n_rows},), one per logged action")
    return array


def _refuse(wrong: Any, values: npt.NDArray[Any], problem: str) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        got = ", ".join(str(value) for value in values[rows[:_SHOWN]].tolist())
        raise OpeError(f"{problem}: {len(rows)} of {len(wrong)} rows ({_first(rows)}), got {got}")


def _first(rows: npt.NDArray[Any]) -> str:
    more = ", ..." if len(rows) > _SHOWN else ""
    return f"rows {', '.join(str(row) for row in rows[:_SHOWN].tolist())}{more}"
