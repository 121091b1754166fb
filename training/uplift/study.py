"""From an experiment to a chosen policy and what it is worth: fit and choose on earlier parts, report on rows that nothing has seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.bounds import require_seed, require_whole
from training.evaluate import Interval
from training.ope.estimators import ESTIMATORS, N_DRAWS, Estimate, Evaluator
from training.uplift.budget import NOBODY, RANDOM, RISK, Choice, always, best_where_positive, budget_table, by_uplift
from training.uplift.experiment import Experiment
from training.uplift.learners import LEARNERS, Learner, Settings, predict_outcomes
from training.uplift.qini import Ranking, measure_ranking

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Report = Callable[[str, float], None]

SHARES = (0.5, 0.25, 0.25)

_LEAST_DRAWS, _MOST_DRAWS = 20, 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What a policy is worth on the test rows."""

    name: str
    estimates: Mapping[str, Estimate]  # by estimator: dr, snips, ips
    gains: Mapping[str, Interval]  # over treating all with the best arm, paired, by estimator
    contacted: float  # share


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Everything a reviewer needs to judge whom to contact and with what."""

    arms: tuple[str, ...]
    rows: Mapping[str, int]  # by part
    best_arm: str  # on average, by train and valid
    choice_table: pd.DataFrame  # value of each candidate on valid
    chosen: str
    worth: tuple[Value, ...]  # on test, the chosen one first
    rankings: Mapping[tuple[str, str], Ranking]  # by learner and treatment, on test
    budgets: pd.DataFrame  # `training.uplift.budget.budget_table` on test
    learners: Mapping[str, Learner]  # fitted on train and valid

    @property
    def gain(self) -> Interval:
        """Value of the chosen policy minus that of treating all with the best arm: DR, paired."""
        return self.worth[0].gains["dr"]


def parts_of(arm: IntArray, *, shares: tuple[float, float, float] = SHARES, seed: int = 0) -> tuple[IntArray, IntArray, IntArray]:
    """Rows of train, valid and test, drawn within each arm.

    Examples
    --------
    >>> [len(rows) for rows in parts_of(np.array([0] * 8 + [1] * 4))]
    [6, 3, 3]
    """
    rng = np.random.default_rng(seed)
    train, valid, test = [], [], []
    for each in np.unique(arm):
        rows = rng.permutation(np.flatnonzero(arm == each))
        first, second = round(shares[0] * len(rows)), round((shares[0] + shares[1]) * len(rows))
        train.append(rows[:first])
        valid.append(rows[first:second])
        test.append(rows[second:])
    joined = [np.sort(np.concatenate(part)).astype(np.int64) for part in (train, valid, test)]
    return joined[0], joined[1], joined[2]


def require_draws(seed: int, n_draws: int) -> None:
    """Nothing, if intervals can be drawn so.

    Raises
    ------
    BadInputError
        If not: a share of 2.5 % on each side needs some samples.
    """
    require_seed(seed)
    require_whole("draws", n_draws, least=_LEAST_DRAWS, most=_MOST_DRAWS, advice=f"{N_DRAWS} is the default")


def study(
    experiment: Experiment, *, settings: Settings | None = None, seed: int = 0, n_draws: int = N_DRAWS, report: Report | None = None
) -> Study:
    """Fit T, X and DR, choose a policy, and say what it is worth.

    The candidates are nobody, everybody with one arm, and for each learner the arm with the greatest effect where one is above 0. The
    one with the highest DR value on valid is chosen; its learner is then fitted on train and valid together. Test is only reported on.

    Parameters
    ----------
    seed
        Draws the parts, the folds and the bootstrap samples.
    report
        Called with (stage, share done).

    Raises
    ------
    BadInputError
        If seed or draws are out of their range.
    """
    require_draws(seed, n_draws)
    say = report or (lambda _stage, _share: None)
    settings = settings or Settings(seed=seed)
    train, valid, test = (experiment.take(rows) for rows in parts_of(experiment.arm, seed=seed))
    say("fitting and choosing", 0.0)
    first = {name: fit(train, settings) for name, fit in LEARNERS.items()}
    say("fitting and choosing", 0.5)
    table = _choice_table(first, train, valid, settings, n_draws)
    chosen = str(table["policy"].to_numpy()[table["value"].to_numpy().argmax()])
    say("fitting and choosing", 1.0)
    say("reporting on test", 0.0)
    known = joined(train, valid)
    learners = {name: fit(known, settings) for name, fit in LEARNERS.items()}
    say("reporting on test", 0.3)
    evaluator = _evaluator(known, test, settings, n_draws)
    best = best_arm(known)
    worth = _values(learners, test, evaluator, best, chosen)
    say("reporting on test", 0.6)
    studied = Study(
        arms=experiment.arms,
        rows={"train": train.n_rows, "valid": valid.n_rows, "test": test.n_rows},
        best_arm=experiment.arms[best],
        choice_table=table,
        chosen=chosen,
        worth=worth,
        rankings=_rankings(learners, test, seed=seed),
        budgets=budget_table(choices_of(learners, test, best), test, evaluator),
        learners=learners,
    )
    say("reporting on test", 1.0)
    return studied


def joined(first: Experiment, second: Experiment) -> Experiment:
    """Rows of both."""
    return Experiment(
        covariates=pd.concat([first.covariates, second.covariates], ignore_index=True),
        arms=first.arms,
        arm=np.concatenate([first.arm, second.arm]),
        outcome=np.concatenate([first.outcome, second.outcome]),
        propensity=np.concatenate([first.propensity, second.propensity]),
    )


def best_arm(experiment: Experiment) -> int:
    """Index of the treatment with the highest mean outcome, weighted by 1 / propensity within the arm."""
    means = [
        float(np.average(experiment.outcome[experiment.arm == arm], weights=1 / experiment.propensity[experiment.arm == arm]))
        for arm in range(1, len(experiment.arms))
    ]
    return 1 + int(np.argmax(means))


def everybody(arm: str) -> str:
    """Name of the policy that gives everybody one arm."""
    return f"all {arm}"


def policies_of(learners: Mapping[str, Learner], on: Experiment) -> dict[str, FloatArray]:
    """Candidate policies by name, each of shape (n_rows, n_arms), for the rows of ``on``."""
    n_arms = len(on.arms)
    policies = {NOBODY: always(on.n_rows, 0, n_arms)}
    policies |= {everybody(arm): always(on.n_rows, code, n_arms) for code, arm in enumerate(on.arms) if code}
    return policies | {f"uplift {name}": best_where_positive(learner.effects(on.covariates)) for name, learner in learners.items()}


def choices_of(learners: Mapping[str, Learner], on: Experiment, best: int) -> dict[str, Choice]:
    """Rankings at equal budget: random and by risk with the best arm on average, by uplift with the best arm of each row.

    Risk is the least outcome to be expected without any contact, by the model of the control arm.
    """
    one_arm = np.full(on.n_rows, best, dtype=np.int64)
    risk = -next(iter(learners.values())).untreated_outcome(on.covariates)
    choices = {
        RANDOM: Choice(priority=np.zeros(on.n_rows), arm=one_arm),
        RISK: Choice(priority=risk, arm=one_arm),
    }
    return choices | {f"uplift-ranked {name}": by_uplift(learner.effects(on.covariates)) for name, learner in learners.items()}


def _evaluator(fitted_on: Experiment, on: Experiment, settings: Settings, n_draws: int) -> Evaluator:
    """On rows that the reward model has not seen at all."""
    return Evaluator(log=on.log(), rewards=predict_outcomes(fitted_on, on.covariates, settings), n_draws=n_draws, seed=settings.seed)


def _choice_table(learners: Mapping[str, Learner], train: Experiment, valid: Experiment, settings: Settings, n_draws: int) -> pd.DataFrame:
    evaluator = _evaluator(train, valid, settings, n_draws)
    estimates = {name: evaluator.dr(policy).interval for name, policy in policies_of(learners, valid).items()}
    return pd.DataFrame([{"policy": name, "value": each.value, "low": each.low, "high": each.high} for name, each in estimates.items()])


def _values(learners: Mapping[str, Learner], test: Experiment, evaluator: Evaluator, best: int, chosen: str) -> tuple[Value, ...]:
    policies = policies_of(learners, test)
    reference = policies[everybody(test.arms[best])]
    names = [chosen, *(name for name in policies if name != chosen)]
    return tuple(
        Value(
            name=name,
            estimates={each: evaluator.estimate(policies[name], each) for each in ESTIMATORS},
            gains={each: evaluator.difference(policies[name], reference, estimator=each) for each in ESTIMATORS},
            contacted=float(1 - policies[name][:, 0].mean()),
        )
        for name in names
    )


def _rankings(learners: Mapping[str, Learner], test: Experiment, *, seed: int) -> dict[tuple[str, str], Ranking]:
    return {
        (name, treatment): measure_ranking(learner.effects(test.covariates)[:, place], test, treatment, seed=seed)
        for name, learner in learners.items()
        for place, treatment in enumerate(test.treatments)
    }
