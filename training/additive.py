"""The additive part of a model: a logistic regression as trees of one input each.

Trees find thresholds and combinations, a straight line carries over to cohorts unlike any seen; their mean is better than either where
the two are about as good (`benchmarks/bench_mooc.py`). Written as trees, the line stands in the same booster as the rest: what serves
the model, explains it and checks its sums need not know of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.signature import Signature
from training.baselines import logistic_regression
from training.repeatable import repeatable

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

LEAVES, DEPTH = 16, 4
"""Of one tree: steps that one input's line is cut into. Many trees share the work."""

_INVERSE_PENALTY = 0.003  # scikit-learn's C: inputs are many, and most say nearly the same as their neighbours
_LEARNING_RATE = 0.3
_LEAST_ROWS_SHARE = 0.003  # of the rows, in one step


def logistic_log_odds(rows: FloatArray, outcomes: BoolArray, signature: Signature, *, weights: FloatArray, seed: int) -> FloatArray:
    """Log-odds that a logistic regression on these rows gives them, shape (n_rows,).

    Parameters
    ----------
    rows, outcomes, weights
        Encoded inputs, shape (n_rows, n_inputs), outcomes and weights, shape (n_rows,).
    """
    model = logistic_regression(signature, inverse_penalty=_INVERSE_PENALTY, seed=seed)
    log_odds: FloatArray = model.fit(rows, outcomes, logisticregression__sample_weight=weights).decision_function(rows)
    return log_odds


def grow_additive(rows: FloatArray, log_odds: FloatArray, signature: Signature, *, monotone: Sequence[int], rounds: int, seed: int) -> str:
    """Fit ``rounds`` trees of one input each to log-odds; LightGBM's text format.

    Parameters
    ----------
    rows, log_odds
        Encoded inputs, shape (n_rows, n_inputs), and what to say of each row, shape (n_rows,).
    monotone
        1, 0 or -1 for each input: steps go no other way, also where the log-odds would.

    References
    ----------
    Hastie, Tibshirani (1986), Generalized additive models, doi:10.1214/ss/1177013604: log-odds as a sum of functions of one input.
    """
    import lightgbm

    data = lightgbm.Dataset(
        rows,
        label=log_odds,
        feature_name=[f"f{i}" for i in range(len(signature.input_names))],
        categorical_feature=list(signature.categorical_inputs),
    )
    booster: Any = lightgbm.train(_options(len(rows), monotone, seed), data, num_boost_round=rounds)
    text: str = booster.model_to_string()
    return text


def _options(n_rows: int, monotone: Sequence[int], seed: int) -> dict[str, Any]:
    return {
        "objective": "regression",
        "learning_rate": _LEARNING_RATE,
        "num_leaves": LEAVES,
        "max_depth": DEPTH,
        "min_data_in_leaf": max(1, round(_LEAST_ROWS_SHARE * n_rows)),
        "feature_fraction": 0.5,
        "interaction_constraints": [[i] for i in range(len(monotone))],
        "monotone_constraints": list(monotone),
        **repeatable(seed=seed),
    }
