"""``train``: from a raw log to a registered version."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from features.core.product import Product
from features.declarations.product_file import load_product
from features.home import Home
from training.commands.clock import look_now
from training.commands.comparison import print_review, print_verdict
from training.commands.options import DEFAULT_LOG, DEFAULT_TREES, DEFAULT_TUNING, Log, Trees, Tuning
from training.commands.progress import progress_report
from training.fit import FitParameters
from training.gate import Gate
from training.leaks import said_of_too_good
from training.model_card import said_of_calibration
from training.parameters_file import read_parameters
from training.run import Options, Outcome, train_product
from training.standing import Promotion
from training.timing.run import said_of_response


def train(
    *,
    timing: bool = True,
    trial: str = "",
    promote: Promotion = "auto",
    trees: Trees = DEFAULT_TREES,
    tuning: Tuning = DEFAULT_TUNING,
    log: Log = DEFAULT_LOG,
) -> None:
    """Train a model from an imported log, register it in MLflow, and make it champion if it may be.

    It becomes champion if there is none or if it is better than the champion on the same rows (see promote), else challenger.

    Parameters
    ----------
    timing
        Learn also when people come back; where too little was watched for it, the run says so and goes on without.
    trial
        Parquet file of decisions with randomised delays, as `trial` makes it of receipts, or `simulate --trial`: from it the model learns
        what a delay does, for the benefit curve of answers. Where it is too small, the run says so and goes on without. Empty: nothing is
        learned of delays.
    promote
        auto: champion if there is none or it is better; never: challenger in any case; always: champion in any case.
    """
    declared: Product = load_product(log.product)
    fit = FitParameters(max_rounds=trees.max_rounds, max_depth=trees.max_depth)
    if trees.parameters:
        fit = read_parameters(Path(trees.parameters))
    options = Options(
        fit=fit,
        labels=log.labels or None,
        tune_trials=tuning.tune_trials,
        tune_timeout_s=tuning.tune_timeout_s,
        timing=timing,
        trial=Path(trial) if trial else None,
        promote=promote,
        gate=Gate(explanation_budget_ms=trees.explanation_budget_ms),
        look=look_now(log.stale_after_days, log.product),
    )
    with progress_report() as report:
        outcome = train_product(declared, Home(log.home), product_dir=log.product, seed=log.seed, options=options, report=report)
    _print_outcome(outcome)


def _print_outcome(outcome: Outcome) -> None:
    console, standing = Console(), outcome.standing
    name, version = outcome.registration.name, outcome.registration.version
    console.print(f"[bold]{name}[/] version {version} is now {standing.alias}: {standing.because}", highlight=False, soft_wrap=True)
    if said := said_of_too_good(outcome.trained.too_good):
        console.print(f"  [yellow]{said}[/]", highlight=False, soft_wrap=True)
    print_review(console, outcome.trained.review)
    if standing.verdict is not None:
        print_verdict(console, standing.verdict)
    console.print(f"  calibration: {said_of_calibration(outcome.trained.calibration)}", highlight=False, soft_wrap=True)
    if outcome.trained.timing is None:
        console.print(f"  without timing: {outcome.trained.no_timing}", highlight=False, soft_wrap=True)
    else:
        response = said_of_response(outcome.trained.timing.model.response, outcome.trained.no_response)
        console.print(f"  response to delays: {response}", highlight=False, soft_wrap=True)
    console.print(f"  MLflow run {outcome.run_id} in {outcome.tracking_uri}; look with: mlflow ui", highlight=False, soft_wrap=True)
