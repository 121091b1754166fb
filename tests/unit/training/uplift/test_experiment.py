"""A table that is no randomised experiment is refused, in one sentence that says what to do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from training.uplift.experiment import ExperimentError, experiment_of

ROLES = {"outcome": "stayed", "arm": "sent", "control": "nothing", "propensity": "p"}


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    sent = np.tile(["nothing", "mail", "call"], 200)
    return pd.DataFrame(
        {
            "sent": sent,
            "p": 1 / 3,
            "stayed": rng.integers(0, 2, 600),
            "age_days": rng.integers(1, 90, 600),
            "device": np.tile(["ios", "web"], 300),
        }
    )


def test_the_control_comes_first() -> None:
    experiment = experiment_of(table(), **ROLES)
    assert experiment.arms == ("nothing", "call", "mail")
    assert list(experiment.covariates.columns) == ["age_days", "device"]
    assert experiment.binary


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="p"), r"\['p'\] are missing.*never estimated"),
        (lambda t: t.assign(p=np.where(t.index == 7, np.nan, t.p)), r"propensity column 'p': 1 rows \(first \[7\]\)"),
        (lambda t: t.assign(p=np.where(t.index == 7, 0.0, t.p)), r"1 rows are not in \(0, 1\], the first \[7\]"),
        (lambda t: t.assign(sent="nothing"), "one arm only"),
        (lambda t: t[t.sent != "nothing"], "no row has the control 'nothing'"),
        (lambda t: t.assign(sent=t.sent.where(t.index != 3)), r"arm column 'sent' is empty in rows \[3\]"),
        (lambda t: t.assign(stayed=t.stayed.astype(object).where(t.index != 5, "maybe")), r"outcome column 'stayed'.*\['maybe'\]"),
        (lambda t: t.assign(stayed=t.stayed.where(t.index != 5)), r"outcome column 'stayed'.*rows \(first \[5\]\)"),
        (lambda t: t.head(200), r"too few rows in arms .*at least 100"),
        (lambda t: t[["sent", "p", "stayed"]], "no covariates"),
        (lambda t: t.assign(p=0.2), r"arm 'nothing', weighted by 1 / propensity, stand for 1.67 times"),
    ],
)
def test_bad_tables_are_refused(change, message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        experiment_of(change(table()), **ROLES)


def test_an_outcome_is_no_covariate() -> None:
    with pytest.raises(ExperimentError, match=r"\['stayed'\] are both a covariate and"):
        experiment_of(table(), **ROLES, covariates=["age_days", "stayed"])
