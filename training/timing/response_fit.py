"""Learn the effect of a delay from a log whose delays were drawn at random, and check it on users who were not learned from.

Two steps, both LightGBM. First the prognosis m(x) = P(dropout | x), averaged over whatever was done. Then r, by a second model of the same
outcome that starts from logit m(x) and sees only the action, the slot, the attributes and m itself. Assignment is random given x, so what
the second model finds is the effect of the assignment beyond the average one. Of the attributes, the weekday and the habit it sees only
those that say clearly more than shuffled copies of themselves: each of the others would only add noise. Everything is pooled over delays:
a slot is described by its delay and its local hour, and the behaviour is summed up in m, so that few rows a delay suffice. Members leave
one fold of the users out each: m is always of users outside the fold, and the fold that a member has not seen says whether it
predicts anything, and by how much it misses (`training.timing.response_miss`).

References
----------
Robinson (1988), https://doi.org/10.2307/1912705; Nie and Wager (2021), https://doi.org/10.1093/biomet/asaa076; the slope is the best linear
predictor of Chernozhukov et al. (2025), https://doi.org/10.3982/ECTA19303; the gain is doubly robust, Dudik et al. (2014),
https://doi.org/10.1214/14-STS500; shuffled copies: Kursa and Rudnicki (2010), https://doi.org/10.18637/jss.v036.i11
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.risk import RiskModel
from models.timing.hazard import Asked
from models.timing.response import (
    CORE_INPUTS,
    LEAST_RISK,
    MOST_RISK,
    OPTIONAL_INPUTS,
    Act,
    Miss,
    ResponseModel,
    Sight,
    averaged,
    dropout_after,
    slot_rows,
)
from training.errors import OneClassError, TooLittleDataError
from training.repeatable import repeatable
from training.timing.response_miss import LeftOut, expected_miss, gain_misses

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
    weight: FloatArray | None = None  # for how many rows each stands, above 0; None: all alike
    was_open: npt.NDArray[np.bool_] | None = None  # which delays could have been drawn, shape (n_rows, n_delays); None: all, everywhere


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseParameters:
    """LightGBM's parameters of both steps; the second is coarse, as effects are small beside the noise of one outcome."""

    n_members: int = 6
    prognosis_rounds: int = 80
    worth: float = 3.0  # an optional input is seen if its splits gain this many times as much as those of its shuffled copies
    rounds: int = 110
    learning_rate: float = 0.06
    num_leaves: int = 12
    min_share_in_leaf: float = 0.02  # of all rows
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
            "max_bin": 127,
            **repeatable(seed=seed, num_threads=self.num_threads),
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
    attributes: tuple[int, ...] = (),
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
    attributes
        Positions of the model inputs that the effect may differ by; r looks at those of them that are worth it.

    Raises
    ------
    TooLittleDataError
        If there are fewer than `MIN_ROWS` rows with an action.
    OneClassError
        If everybody dropped out or nobody did.
    """
    _check(rows)
    parameters = parameters or ResponseParameters()
    fold = _folds(rows.user, parameters.n_members, seed)
    acted = rows.action != NOTHING
    act = Act(action=rows.action, delay_s=rows.delay_s, prognosis=_cross_fitted(rows, fold, parameters, seed))
    sight = _sight(rows, act, acted, attributes=attributes, parameters=parameters, seed=seed)
    inputs, start = slot_rows(rows.asked, act, sight), _logit(act.prognosis)
    out = [fold != member for member in range(parameters.n_members)]
    members = tuple(_change(inputs, rows, start, acted & kept, parameters, seed=seed)[0] for kept in out)
    nothing_changes = tuple(_shift(rows, act.prognosis, ~acted & kept) for kept in out)
    judged = left_out(rows, members, fold, act=act, sight=sight, delays_s=np.array(delays_s))
    without = dropout_after(act.prognosis, np.array(nothing_changes)[fold])
    return ResponseModel(
        prognosis_text=_prognosis(rows, np.ones(len(fold), np.bool_), parameters, seed),
        member_texts=members,
        nothing_changes=nothing_changes,
        n_inputs=rows.asked.encoded.shape[1],
        sight=sight,
        actions=actions,
        delays_s=delays_s,
        n_rows=int(acted.sum()),
        miss=Miss(
            expected=expected_miss(judged, without[acted], nothing=(without[~acted], rows.dropped_out[~acted], rows.user[~acted])),
            gain=gain_misses(judged),
        ),
        **check(judged)._asdict(),
    )


def left_out(rows: TrialRows, members: tuple[str, ...], fold: IntArray, *, act: Act, sight: Sight, delays_s: FloatArray) -> LeftOut:
    """Rows with an action, each with what the member predicts that has not seen its user."""
    acted = np.flatnonzero(rows.action != NOTHING)
    predicted = np.empty((len(acted), len(delays_s)))
    for member, text in enumerate(members):
        mine = np.flatnonzero(fold[acted] == member)
        predicted[mine] = _predicted(
            RiskModel(text, sight.width), rows.asked.at(which := acted[mine]), _of_rows(act, which), sight, delays_s
        )
    return LeftOut(
        predicted=predicted,
        drawn=np.abs(rows.delay_s[acted][:, None] - delays_s).argmin(axis=1),
        weight=1.0 / rows.delay_propensity[acted],
        prognosis=act.prognosis[acted],
        dropped_out=rows.dropped_out[acted],
        user=rows.user[acted],
        was_open=None if rows.was_open is None else rows.was_open[acted],
    )


def check(judged: LeftOut) -> Checked:
    """Let each fold judge the member that has not seen it.

    The slope is that of the outcome, m - Y, on the predicted advantage of the drawn delay over the mean of those that could have been drawn
    for the row: whom a delay was closed to differs from others by more than chance. The gain is that of the predicted best delay over the
    first, of those as well, by inverse propensity with m as the baseline of both.
    """
    drawn, reduction, kept = judged.drawn, judged.prognosis[:, None] - judged.predicted, judged.prognosis - judged.dropped_out
    advantage = reduction - reduction.mean(axis=1, keepdims=True, where=judged.open)
    slope = _slope(advantage[np.arange(len(drawn)), drawn], kept, judged.weight)
    chosen, first = np.where(judged.open, reduction, -np.inf).argmax(axis=1), judged.open.argmax(axis=1)
    difference = judged.weight * kept * ((drawn == chosen).astype(np.float64) - (drawn == first))
    return Checked(*slope, *_mean_by_user(difference, judged.user))


def _predicted(model: RiskModel, asked: Asked, act: Act, sight: Sight, delays_s: FloatArray) -> FloatArray:
    acts = [replace(act, delay_s=np.full(len(act.action), delay_s)) for delay_s in delays_s]
    changes = np.stack([averaged([model], asked, one, sight)[0] for one in acts], axis=1)
    return dropout_after(act.prognosis[:, None], changes)


def _of_rows(act: Act, which: IntArray) -> Act:
    return Act(action=act.action[which], delay_s=act.delay_s[which], prognosis=act.prognosis[which])


def _slope(x: FloatArray, y: FloatArray, weight: FloatArray) -> tuple[float, float]:
    """Weighted least squares with an intercept: slope and its heteroscedasticity-robust standard error."""
    x = x - np.average(x, weights=weight)
    denominator = float((weight * x**2).sum())
    if denominator <= _LEAST_VARIATION * len(x):
        return 0.0, 1.0  # nothing was predicted to differ, so nothing is shown; finite, as it is logged and written as JSON
    slope = float((weight * x * y).sum()) / denominator
    residual = y - np.average(y, weights=weight) - slope * x
    return slope, float(np.sqrt(((weight * x * residual) ** 2).sum())) / denominator


_LEAST_VARIATION = 1e-12


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
    data = lightgbm.Dataset(rows.asked.encoded[kept], label=rows.dropped_out[kept].astype(np.float64), weight=_weight(rows, kept))
    return str(lightgbm.train(options, data, num_boost_round=parameters.prognosis_rounds).model_to_string())


def _cross_fitted(rows: TrialRows, fold: IntArray, parameters: ResponseParameters, seed: int) -> FloatArray:
    """M of each row from users of other folds, clipped."""
    prognosis = np.empty(len(fold))
    for left_out in np.unique(fold):
        mine = fold == left_out
        model = RiskModel(_prognosis(rows, ~mine, parameters, seed), rows.asked.encoded.shape[1])
        prognosis[mine] = dropout_after(np.array(0.5), model.raw_scores(rows.asked.encoded[mine]))
    return np.clip(prognosis, LEAST_RISK, MOST_RISK)


def _sight(
    rows: TrialRows, act: Act, acted: npt.NDArray[np.bool_], *, attributes: tuple[int, ...], parameters: ResponseParameters, seed: int
) -> Sight:
    """Which optional inputs say more about the effect than shuffled copies of themselves."""
    everything = Sight(columns=attributes, optional=OPTIONAL_INPUTS)
    inputs = slot_rows(rows.asked, act, everything)
    n_core, rng = len(CORE_INPUTS), np.random.default_rng(seed)
    gains = np.zeros((2, everything.width - n_core))
    for _ in range(_SHUFFLES):
        copies = inputs[:, n_core:][rng.permutation(len(inputs))]
        beside = np.concatenate([inputs, copies], axis=1)
        gain = _change(beside, rows, _logit(act.prognosis), acted, parameters, seed=seed)[1]
        gains += gain[n_core:].reshape(2, -1)
    kept = gains[0] > parameters.worth * gains[1]
    n_optional = len(OPTIONAL_INPUTS)
    return Sight(
        columns=tuple(column for column, worth in zip(attributes, kept[n_optional:], strict=True) if worth),
        optional=tuple(name for name, worth in zip(OPTIONAL_INPUTS, kept[:n_optional], strict=True) if worth),
    )


_SHUFFLES = 3


def _weight(rows: TrialRows, kept: npt.NDArray[np.bool_]) -> FloatArray | None:
    return None if rows.weight is None else rows.weight[kept]


def _change(
    inputs: FloatArray,
    rows: TrialRows,
    start: FloatArray,
    kept: npt.NDArray[np.bool_],
    parameters: ResponseParameters,
    *,
    seed: int,
) -> tuple[str, FloatArray]:
    """Learn minus r, what is to be added to the prognosis' logit; and what the splits of each input gained."""
    import lightgbm

    options = parameters.options(seed=seed, n_rows=int(kept.sum()), objective="binary")
    label, weight = rows.dropped_out[kept].astype(np.float64), _weight(rows, kept)
    data = lightgbm.Dataset(inputs[kept], label=label, weight=weight, init_score=start[kept], categorical_feature=[0])
    booster = lightgbm.train(options, data, num_boost_round=parameters.rounds)
    return str(booster.model_to_string()), np.asarray(booster.feature_importance(importance_type="gain"), dtype=np.float64)


def _logit(chance: FloatArray) -> FloatArray:
    return np.asarray(np.log(chance / (1.0 - chance)), dtype=np.float64)


_MOST_SHIFT = 5.0
"""Where everybody or nobody of whom nothing was sent dropped out, the likelihood knows no end."""


def _shift(rows: TrialRows, prognosis: FloatArray, kept: npt.NDArray[np.bool_]) -> float:
    """What is to be added to every logit so that the mean prognosis of these rows is their dropout; 0 without rows."""
    shift, dropped_out = 0.0, rows.dropped_out[kept]
    weight = 1.0 if rows.weight is None else rows.weight[kept]
    for _ in range(20):  # Newton's steps on a convex, one-dimensional likelihood
        if not kept.any():
            break
        expected = dropout_after(prognosis[kept], np.array(shift))
        step = float((weight * (expected - dropped_out)).sum() / (weight * expected * (1.0 - expected)).sum())
        shift = min(max(shift - step, -_MOST_SHIFT), _MOST_SHIFT)
    return shift
