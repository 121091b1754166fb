"""``drift``: whether users are still those that the champion learned from, and whether to train again."""

from __future__ import annotations

from pathlib import Path

from features.declarations.product_file import load_product
from features.home import Home
from training.commands.clock import instant_of, look_now, span_of
from training.commands.progress import progress_report
from training.commands.tables import say, show
from training.commands.thresholds import ALARMED
from training.drift.compare import Tolerance
from training.drift.report import drift_table
from training.drift.run import DriftOptions, Source, drift_product
from training.drift.two_sample import Adjustment
from training.freshness import STALE_AFTER_DAYS


def drift(  # noqa: PLR0913 - each is a choice of the caller's
    *,
    product: Path = Path("products/onboarding"),
    home: Path = Path(".stillhere"),
    source: Source = Source.RECEIPTS,
    since: str = "",
    retrain_every_days: int = 30,
    false_discoveries: float = 0.05,
    adjustment: Adjustment = Adjustment.BENJAMINI_YEKUTIELI,
    labels: str = "",
    stale_after_days: int = STALE_AFTER_DAYS,
) -> None:
    """Compare today's rows with those that the champion learned from; ends with 3 where it is time to train again.

    Parameters
    ----------
    product
        Folder with product.yaml.
    home
        State directory with the raw log and the exported receipts.
    source
        receipts: what decisions were made with; log: later rows of the log.
    since
        ISO date or instant (UTC where it names no zone) before which rows of today are left out; empty: none is.
    retrain_every_days
        A champion that old is a reason by itself; 0: never.
    false_discoveries
        Most of the expected share of false ones among the columns called moved.
    adjustment
        benjamini-yekutieli: whatever the dependence of the tests; benjamini-hochberg: more is found, if they are independent or depend
        positively.
    labels
        Name of a labels log, or "implied"; as for train.
    stale_after_days
        A log that ends longer ago is refused; 0: any age will do.
    """
    options = DriftOptions(
        source=source,
        since=instant_of(since),
        retrain_every=span_of("retrain_every_days", retrain_every_days, advice="30 is the default, and 0 means never"),
        tolerance=Tolerance(false_discoveries=false_discoveries, adjustment=adjustment),
        labels=labels or None,
    )
    with progress_report() as report:
        ran = drift_product(load_product(product), Home(home), look_now(stale_after_days, product), options, report=report)
    show(f"{len(ran.drift.moved)} of {len(ran.drift.columns)} tests moved; the largest", drift_table(ran.drift, most=20))
    say(*ran.notes, f"MLflow run {ran.run_id}")
    if ran.reasons:
        say(*(f"TRAIN AGAIN ({each.why.value}) {each.sentence}" for each in ran.reasons))
        raise SystemExit(ALARMED)
    say("no reason to train again")
