"""T-, X- and DR-learners for several treatments against one control, propensities given.

Each returns effects E[Y(treatment) - Y(control) | covariates] in units of the outcome (a 0.05 is five percentage points of a 0/1 outcome).
Propensities are the experiment's own; none is estimated. Missing covariates stay missing: the trees treat them as a value of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.ope.trees import TreeParameters, Trees, folds_of, grow_trees
from training.uplift.columns import Columns, learn_columns
from training.uplift.experiment import Experiment

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

CONTROL = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the learners are fitted."""

    outcome: TreeParameters = field(default_factory=lambda: TreeParameters(rounds=80))
    effect: TreeParameters = field(default_factory=lambda: TreeParameters(rounds=60, min_data_in_leaf=200))
    n_folds: int = 3
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Learner:
    """A fitted learner: effects of every treatment, and the outcome to expect without any."""

    name: str
    treatments: tuple[str, ...]
    columns: Columns
    untreated: Trees
    effect_of: Callable[[FloatArray], FloatArray]

    def effects(self, covariates: pd.DataFrame) -> FloatArray:
        """Effect of each treatment on each row, shape (n_rows, n_treatments)."""
        return self.effect_of(self.columns.encode(covariates))

    def untreated_outcome(self, covariates: pd.DataFrame) -> FloatArray:
        """E[Y(control) | covariates], shape (n_rows,): what risk ranks by."""
        return self.untreated.predict(self.columns.encode(covariates))


def fit_t(experiment: Experiment, settings: Settings | None = None) -> Learner:
    """T-learner: one outcome model per arm; an effect is the difference of two.

    References
    ----------
    Kuenzel, Sekhon, Bickel, Yu (2019), Metalearners, PNAS 116(10), doi:10.1073/pnas.1804597116.
    """
    settings = settings or Settings()
    columns, X = _encoded(experiment)
    models = _outcome_models(experiment, X, columns, settings)
    return _learner("T", experiment, columns, models[CONTROL], lambda rows: _differences(models, rows))


def fit_x(experiment: Experiment, settings: Settings | None = None) -> Learner:
    """X-learner: each arm's rows get the effect that the other arm's model imputes; two regressions, weighted by the design.

    tau(x) = g tau_0(x) + (1 - g) tau_1(x), with g the mean of P(treatment) / (P(treatment) + P(control)) by design. An imputed effect
    uses the model of the other arm only, so no row meets a model that saw it.

    References
    ----------
    Kuenzel, Sekhon, Bickel, Yu (2019), Metalearners, PNAS 116(10), doi:10.1073/pnas.1804597116.
    """
    settings = settings or Settings()
    columns, X = _encoded(experiment)
    outcome_models = _outcome_models(experiment, X, columns, settings)
    pairs = [
        _imputed(experiment, X, outcome_models, treatment, columns=columns, settings=settings)
        for treatment in range(1, len(experiment.arms))
    ]

    def effects(rows: FloatArray) -> FloatArray:
        return np.column_stack(
            [g * from_control.predict(rows) + (1 - g) * from_treated.predict(rows) for from_control, from_treated, g in pairs]
        )

    return _learner("X", experiment, columns, outcome_models[CONTROL], effects)


def fit_dr(experiment: Experiment, settings: Settings | None = None) -> Learner:
    """DR-learner: regress the doubly robust pseudo-outcome, cross-fitted, on the covariates.

    phi = mu_a(x) - mu_0(x) + 1[A = a] (Y - mu_a(x)) / P(a) - 1[A = 0] (Y - mu_0(x)) / P(0), its mean given x is the effect whatever mu is.

    References
    ----------
    Kennedy (2023), Towards optimal doubly robust estimation of heterogeneous causal effects, EJS 17(2), doi:10.1214/23-EJS2157.
    """
    settings = settings or Settings()
    columns, X = _encoded(experiment)
    pseudo = doubly_robust_effects(experiment, cross_fitted_outcomes(experiment, settings))
    models = [grow_trees(X, each, parameters=settings.effect, seed=settings.seed, categorical=columns.categorical) for each in pseudo.T]
    untreated = _outcome_models(experiment, X, columns, settings)[CONTROL]
    return _learner("DR", experiment, columns, untreated, lambda rows: np.column_stack([model.predict(rows) for model in models]))


LEARNERS: Mapping[str, Callable[[Experiment, Settings | None], Learner]] = {"T": fit_t, "X": fit_x, "DR": fit_dr}


def cross_fitted_outcomes(experiment: Experiment, settings: Settings | None = None) -> FloatArray:
    """E[Y(arm) | covariates] of each row and arm, shape (n_rows, n_arms), by models that did not see the row."""
    settings = settings or Settings()
    columns, X = _encoded(experiment)
    folds = folds_by_arm(experiment.arm, n_folds=settings.n_folds, seed=settings.seed)
    outcomes = np.zeros((experiment.n_rows, len(experiment.arms)))
    for fold in range(settings.n_folds):
        seen, held = folds != fold, folds == fold
        models = _outcome_models(experiment.take(seen), X[seen], columns, settings)
        outcomes[held] = np.column_stack([model.predict(X[held]) for model in models])
    return outcomes


def predict_outcomes(fitted_on: Experiment, covariates: pd.DataFrame, settings: Settings | None = None) -> FloatArray:
    """E[Y(arm) | covariates] of other rows, shape (n_rows, n_arms), by one model per arm of ``fitted_on``."""
    columns, X = _encoded(fitted_on)
    rows = columns.encode(covariates)
    return np.column_stack([model.predict(rows) for model in _outcome_models(fitted_on, X, columns, settings or Settings())])


def doubly_robust_effects(experiment: Experiment, outcomes: FloatArray) -> FloatArray:
    """Doubly robust pseudo-outcome of each row and treatment, shape (n_rows, n_treatments); its mean is the average effect.

    Parameters
    ----------
    outcomes
        From `cross_fitted_outcomes`, shape (n_rows, n_arms).
    """
    taken = np.arange(len(experiment.arms)) == experiment.arm[:, None]
    corrected = outcomes + taken * ((experiment.outcome[:, None] - outcomes) / experiment.propensity[:, None])
    return np.asarray(corrected[:, 1:] - corrected[:, :1], dtype=np.float64)


def folds_by_arm(arm: IntArray, *, n_folds: int, seed: int) -> IntArray:
    """Fold of each row; every fold has each arm in proportion."""
    folds = np.zeros(len(arm), dtype=np.int64)
    for each in np.unique(arm):
        rows = np.flatnonzero(arm == each)
        folds[rows] = folds_of(rows, n_folds=n_folds, seed=seed + int(each))
    return folds


def _encoded(experiment: Experiment) -> tuple[Columns, FloatArray]:
    columns = learn_columns(experiment.covariates)
    return columns, columns.encode(experiment.covariates)


def _outcome_models(experiment: Experiment, X: FloatArray, columns: Columns, settings: Settings) -> list[Trees]:
    rows_by_arm = [np.flatnonzero(experiment.arm == arm) for arm in range(len(experiment.arms))]
    return [
        grow_trees(X[rows], experiment.outcome[rows], parameters=settings.outcome, seed=settings.seed, categorical=columns.categorical)
        for rows in rows_by_arm
    ]


def _differences(models: list[Trees], rows: FloatArray) -> FloatArray:
    untreated = models[CONTROL].predict(rows)
    return np.column_stack([model.predict(rows) - untreated for model in models[1:]])


def _imputed(
    experiment: Experiment, X: FloatArray, models: list[Trees], treatment: int, *, columns: Columns, settings: Settings
) -> tuple[Trees, Trees, float]:
    """The two effect models of one treatment, from the control's rows and from the treated, and the weight of the first."""
    controls, treated = np.flatnonzero(experiment.arm == CONTROL), np.flatnonzero(experiment.arm == treatment)
    of_controls = models[treatment].predict(X[controls]) - experiment.outcome[controls]
    of_treated = experiment.outcome[treated] - models[CONTROL].predict(X[treated])
    from_control, from_treated = (
        grow_trees(X[rows], imputed, parameters=settings.effect, seed=settings.seed, categorical=columns.categorical)
        for rows, imputed in ((controls, of_controls), (treated, of_treated))
    )
    shares = experiment.propensity[treated].mean(), experiment.propensity[controls].mean()
    return from_control, from_treated, float(shares[0] / (shares[0] + shares[1]))


def _learner(
    name: str, experiment: Experiment, columns: Columns, untreated: Trees, effect_of: Callable[[FloatArray], FloatArray]
) -> Learner:
    return Learner(name=name, treatments=experiment.treatments, columns=columns, untreated=untreated, effect_of=effect_of)
