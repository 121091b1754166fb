"""One set of parameters on one fold: grow until the judged rows say stop, and what they lost."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.calibration import sigmoid
from models.signature import Signature
from training.calibrate import FloatArray, log_losses
from training.fit import FitParameters, dataset, monotone_constraints
from training.folds import Fold

_BINNED = {"feature_pre_filter": False, "verbosity": -1}  # columns are kept whatever min_data_in_leaf a later trial has


class Stopped(Exception):  # noqa: N818 - not an error: the time is up
    """The time is up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldData:
    """A fold as LightGBM takes it: binned once for all trials."""

    learn: Any  # lightgbm.Dataset
    judge: Any
    encoded: FloatArray  # inputs of the judged rows, (n_rows, n_inputs)
    outcomes: npt.NDArray[np.bool_]
    units: npt.NDArray[np.object_]
    monotone: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldLoss:
    """Log loss of every judged row, and how many trees it took."""

    rows: FloatArray
    rounds: int

    @property
    def mean(self) -> float:
        """Mean over the rows."""
        return float(self.rows.mean())


def fold_data(fold: Fold, signature: Signature) -> FoldData:
    """Encode and bin a fold; the signature is that of the first fold's rows, so that none is known by later ones."""
    learn = dataset([fold.learn], signature, params=_BINNED)
    return FoldData(
        learn=learn,
        judge=dataset([fold.judge], signature, params=_BINNED, reference=learn),
        encoded=signature.encode(fold.judge.vectors, fold.judge.profiles()),
        outcomes=fold.judge.outcomes,
        units=fold.units,
        monotone=monotone_constraints(fold.learn.product, signature),
    )


def fold_loss(fold: FoldData, parameters: FitParameters, *, seed: int, deadline_s: float) -> FoldLoss:
    """Grow one seed's trees with early stopping on the judged rows.

    Raises
    ------
    Stopped
        At the first tree after ``deadline_s`` (of the monotonic clock).
    """
    import lightgbm

    booster = lightgbm.train(
        parameters.for_lightgbm(seed=seed, monotone=fold.monotone),
        fold.learn,
        num_boost_round=parameters.max_rounds,
        valid_sets=[fold.judge],
        callbacks=[lightgbm.early_stopping(parameters.early_stopping_rounds, verbose=False), _until(deadline_s)],
    )
    rounds = booster.best_iteration or booster.current_iteration()
    raw = booster.predict(fold.encoded, num_iteration=rounds, raw_score=True)
    return FoldLoss(rows=log_losses(sigmoid(raw), fold.outcomes), rounds=rounds)


def _until(deadline_s: float) -> Any:
    def check(_: Any) -> None:
        if time.monotonic() > deadline_s:
            raise Stopped

    return check
