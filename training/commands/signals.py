"""``signals``: what is usual today for each cohort, and the limits that follow."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path

from features.declarations.product_file import load_product
from features.home import Home
from training.commands.clock import look_now
from training.commands.progress import progress_report
from training.commands.tables import say, show
from training.dataset import build_frame
from training.frame import AS_OF, TrainingFrame
from training.freshness import STALE_AFTER_DAYS, require_fresh_log
from training.thresholds.alert_error import alert_figures
from training.thresholds.report import TITLES
from training.thresholds.rows import rows_of_frame
from training.thresholds.signals import QUANTILES, Baseline, SignalSet, alerts, baselines
from training.thresholds.signals_file import SIGNALS_FILE, load_signals


def signals(
    *,
    product: Path = Path("products/onboarding"),
    home: Path = Path(".stillhere"),
    labels: str = "",
    stale_after_days: int = STALE_AFTER_DAYS,
) -> None:
    """Print the baselines of signals.yaml as of the newest rows with a known outcome, and their alert error.

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
    declared, look = load_product(product), look_now(stale_after_days, product)
    asked = load_signals(product / SIGNALS_FILE, declared)
    place = Home(home)
    require_fresh_log(declared, place, look)
    with progress_report() as report:
        frame = build_frame(declared, place, labels=labels or None, now=look.now, report=report)
    at: datetime = frame.rows[AS_OF].max().to_pydatetime()
    found = baselines(frame, asked, at=at)
    show(f"usual within {asked.window.days} days before {at.date()}, by {asked.by}", [_row(each) for each in found])
    show("their alert error on the same rows: the risk thresholds are measured against this", _errors(frame, found, asked))
    say(*(f'{each.signal.severity}: "{each.condition}"  # {each.cohort}: {each.signal.sentence}' for each in found))


def _row(each: Baseline) -> dict[str, str]:
    quantiles = {f"{share:.0%}": _short(value) for share, value in zip(QUANTILES, each.quantiles, strict=True)}
    limits = {"usual": _short(each.baseline), "own weight": f"{each.own_weight:.0%}", "alert": each.condition.split(" ", 1)[1]}
    head = {"signal": each.signal.name, "cohort": each.cohort, "users": str(each.users), "mean": _short(each.mean)}
    return head | quantiles | limits | {"unit": each.signal.unit, "class": each.signal.severity}


def _errors(frame: TrainingFrame, found: list[Baseline], asked: SignalSet) -> list[dict[str, str]]:
    rows = rows_of_frame(frame, frame.outcomes.astype(float))  # the risk is not looked at
    fired = alerts(frame, found, asked.by)
    return [
        {"signal": name} | {title: str(getattr(alert_figures(rows, alerted), figure)) for figure, title in TITLES.items()}
        for name, alerted in fired.items()
    ]


def _short(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3g}"
