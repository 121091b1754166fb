"""``uplift``: from a randomised experiment to whom to contact with what, and what that is worth."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from training.commands.progress import progress_report
from training.uplift.record import study_file, verdict
from training.uplift.study import Study


def uplift(  # noqa: PLR0913 - one for each parameter in MLproject
    file: Path,
    *,
    outcome: str,
    arm: str,
    control: str,
    propensity: str,
    covariates: str = "",
    seed: int = 0,
    draws: int = 1000,
) -> None:
    """Learn the effects of actions from a randomised experiment, choose a policy and report it in an MLflow run.

    Parameters
    ----------
    file
        The experiment: .parquet, .csv or .csv.gz, one row for each person and decision.
    outcome
        Column of the outcome, higher is better: 0/1 or a number.
    arm
        Column of what was done.
    control
        Value of that column that means nothing was done.
    propensity
        Column of P(the row's own arm), as it was when the arm was drawn; it is never estimated.
    covariates
        Columns known before the arm was drawn, separated by commas; empty: every other column.
    seed
        Draws the parts, the folds and the bootstrap samples.
    draws
        Bootstrap samples behind each interval.
    """
    names = [name.strip() for name in covariates.split(",") if name.strip()]
    roles = {"outcome": outcome, "arm": arm, "control": control, "propensity": propensity, "covariates": names}
    with progress_report() as report:
        studied, run_id = study_file(file, roles, seed=seed, n_draws=draws, report=report)
    _print(studied, run_id)


def _print(studied: Study, run_id: str) -> None:
    console = Console()
    console.print(Markdown(verdict(studied)))
    worth = Table(
        "policy", "contacted", "value on test (DR, 95 %)", f"gain over all {studied.best_arm}", title="Policies", title_justify="left"
    )
    for value in studied.worth:
        worth.add_row(value.name, f"{value.contacted:.0%}", str(value.estimates["dr"].interval), str(value.gains["dr"]))
    console.print(worth)
    gains = studied.budgets.pivot_table(index="contacted", columns="ranking", values="gain over nobody", sort=False)
    budgets = Table(
        "contacted", *(str(name) for name in gains.columns), title="Gain over nobody at equal budget (DR)", title_justify="left"
    )
    for budget, row in gains.iterrows():
        budgets.add_row(f"{budget:.0%}", *(f"{gain:.4f}" for gain in row))
    console.print(budgets)
    console.print(f"plots and tables: MLflow run {run_id}; look with: mlflow ui", highlight=False, soft_wrap=True)
