"""Randomised experiments whose effects are known, row by row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.uplift.experiment import Experiment

FloatArray = npt.NDArray[np.float64]

SHARES = (0.5, 0.3, 0.2)  # of control, mail, call: unequal on purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    experiment: Experiment
    effects: FloatArray  # true E[Y(treatment) - Y(control)] of each row, (n_rows, 2)
    means: FloatArray  # true E[Y(arm)] of each row, (n_rows, 3)


def planted(n_rows: int, *, seed: int, binary: bool = False, missing: bool = True) -> Planted:
    """The mail helps where x0 > 0 and hurts a little elsewhere; the call helps where the city is Rome; both beside a strong main effect."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_rows, 3))
    city = rng.choice(["Rome", "Oslo", "Bern"], size=n_rows)
    effects = np.column_stack([np.where(x[:, 0] > 0, 0.3, -0.1), np.where(city == "Rome", 0.4, 0.0)])
    base = 0.3 + 0.1 * np.tanh(x[:, 1])
    means = np.column_stack([base, base[:, None] + effects])
    arm = rng.choice(3, size=n_rows, p=SHARES)
    own = means[np.arange(n_rows), arm]
    outcome = (rng.uniform(size=n_rows) < own).astype(float) if binary else own + rng.normal(scale=0.5, size=n_rows)
    covariates = pd.DataFrame(x, columns=["x0", "x1", "x2"]).assign(city=city)
    if missing:
        covariates.loc[rng.uniform(size=n_rows) < 0.2, "x2"] = np.nan
    experiment = Experiment(
        covariates=covariates, arms=("none", "mail", "call"), arm=arm.astype(np.int64), outcome=outcome, propensity=np.take(SHARES, arm)
    )
    return Planted(experiment=experiment, effects=effects, means=means)
