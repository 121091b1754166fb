"""T, X and DR beside EconML's and causalml's, on the same rows with the same trees.

The libraries live in an environment of their own (make setup-uplift-reference), so that their pins do not meet ours. T and X are defined
to the last number, so they must be equal; DR's folds are drawn differently, so its effects must agree within their intervals.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.uplift.planted_experiment import planted
from training.uplift.columns import learn_columns
from training.uplift.learners import LEARNERS, Settings, cross_fitted_outcomes, doubly_robust_effects

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(os.environ.get("STILLHERE_REFERENCE_PYTHON", ROOT / ".venv-reference" / "bin" / "python"))
SCRIPT = Path(__file__).with_name("uplift_in_other_libraries.py")
SETTINGS = Settings()
N_GROUPS = 5


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    if not PYTHON.is_file():
        pytest.skip(f"no reference environment at {PYTHON}; make setup-uplift-reference, or set STILLHERE_REFERENCE_PYTHON")
    folder = tmp_path_factory.mktemp("reference")
    fitted, new = rows(6000, 1), rows(4000, 2)
    columns = learn_columns(fitted.covariates)
    np.savez(
        folder / "in.npz",
        X=columns.encode(fitted.covariates),
        arm=fitted.arm,
        outcome=fitted.outcome,
        propensities=np.bincount(fitted.arm) / fitted.n_rows,
        X_new=columns.encode(new.covariates),
        outcome_trees=[SETTINGS.outcome.rounds, SETTINGS.outcome.min_data_in_leaf],
        effect_trees=[SETTINGS.effect.rounds, SETTINGS.effect.min_data_in_leaf],
    )
    done = subprocess.run([PYTHON, SCRIPT, folder / "in.npz", folder / "out.npz"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(np.load(folder / "out.npz"))


def rows(n_rows: int, seed: int):
    """What all libraries take: amounts as outcomes, complete numbers as covariates, and as propensities the shares that were observed."""
    experiment = planted(n_rows, seed=seed, missing=False).experiment
    numbers = experiment.covariates.assign(city=(experiment.covariates["city"] == "Rome").astype(float))
    observed = np.bincount(experiment.arm) / n_rows
    return replace(experiment, covariates=numbers, propensity=observed[experiment.arm])


def of(reference: dict[str, np.ndarray], library: str, name: str) -> np.ndarray:
    if f"{library}_{name}" not in reference:
        pytest.skip(f"{library} is not importable by {PYTHON}; make setup-uplift-reference")
    return reference[f"{library}_{name}"]


@pytest.mark.parametrize("library", ["econml", "causalml"])
@pytest.mark.parametrize("name", ["T", "X"])
def test_what_is_defined_to_the_last_number_is_equal(reference, library: str, name: str) -> None:
    theirs = of(reference, library, name)
    ours = LEARNERS[name](rows(6000, 1), SETTINGS).effects(rows(4000, 2).covariates)
    assert ours == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("library", ["econml", "causalml"])
@pytest.mark.parametrize("name", list(LEARNERS))
def test_group_effects_agree_within_their_intervals(reference, library: str, name: str) -> None:
    """Fifths of new people by the other library's effect: our mean effect is within the interval of what randomisation says there."""
    theirs, new = of(reference, library, name), rows(4000, 2)
    ours = LEARNERS[name](rows(6000, 1), SETTINGS).effects(new.covariates)
    scores = doubly_robust_effects(new, cross_fitted_outcomes(new))
    for treatment in range(theirs.shape[1]):
        for group in np.array_split(np.argsort(theirs[:, treatment]), N_GROUPS):
            half_width = 1.96 * scores[group, treatment].std() / np.sqrt(len(group))
            assert abs(ours[group, treatment].mean() - theirs[group, treatment].mean()) < half_width
        assert np.corrcoef(ours[:, treatment], theirs[:, treatment])[0, 1] > 0.9
