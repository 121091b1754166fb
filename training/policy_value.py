"""What another policy would have been worth: the share of users who stay, estimated from past decisions in which chance took part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.backfill.columns import RawColumns
from features.core.product import Product
from training.evaluate import Interval
from training.frame import OUTCOME
from training.ope.estimators import Evaluator
from training.ope.log import DecisionLog, unsupported_rows
from training.thresholds.decisions import Decided, with_outcomes

FloatArray = npt.NDArray[np.float64]

MIN_ROWS = 100
"""Fewest decisions with a known outcome that a value is estimated from."""


_NO_CHANCE = (
    "the policies that decided left nothing to chance (exploration.arm_share), so that nobody can say what would have become of a user who"
    " had been treated otherwise; let them explore"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyValue:
    """Shares of users who stay, with 95 % intervals over users; None where nothing can be estimated, and why."""

    rows: int  # decisions with a known outcome that chance could have decided as the other policy would
    unsupported: int  # decisions in which the other policy does what the logging one could not have done: they say nothing
    left_out: dict[str, int]  # decisions without a known outcome, by reason
    logged: Interval | None = None  # under the policies that decided
    other: Interval | None = None  # SNIPS
    gain: Interval | None = None  # paired
    effective_rows: float = 0.0
    why_not: str = ""


def policy_value(decisions: pd.DataFrame, raw: RawColumns, product: Product, *, seed: int = 0) -> PolicyValue:
    """Value another policy on the decisions that were made.

    Parameters
    ----------
    decisions
        One row a decision: ``user_id``, ``as_of`` (UTC), ``arm`` that was taken, and the chances that either policy gave it and whatever
        else could have been done, dicts by name, ``logged`` and ``other``. An arm at another moment is something else.
    raw
        The raw log, for outcomes: a user stays who shows any activity within the product's horizon.

    References
    ----------
    Swaminathan, Joachims (2015), The self-normalized estimator for counterfactual learning, NeurIPS 28.
    """
    if not any(0.0 < chance < 1.0 for chances in decisions["logged"] for chance in chances.values()):
        return PolicyValue(rows=0, unsupported=_impossible(decisions), left_out={}, why_not=_NO_CHANCE)
    decided = with_outcomes(Decided(rows=decisions.reset_index(drop=True), left_out={}), raw, product)
    rows = decided.rows
    arms = sorted({arm for chances in (*rows["logged"], *rows["other"]) for arm in chances})
    if len(rows) < MIN_ROWS:
        return PolicyValue(rows=len(rows), unsupported=0, left_out=decided.left_out, why_not=_too_few(len(rows)))
    logged, other = (_matrix(rows[name], arms) for name in ("logged", "other"))
    action = np.array([arms.index(arm) for arm in rows["arm"]])
    log = _log(rows, action, logged)
    bad = unsupported_rows(other, log)
    kept = np.setdiff1d(np.arange(len(rows)), bad)
    if len(kept) < MIN_ROWS:
        return PolicyValue(rows=len(kept), unsupported=len(bad), left_out=decided.left_out, why_not=_too_few(len(kept), len(bad)))
    evaluator = Evaluator(log=_log(rows.iloc[kept], action[kept], logged[kept]), seed=seed)
    estimate = evaluator.snips(other[kept])
    return PolicyValue(
        rows=len(kept),
        unsupported=len(bad),
        left_out=decided.left_out,
        logged=evaluator.snips(logged[kept]).interval,
        other=estimate.interval,
        gain=evaluator.difference(other[kept], logged[kept], estimator="snips"),
        effective_rows=estimate.weights.effective_rows,
    )


def _impossible(decisions: pd.DataFrame) -> int:
    """In how many the other policy may do what the one that decided never would."""
    pairs = zip(decisions["logged"], decisions["other"], strict=True)
    return sum(any(chance > 0.0 and not logged.get(arm) for arm, chance in other.items()) for logged, other in pairs)


def _log(rows: pd.DataFrame, action: npt.NDArray[np.int64], logged: FloatArray) -> DecisionLog:
    return DecisionLog(
        action=action,
        reward=1.0 - rows[OUTCOME].to_numpy(dtype=np.float64),
        propensity=logged[np.arange(len(rows)), action],
        n_actions=logged.shape[1],
        propensities=logged,
        groups=rows["user_id"].to_numpy(),
    )


def _matrix(chances: pd.Series, arms: list[str]) -> FloatArray:
    return np.array([[one.get(arm, 0.0) for arm in arms] for one in chances], dtype=np.float64)


def _too_few(rows: int, unsupported: int = 0) -> str:
    why = f"{rows} decisions with a known outcome can be compared, {MIN_ROWS} are needed"
    if not unsupported:
        return why
    could_not = f"in {unsupported} others the policy that decided could not have done what this one does"
    return f"{why}: {could_not}; let it explore (exploration.arm_share, and delay_share for moments)"
