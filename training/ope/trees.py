"""Small boosted trees over plain arrays: what effects and rewards are regressed with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.repeatable import repeatable

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeParameters:
    """LightGBM's parameters. Effects are small beside the noise of outcomes, so trees are few, shallow and with well-filled leaves."""

    rounds: int = 60
    learning_rate: float = 0.05
    num_leaves: int = 7
    max_depth: int = 4
    min_data_in_leaf: int = 100
    lambda_l2: float = 10.0
    feature_fraction: float = 0.8
    num_threads: int = 1

    def for_lightgbm(self, *, binary: bool, seed: int) -> dict[str, Any]:
        """Spell them as LightGBM does; the same seed gives the same trees on the same machine."""
        return {
            "objective": "binary" if binary else "regression",
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "max_depth": self.max_depth,
            "min_data_in_leaf": self.min_data_in_leaf,
            "lambda_l2": self.lambda_l2,
            "feature_fraction": self.feature_fraction,
            **repeatable(seed=seed, num_threads=self.num_threads),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """E[target | row], fitted; a constant where there was nothing to split."""

    booster: Any  # lightgbm.Booster, or None
    constant: float

    def predict(self, X: FloatArray) -> FloatArray:
        """Expected target of each row, shape (n_rows,); a probability where the target was 0/1."""
        if self.booster is None or len(X) == 0:
            return np.full(len(X), self.constant)
        return np.asarray(self.booster.predict(X, num_threads=1), dtype=np.float64)


def grow_trees(X: FloatArray, target: FloatArray, *, parameters: TreeParameters, seed: int = 0, categorical: tuple[int, ...] = ()) -> Trees:
    """Regress the target on the rows: log loss where every target is 0 or 1, else squared error. NaN in ``X`` is a value of its own.

    Parameters
    ----------
    X, target
        Shapes (n_rows, n_columns) and (n_rows,), at least one row. A target that does not vary gives a constant.
    categorical
        Columns of ``X`` that hold codes (0, 1, ...) and not amounts.

    Examples
    --------
    >>> grow_trees(np.zeros((3, 1)), np.ones(3), parameters=TreeParameters()).predict(np.zeros((2, 1))).tolist()
    [1.0, 1.0]
    """
    constant = float(target.mean())
    if np.ptp(target) == 0 or len(target) < 2 * parameters.min_data_in_leaf:
        return Trees(booster=None, constant=constant)
    import lightgbm  # imported here: seconds of start-up that --help need not wait for

    options = parameters.for_lightgbm(binary=is_binary(target), seed=seed)
    data = lightgbm.Dataset(X, label=target, categorical_feature=list(categorical), free_raw_data=True)
    return Trees(booster=lightgbm.train(options, data, num_boost_round=parameters.rounds), constant=constant)


def is_binary(target: FloatArray) -> bool:
    """Whether every value is 0 or 1."""
    return bool(np.isin(target, (0.0, 1.0)).all())


def folds_of(groups: npt.ArrayLike, *, n_folds: int, seed: int) -> IntArray:
    """Fold of each row, 0 to n_folds - 1, shape (n_rows,); rows of one group (a user) share a fold, and folds have as many groups.

    Examples
    --------
    >>> folds = folds_of(["ann", "bob", "ann", "cid"], n_folds=2, seed=0)
    >>> bool(folds[0] == folds[2]), sorted(set(folds.tolist()))
    (True, [0, 1])
    """
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    fold_of_group = np.arange(codes.max(initial=-1) + 1) % n_folds
    return np.random.default_rng(seed).permutation(fold_of_group)[codes].astype(np.int64)
