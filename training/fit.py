"""LightGBM on a slice, with early stopping on a later one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from features.core.catalogue import Catalogue, Direction
from features.core.families import CODES
from models.signature import Signature
from training.frame import TrainingFrame

FloatArray = npt.NDArray[np.float64]

_CONSTRAINT = {Direction.UP: 1, Direction.DOWN: -1, Direction.NONE: 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class FitParameters:
    """LightGBM's parameters.

    Depth and rounds bound the cost of an explanation: TreeSHAP takes time in proportion to rounds x leaves x depth squared, and the
    defaults keep one row under 2 ms.
    """

    learning_rate: float = 0.05
    num_leaves: int = 15
    max_depth: int = 5
    min_data_in_leaf: int = 40
    feature_fraction: float = 0.6
    bagging_fraction: float = 0.8
    lambda_l2: float = 5.0
    max_rounds: int = 300
    early_stopping_rounds: int = 30
    num_threads: int = 1  # data of this size gains nothing from more, and contended threads wait for each other

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
            "monotone_constraints": monotone,
            "num_threads": self.num_threads,
            "deterministic": True,
            "force_col_wise": True,
            "verbosity": -1,
            "seed": seed,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A fitted model as text, and how the fit went."""

    model_text: str
    rounds: int
    stop_log_loss: float


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
    """
    import lightgbm  # imported here: seconds of start-up that --help need not wait for

    options = parameters.for_lightgbm(seed=seed, monotone=monotone_constraints(train.product.catalogue, signature))
    fitted_on = _dataset(lightgbm, [train], signature)
    first = lightgbm.train(
        options,
        fitted_on,
        num_boost_round=parameters.max_rounds,
        valid_sets=[_dataset(lightgbm, [stop], signature, reference=fitted_on)],
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
    """Fit exactly ``rounds`` trees on the rows of all frames; the model in LightGBM's text format."""
    import lightgbm

    options = parameters.for_lightgbm(seed=seed, monotone=monotone_constraints(frames[0].product.catalogue, signature))
    text: str = lightgbm.train(options, _dataset(lightgbm, frames, signature), num_boost_round=rounds).model_to_string()
    return text


def _dataset(lightgbm: Any, frames: Sequence[TrainingFrame], signature: Signature, reference: Any = None) -> Any:
    return lightgbm.Dataset(
        np.concatenate([signature.encode(frame.vectors, frame.profiles()) for frame in frames]),
        label=np.concatenate([frame.outcomes for frame in frames]).astype(np.float64),
        feature_name=[f"f{i}" for i in range(len(signature.input_names))],  # LightGBM refuses some characters; the signature has the names
        categorical_feature=list(signature.categorical_inputs),
        reference=reference,
    )


def monotone_constraints(catalogue: Catalogue, signature: Signature) -> list[int]:
    """One of 1, 0, -1 per model input, as the catalogue declares; attributes and codes are free."""
    declared = {feature.name: _CONSTRAINT[feature.direction] for feature in catalogue.features if feature.aggregation not in CODES}
    return [declared.get(name, 0) for name in signature.input_names]


def _reporting(progress: Callable[[int, int], None] | None, max_rounds: int) -> list[Callable[[Any], None]]:
    if progress is None:
        return []
    return [lambda env: progress(env.iteration + 1, max_rounds)]
