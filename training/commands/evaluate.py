"""``evaluate``: any registered version, or the model of a run, on the present log and beside the champion."""

from __future__ import annotations

from rich.console import Console

from features.declarations.product_file import load_product
from features.home import Home
from training.commands.clock import look_now
from training.commands.comparison import print_review, print_verdict
from training.commands.options import DEFAULT_LOG, Log
from training.commands.progress import progress_report
from training.side_by_side import Asked, Assessment, evaluate_model


def evaluate(*, model: str = "champion", log: Log = DEFAULT_LOG) -> None:
    """Evaluate a model on the latest rows of an imported log, beside the champion and the baselines; an MLflow run of its own.

    Changes nothing in the registry.

    Parameters
    ----------
    model
        A version number or alias, `models:/stillhere-<product>/<number>`, `models:/stillhere-<product>@<alias>`, or `runs:/<run id>`.
    """
    asked = Asked(model=model, labels=log.labels or None, seed=log.seed, look=look_now(log.stale_after_days, log.product))
    with progress_report() as report:
        assessment = evaluate_model(load_product(log.product), Home(log.home), asked, report=report)
    _print(Console(), assessment)


def _print(console: Console, assessment: Assessment) -> None:
    found = assessment.found
    console.print(f"[bold]{found.model.label}[/] on {len(found.test.rows)} rows", highlight=False)
    print_review(console, found.review)
    if found.champion is not None and found.champion.bundle is None:
        console.print(
            f"  champion version {found.champion.version.version} could not be compared: {found.champion.unusable}", soft_wrap=True
        )
    if found.verdict is not None:
        print_verdict(console, found.verdict)
    console.print(f"  MLflow run {assessment.run_id} in {assessment.tracking_uri}; look with: mlflow ui", highlight=False, soft_wrap=True)
