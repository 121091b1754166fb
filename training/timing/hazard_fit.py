"""LightGBM on person-period rows: early stopping on a later slice, nothing seen that lies in a later one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.timing.hazard import PERIOD_INPUTS, Asked, HazardModel, person_period_rows
from training.errors import TooLittleDataError
from training.repeatable import repeatable
from training.timing.returns import PersonPeriods, Returns, person_periods

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class HazardParameters:
    """LightGBM's parameters; few leaves and many rows a leaf, since a row counts once for every period it was away."""

    learning_rate: float = 0.1
    num_leaves: int = 31
    min_data_in_leaf: int = 200
    feature_fraction: float = 0.7
    lambda_l2: float = 5.0
    max_rounds: int = 250
    early_stopping_rounds: int = 15
    num_threads: int = 1

    def for_lightgbm(self, *, seed: int) -> dict[str, Any]:
        """Spell them as LightGBM does."""
        return {
            "objective": "binary",
            "metric": "binary_logloss",
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "min_data_in_leaf": self.min_data_in_leaf,
            "feature_fraction": self.feature_fraction,
            "lambda_l2": self.lambda_l2,
            "max_bin": 127,
            **repeatable(seed=seed, num_threads=self.num_threads),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """Rows with what was seen of their users until their slice's end."""

    asked: Asked
    returns: Returns
    watched_s: FloatArray  # from as_of to where this slice may look no further

    def periods(self, edges_s: FloatArray) -> PersonPeriods:
        """Person-period rows, see `training.timing.returns.person_periods`."""
        return person_periods(self.returns, self.watched_s, edges_s)


def fit_hazard(
    train: Watched,
    stop: Watched,
    *,
    edges_s: tuple[float, ...],
    categorical: tuple[int, ...] = (),
    parameters: HazardParameters | None = None,
    seed: int = 0,
) -> HazardModel:
    """Learn the hazard of return on ``train``, as many trees as ``stop`` asks for.

    Parameters
    ----------
    categorical
        Positions of categories among the encoded inputs.

    Raises
    ------
    TooLittleDataError
        If a slice has no period that was watched whole, or nobody returned in one.
    """
    import lightgbm

    parameters = parameters or HazardParameters()
    fitted_on = _dataset(lightgbm, train, edges_s, name="train", categorical=categorical)
    booster = lightgbm.train(
        parameters.for_lightgbm(seed=seed),
        fitted_on,
        num_boost_round=parameters.max_rounds,
        valid_sets=[_dataset(lightgbm, stop, edges_s, name="stop", categorical=categorical, reference=fitted_on)],
        callbacks=[lightgbm.early_stopping(parameters.early_stopping_rounds, verbose=False)],
    )
    text = booster.model_to_string(num_iteration=booster.best_iteration or booster.current_iteration())
    return HazardModel(model_text=text, n_inputs=train.asked.encoded.shape[1], edges_s=edges_s)


def _dataset(
    lightgbm: Any, watched: Watched, edges_s: tuple[float, ...], *, name: str, categorical: tuple[int, ...], reference: Any = None
) -> Any:
    edges = np.array(edges_s)
    periods = watched.periods(edges)
    if len(periods.row) == 0 or not periods.returned.any():
        raise TooLittleDataError(
            f"timing: of {len(watched.watched_s)} rows of the slice {name}, {len(periods.row)} periods were watched whole and"
            f" {int(periods.returned.sum())} saw a return, expected some; import a longer log"
        )
    rows = person_period_rows(watched.asked, periods.row, periods.period, edges)
    return lightgbm.Dataset(
        rows,
        label=periods.returned.astype(np.float64),
        feature_name=[f"f{i}" for i in range(watched.asked.encoded.shape[1])] + list(PERIOD_INPUTS),
        categorical_feature=list(categorical),
        reference=reference,
    )
