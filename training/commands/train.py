"""``train``: from a raw log to a registered version."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from features.core.product import Product
from features.declarations.product_file import load_product
from features.home import Home
from training.commands.comparison import print_review, print_verdict
from training.commands.options import DEFAULT_LOG, Log
from training.commands.progress import progress_report
from training.fit import FitParameters
from training.parameters_file import read_parameters
from training.run import Options, Outcome, train_product
from training.standing import Promotion


def train(
    *,
    max_rounds: int = 300,
    max_depth: int = 5,
    parameters: str = "",
    tune_trials: int = 0,
    promote: Promotion = "auto",
    log: Log = DEFAULT_LOG,
) -> None:
    """Train a model from an imported log, register it in MLflow, and make it champion if it may be.

    It becomes champion if there is none or if it is better than the champion on the same rows (see promote), else challenger.

    Parameters
    ----------
    max_rounds
        Most trees; early stopping usually ends sooner.
    max_depth
        Deepest tree; deeper trees make explanations slower.
    parameters
        A file of LightGBM's parameters, as tune writes it; max_rounds and max_depth then come from there.
    tune_trials
        Search parameters first, with so many trials and at most ten minutes; 0: do not.
    promote
        auto: champion if there is none or it is better; never: challenger in any case; always: champion in any case.
    """
    declared: Product = load_product(log.product)
    fit = read_parameters(Path(parameters)) if parameters else FitParameters(max_rounds=max_rounds, max_depth=max_depth)
    options = Options(fit=fit, labels=log.labels or None, tune_trials=tune_trials, promote=promote)
    with progress_report() as report:
        outcome = train_product(declared, Home(log.home), product_dir=log.product, seed=log.seed, options=options, report=report)
    _print_outcome(outcome)


def _print_outcome(outcome: Outcome) -> None:
    console, standing = Console(), outcome.standing
    name, version = outcome.registration.name, outcome.registration.version
    console.print(f"[bold]{name}[/] version {version} is now {standing.alias}: {standing.because}", highlight=False, soft_wrap=True)
    print_review(console, outcome.trained.review)
    if standing.verdict is not None:
        print_verdict(console, standing.verdict)
    console.print(f"  MLflow run {outcome.run_id} in {outcome.tracking_uri}; look with: mlflow ui", highlight=False, soft_wrap=True)
