"""``tune``: search LightGBM's parameters; `train` takes what was found."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from features.declarations.product_file import load_product
from features.home import Home
from training.commands.clock import look_now
from training.commands.options import DEFAULT_LOG, Log
from training.commands.progress import progress_report
from training.fit import FitParameters
from training.parameters_file import read_parameters
from training.tune import Search, Tuned
from training.tuning_run import TuningOutcome, tune_product

_SHOWN = 8
_COLUMNS = ("number", "state", "log_loss", "rounds", "max_depth", "num_leaves", "learning_rate", "min_data_in_leaf", "lambda_l2")


def tune(
    *,
    trials: int = 30,
    timeout_s: float = 600.0,
    parameters: str = "",
    log: Log = DEFAULT_LOG,
) -> None:
    """Search LightGBM's parameters on an imported log, inside the rows that trees are grown on; write what was found to a file.

    The calibration and the test slice are not looked at. What is found counts only if it is better than the defaults by more than one
    standard error. Go on with `train --parameters <home>/tuned-<product>.json`.

    Parameters
    ----------
    trials
        Most sets of parameters to try; those that look worse than the median are given up early.
    timeout_s
        Most seconds for all of them; where it runs out, the same seed may find something else.
    parameters
        A file of parameters, as this command writes it, that the search begins with and must beat; empty: the defaults.
    """
    declared = load_product(log.product)
    with progress_report() as report:
        base = read_parameters(Path(parameters)) if parameters else FitParameters()
        search = Search(base=base, n_trials=trials, timeout_s=timeout_s, seed=log.seed, report=report)
        outcome = tune_product(
            declared, Home(log.home), search, labels=log.labels or None, look=look_now(log.stale_after_days, log.product)
        )
    _print(outcome)


def _print(outcome: TuningOutcome) -> None:
    console, tuned = Console(), outcome.tuned
    console.print(_table(tuned))
    better = tuned.parameters != tuned.trials[0].parameters
    said = "found better parameters" if better else "nothing better than the parameters that the search began with"
    console.print(f"[bold]{said}[/]: log loss {tuned.log_loss:.4f}, began with {tuned.base_log_loss:.4f}", highlight=False)
    console.print(f"  written to {outcome.path}; go on with: train --parameters {outcome.path}", highlight=False, soft_wrap=True)
    console.print(f"  MLflow run {outcome.run_id} in {outcome.tracking_uri}; look with: mlflow ui", highlight=False, soft_wrap=True)


def _table(tuned: Tuned) -> Table:
    best = tuned.table.head(_SHOWN)
    table = Table(title=f"the best of {len(tuned.trials)} trials", title_justify="left")
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name == "state" else "right")
    for values in best[list(_COLUMNS)].itertuples(index=False):
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in values))
    return table
