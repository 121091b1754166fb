"""Policies over the arms, and what contacting a given share of people gains by different rankings: nobody, random, risk, uplift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.evaluate import Interval
from training.ope.estimators import Evaluator
from training.uplift.experiment import Experiment

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BUDGETS = tuple(round(0.1 * tenth, 1) for tenth in range(1, 11))
NOBODY, RANDOM, RISK = "nobody", "random", "risk-ranked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Whom a ranking contacts first, and with which arm each person would be contacted."""

    priority: FloatArray  # highest first, shape (n_rows,)
    arm: IntArray  # index of a treatment among the experiment's arms, shape (n_rows,)


def always(n_rows: int, arm: int, n_arms: int) -> FloatArray:
    """The policy that gives everybody one arm, shape (n_rows, n_arms).

    Examples
    --------
    >>> always(2, 1, 3).tolist()
    [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
    """
    return np.tile(np.eye(n_arms)[arm], (n_rows, 1))


def by_uplift(effects: FloatArray) -> Choice:
    """The treatment with the greatest effect, those first who gain most; ``effects`` of shape (n_rows, n_treatments)."""
    return Choice(priority=effects.max(axis=1), arm=1 + effects.argmax(axis=1).astype(np.int64))


def best_where_positive(effects: FloatArray) -> FloatArray:
    """Give each row the treatment with the greatest effect, and nothing where no effect is above 0; shape (n_rows, n_arms).

    Examples
    --------
    >>> best_where_positive(np.array([[0.1, 0.2], [-0.1, -0.2]])).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    with_nothing = np.column_stack([np.zeros(len(effects)), effects])
    return np.asarray(np.eye(with_nothing.shape[1])[with_nothing.argmax(axis=1)], dtype=np.float64)


def at_budget(choice: Choice, share: float, n_arms: int) -> FloatArray:
    """Contact exactly this share of the rows, highest priority first; equal priorities at the edge share what is left.

    Parameters
    ----------
    share
        Of all rows, 0 to 1.

    Examples
    --------
    >>> at_budget(Choice(priority=np.array([2.0, 1.0, 1.0]), arm=np.array([1, 1, 1])), 2 / 3, 2)[:, 1].tolist()
    [1.0, 0.5, 0.5]
    """
    contacted = contacted_share(choice.priority, share)
    policy = np.zeros((len(contacted), n_arms))
    policy[np.arange(len(contacted)), choice.arm] = contacted
    policy[:, 0] = 1 - contacted
    return policy


def contacted_share(priority: FloatArray, share: float) -> FloatArray:
    """P(contact) of each row when a share of all rows is contacted by priority, shape (n_rows,)."""
    levels, level, sizes = np.unique(-priority, return_inverse=True, return_counts=True)
    before = np.cumsum(sizes) - sizes
    part = np.clip((share * len(priority) - before) / sizes, 0.0, 1.0)
    return np.asarray(part[level.reshape(-1)] if len(levels) else np.zeros(0), dtype=np.float64)


def budget_table(
    choices: Mapping[str, Choice], experiment: Experiment, evaluator: Evaluator, *, budgets: Sequence[float] = BUDGETS
) -> pd.DataFrame:
    """Gain of each ranking over contacting nobody, and over contacting as many at random, at equal budget.

    Parameters
    ----------
    choices
        Rankings by name; ``"random"`` is what the gain over random is measured against and must be among them.
    evaluator
        On the same rows, with rewards for DR.

    Returns
    -------
    DataFrame
        One row per budget and ranking: contacted share, ranking, gain over nobody and over random (DR, paired, units of the outcome per
        person of the whole population) with bounds.
    """
    n_arms = len(experiment.arms)
    nobody = always(experiment.n_rows, 0, n_arms)
    keys = [(budget, name) for budget in budgets for name in choices]
    policies = {(budget, name): at_budget(choices[name], budget, n_arms) for budget, name in keys}
    over_nobody = evaluator.differences([(policies[key], nobody) for key in keys])
    over_random = evaluator.differences([(policies[key], policies[key[0], RANDOM]) for key in keys])
    return pd.DataFrame(
        {"contacted": budget, "ranking": name} | _columns("gain over nobody", first) | _columns("gain over random", second)
        for (budget, name), first, second in zip(keys, over_nobody, over_random, strict=True)
    )


def _columns(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.value, f"{name} low": interval.low, f"{name} high": interval.high}
