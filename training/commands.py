"""The command line of training; every command only calls a function that a notebook could call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cyclopts
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from features.core.product import Product
from features.declarations.product_file import load_product
from features.declarations.yaml_file import DeclarationError
from features.home import Home
from features.ports import StoreError
from training.errors import TrainingError
from training.fit import FitParameters
from training.pipeline import Report
from training.review import MODEL, RECENCY
from training.run import Options, Outcome, train_product

app = cyclopts.App(name="python -m training", help="Train and register models. `mlflow run . -e train` calls the same commands.")
_EXPECTED = (TrainingError, DeclarationError, StoreError)


def run(arguments: Sequence[str]) -> int:
    """Run one command: 0 on success, 1 with one sentence on an expected error."""
    try:
        app(arguments, exit_on_error=True, result_action="return_value")
    except _EXPECTED as exc:
        Console(stderr=True).print(f"[bold red]training stopped:[/] {exc}", highlight=False, soft_wrap=True)
        return 1
    return 0


@app.command
def train(
    *,
    product: Path = Path("products/onboarding"),
    home: Path = Path(".stillhere"),
    seed: int = 0,
    max_rounds: int = 300,
    max_depth: int = 5,
    labels: str = "",
) -> None:
    """Train a model from an imported log, register it in MLflow and make it champion.

    Parameters
    ----------
    product
        Folder with product.yaml and policy.yaml.
    home
        State directory that the log was imported into.
    seed
        The same seed on the same log gives the same model.
    max_rounds
        Most trees; early stopping usually ends sooner.
    max_depth
        Deepest tree; deeper trees make explanations slower.
    labels
        Name of a labels log of the product, or "implied": outcomes that the log itself implies. Empty: the first labels log, else implied.
    """
    declared: Product = load_product(product)
    options = Options(fit=FitParameters(max_rounds=max_rounds, max_depth=max_depth), labels=labels or None)
    with progress_report() as report:
        outcome = train_product(declared, Home(home), product_dir=product, seed=seed, options=options, report=report)
    _print_outcome(outcome)


@contextmanager
def progress_report() -> Iterator[Report]:
    """Show one bar per stage while the block runs; yields what the pipeline calls."""
    columns = (TextColumn("{task.description:<34}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks: dict[str, int] = {}

        def report(stage: str, share: float) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=1.0)
            progress.update(progress.task_ids[list(tasks).index(stage)], completed=share)

        yield report


def _print_outcome(outcome: Outcome) -> None:
    console = Console()
    console.print(f"[bold]{outcome.registration.name}[/] version {outcome.registration.version} is now champion", highlight=False)
    for scorer in (MODEL, RECENCY):
        evaluation = outcome.trained.review.evaluations.get(scorer)
        if evaluation is not None:
            console.print(f"  {scorer}: AUC {evaluation.figures['auc']}, Brier {evaluation.figures['brier']}", highlight=False)
    console.print(f"  MLflow run {outcome.run_id} in {outcome.tracking_uri}; look with: mlflow ui", highlight=False, soft_wrap=True)
