"""``train``: from a raw log to a registered champion."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from features.core.product import Product
from features.declarations.product_file import load_product
from features.home import Home
from training.commands.progress import progress_report
from training.fit import FitParameters
from training.parameters_file import read_parameters
from training.review import MODEL, RECENCY
from training.run import Options, Outcome, train_product


def train(  # noqa: PLR0913 - one for each option of the command
    *,
    product: Path = Path("products/onboarding"),
    home: Path = Path(".stillhere"),
    seed: int = 0,
    max_rounds: int = 300,
    max_depth: int = 5,
    labels: str = "",
    parameters: str = "",
    tune_trials: int = 0,
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
    parameters
        A file of LightGBM's parameters, as tune writes it; max_rounds and max_depth then come from there.
    tune_trials
        Search parameters first, with so many trials and at most ten minutes; 0: do not.
    """
    declared: Product = load_product(product)
    fit = read_parameters(Path(parameters)) if parameters else FitParameters(max_rounds=max_rounds, max_depth=max_depth)
    options = Options(fit=fit, labels=labels or None, tune_trials=tune_trials)
    with progress_report() as report:
        outcome = train_product(declared, Home(home), product_dir=product, seed=seed, options=options, report=report)
    _print_outcome(outcome)


def _print_outcome(outcome: Outcome) -> None:
    console = Console()
    console.print(f"[bold]{outcome.registration.name}[/] version {outcome.registration.version} is now champion", highlight=False)
    for scorer in (MODEL, RECENCY):
        evaluation = outcome.trained.review.evaluations.get(scorer)
        if evaluation is not None:
            console.print(f"  {scorer}: AUC {evaluation.figures['auc']}, Brier {evaluation.figures['brier']}", highlight=False)
    console.print(f"  MLflow run {outcome.run_id} in {outcome.tracking_uri}; look with: mlflow ui", highlight=False, soft_wrap=True)
