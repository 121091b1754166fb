"""``promote``: make a challenger champion if it is better; or go back; or choose who scores along."""

from __future__ import annotations

from rich.console import Console

from features.core.product import Product
from features.declarations.product_file import load_product
from features.home import Home
from training.aliases import roll_back, set_shadow
from training.commands.clock import look_now
from training.commands.comparison import print_review, print_verdict
from training.commands.options import DEFAULT_DEMAND, DEFAULT_LOG, Demand, Log
from training.commands.progress import progress_report
from training.errors import PromotionRefusedError
from training.gate import Gate
from training.promote import Promotion, promote_version
from training.registry import registered_name
from training.side_by_side import Asked
from training.tracking import joined_run, name_run, prepare_tracking

_NO_REASON = "no reason given"


def promote(
    *,
    version: str = "challenger",
    force: str = "",
    rollback: bool = False,
    shadow: str = "",
    demand: Demand = DEFAULT_DEMAND,
    log: Log = DEFAULT_LOG,
) -> None:
    """Make a version champion if it is better than the champion on the same rows and worse in no segment beyond the margin.

    Better: the lower end of the interval of its paired gain, bootstrapped by user, is above 0. Else it is refused, with the table and exit
    code 1. A running service picks a new champion up by itself.

    Parameters
    ----------
    version
        A version number or alias.
    force
        A reason to promote it although the gate refuses; recorded with the version.
    rollback
        Instead: go back to the version that the present champion replaced. ``--force`` may say why.
    shadow
        Instead: the version, or alias, that scores live traffic without deciding; "none" removes it.
    """
    declared, console = load_product(log.product), Console()
    if rollback or shadow:
        _move_without_judging(console, declared, rollback=rollback, shadow=shadow, because=force or _NO_REASON)
        return
    gate = Gate(
        metric=demand.metric, confidence=demand.confidence, margin=demand.margin, explanation_budget_ms=demand.explanation_budget_ms
    )
    look = look_now(log.stale_after_days, log.product)
    asked = Asked(model=version, labels=log.labels or None, seed=log.seed, gate=gate, look=look)
    with progress_report() as report:
        promotion = promote_version(declared, Home(log.home), asked, force=force, report=report)
    _print(console, promotion)
    if not promotion.promoted:
        raise PromotionRefusedError(
            f"version {promotion.version.version} stays what it was, and version {promotion.replaces} champion:"
            f' {promotion.because}; train a better one, or promote it all the same with --force "<reason>"'
        )


def _move_without_judging(console: Console, product: Product, *, rollback: bool, shadow: str, because: str) -> None:
    """Move an alias: no experiment, so it has a run only where `mlflow run` made one, which then says what became of it."""
    prepare_tracking()
    title = "rollback" if rollback else "shadow"
    with joined_run(title):
        try:
            if rollback:
                _roll_back(console, product, because)
            if shadow:
                _shadow(console, product, shadow)
        except Exception:
            name_run(f"{title} refused")
            raise


def _roll_back(console: Console, product: Product, because: str) -> None:
    before, now = roll_back(product, because=because)
    name_run(f"rollback v{before} to v{now}")
    console.print(f"[bold]{registered_name(product.name)}[/] version {now} is champion again; version {before} was", highlight=False)


def _shadow(console: Console, product: Product, shadow: str) -> None:
    number = set_shadow(product, shadow)
    name_run("shadow none" if number is None else f"shadow v{number}")
    said = "has no shadow now" if number is None else f"version {number} is shadow now: it scores along and decides nothing"
    console.print(f"[bold]{registered_name(product.name)}[/] {said}", highlight=False)


def _print(console: Console, promotion: Promotion) -> None:
    if promotion.found is not None:
        print_review(console, promotion.found.review)
    if promotion.verdict is not None:
        print_verdict(console, promotion.verdict)
    if promotion.promoted:
        name = promotion.version.name
        console.print(
            f"[bold]{name}[/] version {promotion.version.version} is now champion: {promotion.because}", highlight=False, soft_wrap=True
        )
    console.print(f"  MLflow run {promotion.run_id} in {promotion.tracking_uri}; look with: mlflow ui", highlight=False, soft_wrap=True)
