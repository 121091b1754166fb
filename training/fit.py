"""LightGBM on a slice, with early stopping on a later one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from features.core.catalogue import Direction
from features.core.families import CODES
from features.core.product import AttributeType, Product
from models.signature import Signature
from training import additive as additive_trees
from training.bounds import require_number, require_whole
from training.errors import BadInputError
from training.frame import TrainingFrame
from training.repeatable import repeatable
from training.trees import average, with_intercept

FloatArray = npt.NDArray[np.float64]

EXPLANATION_BUDGET = 120_000
"""Trees x leaves x depth squared that one explanation may cost: about 1 ms on a core of 2.5 GHz, so 2 ms with that core shared."""

_WHOLE = {
    "num_leaves": (2, 4096),
    "max_depth": (1, 64),
    "min_data_in_leaf": (1, 10**9),
    "max_rounds": (1, 100_000),
    "early_stopping_rounds": (1, 100_000),
    "n_seeds": (1, 1_000),
    "additive_rounds": (0, 100_000),
    "num_threads": (1, 1_024),
}
_ABOVE = {"learning_rate": (0.0, 1.0), "feature_fraction": (0.0, 1.0), "bagging_fraction": (0.0, 1.0)}
_FROM = {"lambda_l2": (0.0, 1e9), "path_smooth": (0.0, 1e9), "leak_auc": (0.5, 1.0)}
"""Ranges of `FitParameters`."""

_SEED_STRIDE = 7919  # LightGBM draws its own seeds from ours by adding: neighbours could share some
_CONSTRAINT = {Direction.UP: 1, Direction.DOWN: -1, Direction.NONE: 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class FitParameters:
    """LightGBM's parameters.

    Depth and rounds bound the cost of an explanation: TreeSHAP takes time in proportion to trees x leaves x depth squared, and the
    defaults keep one row under 2 ms.

    ``positive_weight`` is how many stayers one dropout counts for while trees grow. Log loss needs no such help to give calibrated
    probabilities of a rare outcome, so it is 1; where a tree would not split for a handful of positives it may be more, and the
    log-odds that this adds are taken off again (King, Zeng 2001, doi:10.1093/oxfordjournals.pan.a004868, prior correction).

    Raises
    ------
    BadInputError
        If one of them is out of its range.

    Examples
    --------
    >>> FitParameters(max_depth=4).explanation_cost
    72000
    >>> FitParameters(max_rounds=0)
    Traceback (most recent call last):
    training.errors.BadInputError: max_rounds: got 0, expected a whole number from 1 to 100000; 300 is the default
    """

    learning_rate: float = 0.05
    num_leaves: int = 15
    max_depth: int = 5
    min_data_in_leaf: int = 40
    feature_fraction: float = 0.6
    bagging_fraction: float = 0.8
    lambda_l2: float = 5.0
    path_smooth: float = 0.0  # how much a leaf leans towards its parent
    positive_weight: float | None = 1.0  # None: as many as there are stayers for each dropout
    max_rounds: int = 300
    early_stopping_rounds: int = 30
    n_seeds: int = 1  # models that are grown from different samples of rows and inputs and averaged, each of as many trees
    additive_rounds: int = 0  # trees of one input each that say what a logistic regression says; half of the score, if there are any
    leak_auc: float = 0.99  # rows of which one input alone orders the outcomes better are refused; 1 refuses none
    num_threads: int = 1  # data of this size gains nothing from more, and contended threads wait for each other

    def __post_init__(self) -> None:
        defaults = {each.name: each.default for each in fields(self)}
        for name, (least, most) in _WHOLE.items():
            require_whole(name, getattr(self, name), least=least, most=most, advice=f"{defaults[name]} is the default")
        for name, (above, upper) in _ABOVE.items():
            require_number(name, getattr(self, name), above=above, most=upper, advice=f"{defaults[name]} is the default")
        for name, (lower, upper) in _FROM.items():
            require_number(name, getattr(self, name), least=lower, most=upper, advice=f"{defaults[name]} is the default")
        if self.positive_weight is not None:
            require_number("positive_weight", self.positive_weight, above=0.0, most=1e6, advice="1 is the default; None weighs both alike")

    @property
    def explanation_cost(self) -> int:
        """Upper bound of trees x leaves x depth squared, which the time of one explanation follows."""
        depth = self.max_depth
        additive = self.additive_rounds * additive_trees.LEAVES * additive_trees.DEPTH**2
        return int(self.n_seeds * self.max_rounds * min(self.num_leaves, 2**depth) * depth**2 + additive)

    def for_lightgbm(self, *, seed: int, monotone: list[int]) -> dict[str, Any]:
        """Spell them as LightGBM does; the same seed gives the same model on the same machine."""
        return {
            "objective": "binary",
            "metric": "binary_logloss",
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "max_depth": self.max_depth,
            "min_data_in_leaf": self.min_data_in_leaf,
            "feature_fraction": self.feature_fraction,
            "bagging_fraction": self.bagging_fraction,
            "bagging_freq": 1,
            "lambda_l2": self.lambda_l2,
            "path_smooth": self.path_smooth,
            "monotone_constraints": monotone,
            **repeatable(seed=seed, num_threads=self.num_threads),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A fitted model as text, and how the fit went."""

    model_text: str
    rounds: int  # trees of each seed
    stop_log_loss: float  # rows weighted as they were fitted


def fit(
    train: TrainingFrame,
    stop: TrainingFrame,
    signature: Signature,
    *,
    parameters: FitParameters,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Fitted:
    """Find how many trees to grow, and grow them on both slices.

    First fits on ``train`` and stops where the log loss of ``stop`` no longer falls; then fits anew, with as many trees, on the rows of
    both: the latest rows are the most like those to come. Both slices lie before the calibration slice. ``progress`` is called with
    (round, max_rounds) of the first fit.

    Raises
    ------
    BadInputError
        If a feature of either slice is infinite.
    """
    import lightgbm  # imported here: seconds of start-up that --help need not wait for

    options = parameters.for_lightgbm(seed=seed, monotone=monotone_constraints(train.product, signature))
    weight = _positive_weight([train], parameters)
    fitted_on = dataset([train], signature, weight=weight)
    first = lightgbm.train(
        options,
        fitted_on,
        num_boost_round=parameters.max_rounds,
        valid_sets=[dataset([stop], signature, weight=weight, reference=fitted_on)],
        valid_names=["stop"],
        callbacks=[lightgbm.early_stopping(parameters.early_stopping_rounds, verbose=False), *_reporting(progress, parameters.max_rounds)],
    )
    rounds = first.best_iteration or first.current_iteration()
    return Fitted(
        model_text=grow([train, stop], signature, parameters=parameters, seed=seed, rounds=rounds),
        rounds=rounds,
        stop_log_loss=float(first.best_score["stop"]["binary_logloss"]),
    )


def grow(frames: Sequence[TrainingFrame], signature: Signature, *, parameters: FitParameters, seed: int, rounds: int) -> str:
    """Fit exactly ``rounds`` trees for each seed on the rows of all frames, and the additive part; their mean in LightGBM's text format."""
    import lightgbm

    monotone = monotone_constraints(frames[0].product, signature)
    weight = _positive_weight(frames, parameters)
    data = dataset(frames, signature, weight=weight)
    texts = [
        lightgbm.train(parameters.for_lightgbm(seed=each, monotone=monotone), data, num_boost_round=rounds).model_to_string()
        for each in (seed + _SEED_STRIDE * k for k in range(parameters.n_seeds))
    ]
    parts = [average(texts)]
    if parameters.additive_rounds:
        parts.append(grow_additive(frames, signature, parameters=parameters, seed=seed))
    return with_intercept(average(parts), -math.log(weight))


def grow_additive(frames: Sequence[TrainingFrame], signature: Signature, *, parameters: FitParameters, seed: int) -> str:
    """The additive part alone, of the rows of all frames, dropouts weighted as the trees' are."""
    rows = np.concatenate([_inputs(frame, signature) for frame in frames])
    outcomes = np.concatenate([frame.outcomes for frame in frames])
    weights = np.where(outcomes, _positive_weight(frames, parameters), 1.0)
    return additive_trees.grow_additive(
        rows,
        additive_trees.logistic_log_odds(rows, outcomes, signature, weights=weights, seed=seed),
        signature,
        monotone=monotone_constraints(frames[0].product, signature),
        rounds=parameters.additive_rounds,
        seed=seed,
    )


def _positive_weight(frames: Sequence[TrainingFrame], parameters: FitParameters) -> float:
    if parameters.positive_weight is not None:
        return parameters.positive_weight
    outcomes = np.concatenate([frame.outcomes for frame in frames])
    return float((~outcomes).sum() / outcomes.sum())


def dataset(
    frames: Sequence[TrainingFrame],
    signature: Signature,
    *,
    weight: float = 1.0,
    reference: Any = None,
    params: dict[str, Any] | None = None,
) -> Any:
    """Rows of all frames as a ``lightgbm.Dataset``; each dropout counts ``weight`` times, bins are those of ``reference``."""
    import lightgbm

    outcomes = np.concatenate([frame.outcomes for frame in frames])
    return lightgbm.Dataset(
        np.concatenate([_inputs(frame, signature) for frame in frames]),
        label=outcomes.astype(np.float64),
        weight=None if weight == 1.0 else np.where(outcomes, weight, 1.0),
        feature_name=[f"f{i}" for i in range(len(signature.input_names))],  # LightGBM refuses some characters; the signature has the names
        categorical_feature=list(signature.categorical_inputs),
        reference=reference,
        params=params,
    )


def _inputs(frame: TrainingFrame, signature: Signature) -> FloatArray:
    rows = signature.encode(frame.vectors, frame.profiles())
    infinite = np.isinf(rows).sum(axis=0)
    if infinite.any():
        worst = int(infinite.argmax())
        raise BadInputError(
            f"input {signature.input_names[worst]} is infinite in {infinite[worst]} of {len(rows)} rows, expected numbers, or NaN where"
            " nothing is known; check the units of what is imported"
        )
    return rows


def monotone_constraints(product: Product, signature: Signature) -> list[int]:
    """One of 1, 0, -1 per model input, as features and attributes declare; codes and categories are free."""
    declared = {feature.name: feature.direction for feature in product.catalogue.features if feature.aggregation not in CODES}
    declared |= {a.name: a.direction for a in product.model_attributes if a.type is not AttributeType.CATEGORY}
    return [_CONSTRAINT[declared.get(name, Direction.NONE)] for name in signature.input_names]


def _reporting(progress: Callable[[int, int], None] | None, max_rounds: int) -> list[Callable[[Any], None]]:
    if progress is None:
        return []
    return [lambda env: progress(env.iteration + 1, max_rounds)]
