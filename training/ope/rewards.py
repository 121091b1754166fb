"""The reward model of DR: cross-fitted, so that no row is predicted by a model that saw it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.ope.log import DecisionLog, OpeError
from training.ope.trees import TreeParameters, folds_of, grow_trees

FloatArray = npt.NDArray[np.float64]

N_FOLDS = 3


def cross_fitted_rewards(
    X: FloatArray,
    log: DecisionLog,
    *,
    parameters: TreeParameters | None = None,
    n_folds: int = N_FOLDS,
    seed: int = 0,
    categorical: tuple[int, ...] = (),
) -> FloatArray:
    """E[reward | row, action] for every action, shape (n_rows, n_actions): boosted trees over the row and the action as a category.

    Parameters
    ----------
    X
        What was known at each decision, shape (n_rows, n_columns); NaN is a value of its own.
    categorical
        Columns of ``X`` that hold codes.

    Raises
    ------
    OpeError
        If ``X`` has not one row per decision, or there are fewer groups than folds.

    References
    ----------
    Chernozhukov et al. (2018), Double/debiased machine learning, doi:10.1111/ectj.12097, for cross-fitting.
    """
    rows = np.asarray(X, dtype=np.float64)
    if rows.ndim != 2 or len(rows) != log.n_rows:  # noqa: PLR2004 - rows and columns
        raise OpeError(f"X: shape {rows.shape}, expected ({log.n_rows}, n_columns), one row per logged decision")
    groups = np.arange(log.n_rows) if log.groups is None else log.groups
    if len(np.unique(groups)) < n_folds:
        raise OpeError(f"{len(np.unique(groups))} users or rows, expected at least as many as folds ({n_folds}); give more rows")
    folds = folds_of(groups, n_folds=n_folds, seed=seed)
    columns = (*categorical, rows.shape[1])
    rewards = np.zeros((log.n_rows, log.n_actions))
    for fold in range(n_folds):
        seen, held = folds != fold, folds == fold
        model = grow_trees(
            _with_action(rows[seen], log.action[seen]),
            log.reward[seen],
            parameters=parameters or TreeParameters(),
            seed=seed,
            categorical=columns,
        )
        for action in range(log.n_actions):
            rewards[held, action] = model.predict(_with_action(rows[held], action))
    return rewards


def _with_action(rows: FloatArray, action: npt.ArrayLike) -> FloatArray:
    return np.column_stack([rows, np.broadcast_to(np.asarray(action, dtype=np.float64), (len(rows),))])
