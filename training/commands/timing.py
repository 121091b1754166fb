"""``timing``: when people come back, when they use the product and, from randomised delays, when to act."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from features.declarations.product_file import load_product
from features.home import Home
from serving.policy_file import load_policy
from training.commands.clock import look_now
from training.commands.progress import progress_report
from training.freshness import STALE_AFTER_DAYS
from training.timing.fitted import TimingOptions
from training.timing.run import FIGURES, TimingRun, said_of_response, time_product


def timing(
    *,
    product: Path = Path("products/onboarding"),
    home: Path = Path(".stillhere"),
    trial: str = "",
    seed: int = 0,
    max_rows: int = 6_000,
    stale_after_days: int = STALE_AFTER_DAYS,
) -> None:
    """Fit the timing part on an imported log and record it in MLflow, with curves, calibration and baselines.

    Parameters
    ----------
    product
        Folder with product.yaml and policy.yaml, which names the attribute of the users' time zones.
    home
        State directory that the log was imported into.
    trial
        Parquet file of decisions with randomised delays, as `trial` makes it of receipts, or `simulate --trial`; empty: no response to
        delays is learned.
    seed
        The same seed on the same log gives the same model.
    max_rows
        Most (user, as_of) rows of a slice that the hazard is learned from.
    stale_after_days
        A log that ends longer ago is refused; 0: any age will do.
    """
    declared = load_product(product)
    policy = load_policy(product / "policy.yaml", declared)
    with progress_report() as report:
        outcome = time_product(
            declared,
            Home(home),
            trial=Path(trial) if trial else None,
            options=TimingOptions(seed=seed, max_rows=max_rows),
            zones=(policy.timezone_attribute, policy.default_timezone),
            look=look_now(stale_after_days, product),
            report=report,
        )
    _print_outcome(outcome)


def _print_outcome(outcome: TimingRun) -> None:
    console, fitted = Console(), outcome.fitted
    for name, text in FIGURES.items():
        if name in fitted.figures:
            console.print(f"  {text}: {fitted.figures[name]:.4f}", highlight=False)
    console.print(f"  response to delays: {said_of_response(fitted.model.response)}", highlight=False, soft_wrap=True)
    console.print(f"  MLflow run {outcome.run_id} in {outcome.tracking_uri}; look with: mlflow ui", highlight=False, soft_wrap=True)
