"""``trial``: from an installation's own receipts to the table that `train --trial` learns from."""

from __future__ import annotations

from pathlib import Path

from features.backfill.columns import read_columns
from features.declarations.product_file import load_product
from features.home import Home
from training.commands.clock import instant_of, look_now
from training.commands.tables import say, show
from training.errors import OneClassError, TooLittleDataError
from training.freshness import STALE_AFTER_DAYS, require_fresh_log
from training.timing.drawn_delays import DrawnTrial, arm_table, trial_of_receipts, write_trial
from training.timing.trial_log import require_learnable
from training.tracking import joined_run


def trial(
    *,
    product: Path = Path("products/onboarding"),
    home: Path = Path(".stillhere"),
    out: Path = Path("trial.parquet"),
    since: str = "",
    stale_after_days: int = STALE_AFTER_DAYS,
) -> None:
    """Write the decisions whose delay chance drew, and what became of them, as the table that `train --trial` reads.

    Parameters
    ----------
    product
        Folder with product.yaml.
    home
        State directory with the raw log and the exported receipts.
    out
        Parquet file to write.
    since
        ISO date or instant (UTC where it names no zone) before which decisions are left out; empty: none is.
    stale_after_days
        A log that ends longer ago is refused; 0: any age will do.
    """
    declared, place = load_product(product), Home(home)
    with joined_run("trial"):
        require_fresh_log(declared, place, look_now(stale_after_days, product))
        raw = read_columns(place.raw_dir(declared.name), declared)
        found = trial_of_receipts(place.receipts_dir(declared.name), raw, declared, since=instant_of(since))
        write_trial(found, out)
    _print(found, out)


def _print(found: DrawnTrial, out: Path) -> None:
    left = ", ".join(f"{count} ({reason})" for reason, count in found.left_out.items() if count) or "none"
    if found.table.empty:
        say(f"nothing to learn from yet; left out: {left}", f"written: {out}, without a row; come back when outcomes are known")
        return
    say(f"{len(found.table)} decisions in which chance chose when, or never")
    show("by what was drawn", arm_table(found.table))
    say(f"left out: {left}", *(f"note: {note}" for note in found.notes))
    try:
        require_learnable(found.table)
    except (TooLittleDataError, OneClassError) as exc:
        say(f"written: {out}; too early to learn from: {exc}")
    else:
        say(f"written: {out}; next: python -m training train --trial {out}")
