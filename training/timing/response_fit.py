"""Learn the effect of a delay from a log whose delays were drawn at random, and check it on users who were not learned from.

Two steps, both LightGBM. First the prognosis m(x) = P(dropout | x), averaged over whatever was done. Then r, by a second model of the same
outcome that starts from logit m(x) and sees only the action, the slot, the attributes and m itself. Assignment is random given x, so what
the second model finds is the effect of the assignment beyond the average one. Everything is pooled over delays: a slot is described by its
delay, its local hour and weekday and the user's habit then, and the behaviour is summed up in m, so that few rows a delay suffice. Members
leave one fold of the users out each: m is always of users outside the fold, and the fold that a member has not seen says whether it
predicts anything.

References
----------
Robinson (1988), https://doi.org/10.2307/1912705; Nie and Wager (2021), https://doi.org/10.1093/biomet/asaa076; the slope is the best linear
predictor of Chernozhukov et al. (2025), https://doi.org/10.3982/ECTA19303; the gain is doubly robust, Dudik et al. (2014),
https://doi.org/10.1214/14-STS500
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.risk import RiskModel
from models.timing.hazard import Asked
from models.timing.response import LEAST_RISK, MOST_RISK, SLOT_INPUTS, ResponseModel, averaged, dropout_after, slot_rows
from training.errors import OneClassError, TooLittleDataError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

NOTHING = 0
"""Code of the action that does nothing."""
MIN_ROWS = 500
"""Fewest randomised rows to learn from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRows:
    """A log of decisions whose delay was drawn at random; one element per row."""

    asked: Asked
    user: npt.NDArray[Any]  # whose row; rows of a user stay together
    action: IntArray  # codes, `NOTHING` is 0
    delay_s: FloatArray  # drawn delay; of rows without action it means nothing
    delay_propensity: FloatArray  # P(this delay | the action), in (0, 1]
    dropped_out: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseParameters:
    """LightGBM's parameters of both steps; the second is coarse, as effects are small beside the noise of one outcome."""

    n_members: int = 6
    prognosis_rounds: int = 80
    n_features: int = 0  # model inputs that r looks at beside the attributes: those on which the prognosis rests most
    rounds: int = 60
    learning_rate: float = 0.06
    num_leaves: int = 12
    min_share_in_leaf: float = 0.01  # of all rows
    feature_fraction: float = 0.7
    lambda_l2: float = 20.0
    num_threads: int = 1

    def options(self, *, seed: int, n_rows: int, objective: str) -> dict[str, Any]:
        """Spell them as LightGBM does."""
        return {
            "objective": objective,
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "min_data_in_leaf": max(20, round(self.min_share_in_leaf * n_rows)),
            "feature_fraction": self.feature_fraction,
            "lambda_l2": self.lambda_l2,
            "num_threads": self.num_threads,
            "deterministic": True,
            "force_col_wise": True,
            "max_bin": 127,
            "verbosity": -1,
            "seed": seed,
        }


class Checked(NamedTuple):
    """What users say whom a member had not seen."""

    slope: float
    slope_se: float
    gain: float
    gain_se: float


def fit_response(
    rows: TrialRows,
    *,
    actions: tuple[str, ...],
    delays_s: tuple[float, ...],
    always: tuple[int, ...] = (),
    parameters: ResponseParameters | None = None,
    seed: int = 0,
) -> ResponseModel:
    """Learn m and r from a trial's rows.

    Parameters
    ----------
    actions
        Names by code.
    delays_s
        Delays that were drawn, the first is "now".
    always
        Positions of model inputs that r looks at whatever the prognosis thinks of them: the attributes.

    Raises
    ------
    TooLittleDataError
        If there are fewer than `MIN_ROWS` rows with an action.
    OneClassError
        If everybody dropped out or nobody did.
    """
    _check(rows)
    parameters = parameters or ResponseParameters()
    fold, n_inputs = _folds(rows.user, parameters.n_members, seed), rows.asked.encoded.shape[1]
    prognosis = np.empty(len(fold))
    for left_out in range(parameters.n_members):
        mine = fold == left_out
        prognosis[mine] = _of(_prognosis(rows, ~mine, parameters, seed), rows.asked.encoded[mine])
    prognosis = np.clip(prognosis, LEAST_RISK, MOST_RISK)
    everybody = _prognosis(rows, np.ones(len(fold), np.bool_), parameters, seed)
    columns = _columns(everybody, always, parameters.n_features)
    rows = replace(rows, asked=rows.asked.keeping(columns))
    inputs = slot_rows(rows.asked, rows.action, np.where(rows.action == NOTHING, 0.0, rows.delay_s), prognosis)
    members = tuple(
        _change(inputs, rows.dropped_out, prognosis, fold != b, parameters, seed=seed + b) for b in range(parameters.n_members)
    )
    checked = check(rows, members, fold, prognosis=prognosis, delays_s=np.array(delays_s))
    return ResponseModel(
        prognosis_text=everybody,
        member_texts=members,
        n_inputs=n_inputs,
        columns=columns,
        actions=actions,
        delays_s=delays_s,
        n_rows=int((rows.action != NOTHING).sum()),
        **checked._asdict(),
    )


def check(rows: TrialRows, members: tuple[str, ...], fold: IntArray, *, prognosis: FloatArray, delays_s: FloatArray) -> Checked:
    """Let each fold judge the member that has not seen it.

    The slope is that of the outcome, m - Y, on the predicted advantage of the drawn delay over the mean of all delays. The gain is that of
    the predicted best delay over the first, by inverse propensity with m as the baseline of both.
    """
    acted = np.flatnonzero(rows.action != NOTHING)
    predicted = np.empty((len(acted), len(delays_s)))
    for member, text in enumerate(members):
        mine = np.flatnonzero(fold[acted] == member)
        predicted[mine] = _predicted(text, rows, acted[mine], prognosis=prognosis, delays_s=delays_s)
    kept = (prognosis - rows.dropped_out)[acted]
    drawn = np.abs(rows.delay_s[acted][:, None] - delays_s).argmin(axis=1)
    advantage = predicted - predicted.mean(axis=1, keepdims=True)
    weight = 1.0 / rows.delay_propensity[acted]
    slope = _slope(advantage[np.arange(len(acted)), drawn], kept, weight)
    chosen = predicted.argmax(axis=1)
    difference = weight * kept * ((drawn == chosen).astype(np.float64) - (drawn == 0))
    return Checked(*slope, *_mean_by_user(difference, rows.user[acted]))


def _predicted(text: str, rows: TrialRows, which: IntArray, *, prognosis: FloatArray, delays_s: FloatArray) -> FloatArray:
    asked, action, risk = rows.asked.at(which), rows.action[which], prognosis[which]
    model = RiskModel(text, asked.encoded.shape[1] + len(SLOT_INPUTS))
    changes = [averaged([model], asked, action, np.full(len(which), delay_s), prognosis=risk)[0] for delay_s in delays_s]
    return risk[:, None] - dropout_after(risk[:, None], np.stack(changes, axis=1))


def _slope(x: FloatArray, y: FloatArray, weight: FloatArray) -> tuple[float, float]:
    """Weighted least squares with an intercept: slope and its heteroscedasticity-robust standard error."""
    x = x - np.average(x, weights=weight)
    denominator = float((weight * x**2).sum())
    if denominator <= 0:
        return 0.0, float("inf")
    slope = float((weight * x * y).sum()) / denominator
    residual = y - np.average(y, weights=weight) - slope * x
    return slope, float(np.sqrt(((weight * x * residual) ** 2).sum())) / denominator


def _mean_by_user(values: FloatArray, user: npt.NDArray[Any]) -> tuple[float, float]:
    """Mean over rows, and its standard error when rows of a user are not independent."""
    _, code = np.unique(user, return_inverse=True)
    mean = float(values.mean())
    sums = np.bincount(code, weights=values - mean)
    return mean, float(np.sqrt((sums**2).sum())) / len(values)


def _check(rows: TrialRows) -> None:
    n_acted = int((rows.action != NOTHING).sum())
    if n_acted < MIN_ROWS:
        raise TooLittleDataError(
            f"timing: the trial has {n_acted} rows with an action, expected at least {MIN_ROWS}; randomise longer before learning from it"
        )
    if rows.dropped_out.all() or not rows.dropped_out.any():
        raise OneClassError(f"timing: all {len(rows.dropped_out)} rows of the trial have one outcome, expected both; check its outcomes")


def _folds(user: npt.NDArray[Any], n_folds: int, seed: int) -> IntArray:
    _, code = np.unique(user, return_inverse=True)
    of_user = np.random.default_rng(seed).permutation(code.max() + 1) % n_folds
    return np.asarray(of_user[code], dtype=np.int64)


def _prognosis(rows: TrialRows, kept: npt.NDArray[np.bool_], parameters: ResponseParameters, seed: int) -> str:
    import lightgbm

    options = parameters.options(seed=seed, n_rows=int(kept.sum()), objective="binary")
    data = lightgbm.Dataset(rows.asked.encoded[kept], label=rows.dropped_out[kept].astype(np.float64))
    return str(lightgbm.train(options, data, num_boost_round=parameters.prognosis_rounds).model_to_string())


def _columns(prognosis_text: str, always: tuple[int, ...], n_features: int) -> tuple[int, ...]:
    import lightgbm

    gain = lightgbm.Booster(model_str=prognosis_text).feature_importance(importance_type="gain")
    foremost = np.argsort(-gain, kind="stable")[:n_features].tolist()
    return tuple(sorted({*always, *foremost}))


def _change(
    inputs: FloatArray,
    dropped_out: npt.NDArray[np.bool_],
    prognosis: FloatArray,
    kept: npt.NDArray[np.bool_],
    parameters: ResponseParameters,
    *,
    seed: int,
) -> str:
    """Learn minus r: what is to be added to the prognosis' logit."""
    import lightgbm

    options = parameters.options(seed=seed, n_rows=int(kept.sum()), objective="binary")
    start = np.log(prognosis / (1.0 - prognosis))
    action = inputs.shape[1] - len(SLOT_INPUTS)
    data = lightgbm.Dataset(inputs[kept], label=dropped_out[kept].astype(np.float64), init_score=start[kept], categorical_feature=[action])
    return str(lightgbm.train(options, data, num_boost_round=parameters.rounds).model_to_string())


def _of(text: str, encoded: FloatArray) -> FloatArray:
    return np.asarray(1.0 / (1.0 + np.exp(-RiskModel(text, encoded.shape[1]).raw_scores(encoded))), dtype=np.float64)
