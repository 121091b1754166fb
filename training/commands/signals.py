"""``signals``: what is usual today for each cohort, and the limits that follow."""

from __future__ import annotations

from pathlib import Path

from features.declarations.product_file import load_product
from features.home import Home
from training.commands.alert_tables import SHARES, shares, show_baselines
from training.commands.clock import look_now
from training.commands.progress import progress_report
from training.commands.tables import say, show
from training.freshness import STALE_AFTER_DAYS
from training.thresholds.signals_file import SIGNALS_FILE, load_signals
from training.thresholds.signals_run import signals_product


def signals(
    *,
    product: Path = Path("products/onboarding"),
    home: Path = Path(".stillhere"),
    labels: str = "",
    stale_after_days: int = STALE_AFTER_DAYS,
) -> None:
    """Print the baselines of signals.yaml as of the newest rows with a known outcome, and their alert error, and record them in MLflow.

    Parameters
    ----------
    product
        Folder with product.yaml and signals.yaml.
    home
        State directory that the log was imported into.
    labels
        Name of a labels log, or "implied"; as for train.
    stale_after_days
        A log that ends longer ago is refused; 0: any age will do.
    """
    declared = load_product(product)
    asked = load_signals(product / SIGNALS_FILE, declared)
    with progress_report() as report:
        look = look_now(stale_after_days, product)
        ran = signals_product(declared, Home(home), look, asked, labels=labels or None, report=report)
    show_baselines(ran.title, ran.baselines)
    rows = [{"signal": name} | shares(figures) for name, figures in ran.errors.items()]
    show("their alert error on the same rows: the risk thresholds are measured against this", rows, legend=SHARES)
    say(*ran.conditions, f"MLflow run {ran.run_id}")
