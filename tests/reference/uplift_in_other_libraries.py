"""Run by an interpreter that has EconML or causalml and LightGBM, none of ours: ``python uplift_in_other_libraries.py in.npz out.npz``.

In: X, arm, outcome, propensities by arm, X_new, and the trees' parameters. Out: effects on X_new, as ``<library>_<learner>``, of each
library that imports.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable

import numpy as np


def main(given: str, found: str) -> None:
    data = np.load(given)
    effects = {}
    for library in (with_econml, with_causalml):
        try:
            effects |= library(data)
        except ImportError as exc:
            sys.stdout.write(f"{library.__name__}: {exc}\n")
    np.savez(found, **effects)


def with_econml(data: np.lib.npyio.NpzFile) -> dict[str, np.ndarray]:
    from econml.dr import DRLearner
    from econml.metalearners import TLearner, XLearner
    from sklearn.dummy import DummyClassifier

    outcome, effect = trees(data, "outcome_trees"), trees(data, "effect_trees")
    learners = {
        "T": TLearner(models=outcome()),
        "X": XLearner(models=outcome(), cate_models=effect(), propensity_model=DummyClassifier()),
        "DR": DRLearner(
            model_propensity=DummyClassifier(), model_regression=outcome(), model_final=effect(), cv=3, random_state=0, min_propensity=1e-9
        ),
    }
    effects = {}
    for name, learner in learners.items():
        learner.fit(data["outcome"], data["arm"], X=data["X"])
        effects[f"econml_{name}"] = np.column_stack([learner.effect(data["X_new"], T0=0, T1=t) for t in treatments(data)])
    return effects


def with_causalml(data: np.lib.npyio.NpzFile) -> dict[str, np.ndarray]:
    from causalml.inference.meta import BaseDRRegressor, BaseTRegressor, BaseXRegressor

    outcome, effect = trees(data, "outcome_trees"), trees(data, "effect_trees")
    arm = np.array([f"arm{each}" for each in data["arm"]])
    chances = {
        f"arm{t}": np.full(len(arm), data["propensities"][t] / (data["propensities"][0] + data["propensities"][t]))
        for t in treatments(data)
    }
    outcomes = {"control_outcome_learner": outcome(), "treatment_outcome_learner": outcome(), "control_name": "arm0"}
    learners = {
        "T": (BaseTRegressor(learner=outcome(), control_name="arm0"), {}),
        "X": (BaseXRegressor(**outcomes, control_effect_learner=effect(), treatment_effect_learner=effect()), {"p": chances}),
        "DR": (BaseDRRegressor(**outcomes, treatment_effect_learner=effect()), {"p": chances}),
    }
    effects = {}
    for name, (learner, known) in learners.items():
        learner.fit(X=data["X"], treatment=arm, y=data["outcome"], **known)
        new = {"p": {key: np.full(len(data["X_new"]), value[0]) for key, value in chances.items()}} if name == "X" else {}
        effects[f"causalml_{name}"] = np.asarray(learner.predict(X=data["X_new"], **new))
    return effects


def treatments(data: np.lib.npyio.NpzFile) -> list[int]:
    return list(range(1, len(data["propensities"])))


def trees(data: np.lib.npyio.NpzFile, role: str) -> Callable[[], object]:
    """The same trees as ours, parameter by parameter."""
    from lightgbm import LGBMRegressor

    rounds, min_data_in_leaf = (int(value) for value in data[role])
    return lambda: LGBMRegressor(
        n_estimators=rounds, min_child_samples=min_data_in_leaf, learning_rate=0.05, num_leaves=7, max_depth=4, reg_lambda=10.0,
        colsample_bytree=0.8, n_jobs=1, deterministic=True, force_col_wise=True, random_state=0, verbosity=-1,
    )  # fmt: skip


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1], sys.argv[2])
