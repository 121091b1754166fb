"""``backtest``: walk forward over the log, retraining at each step."""

from __future__ import annotations

from pathlib import Path

from features.declarations.product_file import load_product
from features.home import Home
from training.backtest import BacktestOptions, backtest_product
from training.backtest_report import step_table
from training.commands.clock import look_now
from training.commands.progress import progress_report
from training.commands.tables import say, show
from training.fit import FitParameters
from training.freshness import STALE_AFTER_DAYS


def backtest(  # noqa: PLR0913 - each is a choice of the caller's
    *,
    product: Path = Path("products/onboarding"),
    home: Path = Path(".stillhere"),
    steps: int = 4,
    seed: int = 0,
    max_rounds: int = 300,
    labels: str = "",
    stale_after_days: int = STALE_AFTER_DAYS,
) -> None:
    """Train anew at several instants of the log, each time on what was known by then, and measure on what came next.

    A logistic regression and recency alone, which learn anew at each step too, are in the same table and plot. The champion is not: it has
    learned from what the steps are tested on.

    Parameters
    ----------
    product
        Folder with product.yaml.
    home
        State directory that the log was imported into.
    steps
        How often, evenly over the later half of the rows.
    seed
        The same seed on the same log gives the same models.
    max_rounds
        Most trees; early stopping usually ends sooner.
    labels
        Name of a labels log, or "implied"; as for train.
    stale_after_days
        A log that ends longer ago is refused; 0: any age will do.
    """
    options = BacktestOptions(steps=steps, seed=seed, parameters=FitParameters(max_rounds=max_rounds))
    look = look_now(stale_after_days, product)
    with progress_report() as report:
        made, run_id = backtest_product(load_product(product), Home(home), options, labels=labels or None, look=look, report=report)
    show(f"{len(made)} steps forward", step_table(made))
    if len(made) < steps:
        say(f"{steps - len(made)} steps were left out: too little was known by then to learn from")
    say(f"MLflow run {run_id}, one nested run a step")
