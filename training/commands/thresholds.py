"""``thresholds`` and ``monitor``: solve alert thresholds, and watch them in operation."""

from __future__ import annotations

from pathlib import Path

from features.declarations.product_file import load_product
from features.home import Home
from training.commands.alert_tables import show_baselines, show_rules, show_thresholds
from training.commands.clock import instant_of, look_now
from training.commands.progress import progress_report
from training.commands.tables import say, show
from training.freshness import STALE_AFTER_DAYS
from training.thresholds.alert_error import AlertError
from training.thresholds.monitor import Monitored
from training.thresholds.policy_text import snippet
from training.thresholds.report import TITLES, monitor_table
from training.thresholds.run import Scope, monitor_product, solve_product
from training.thresholds.signals_file import SIGNALS_FILE, load_signals
from training.thresholds.solve import Contract
from training.thresholds.usual import Usual

ALARMED = 3
"""Exit code where something is to be done: for cron."""


def thresholds(  # noqa: PLR0913 - each is a choice of the caller's
    *,
    product: Path = Path("products/onboarding"),
    home: Path = Path(".stillhere"),
    error: AlertError = AlertError.OF_STAYERS,
    bound: float = 0.15,
    confidence: float = 0.95,
    least_users: int = 20,
    labels: str = "",
    stale_after_days: int = STALE_AFTER_DAYS,
    write: bool = False,
) -> None:
    """Solve the champion's risk thresholds, so that the alert error keeps within its bound for each segment.

    Where signals.yaml stands beside the product, what is usual for each cohort is taken with them: all of it is in the run's proposal.yaml.

    Parameters
    ----------
    product
        Folder with product.yaml and policy.yaml.
    home
        State directory that the log was imported into.
    error
        of-stayers: FP/(FP+TN); of-alerts: FP/alerts. Both are always shown.
    bound
        Most of it, as a share.
    confidence
        With which the bound holds, all segments together.
    least_users
        Users who stayed that a segment needs for a threshold of its own.
    labels
        Name of a labels log, or "implied"; as for train.
    stale_after_days
        A log that ends longer ago is refused; 0: any age will do.
    write
        Put the result into policy.yaml, where nothing else changes.
    """
    contract = Contract(error=error, bound=bound, confidence=confidence, least_users=least_users)
    declared, write_to = load_product(product), product / "policy.yaml" if write else None
    asked = load_signals(product / SIGNALS_FILE, declared) if (product / SIGNALS_FILE).is_file() else None
    scope = Scope(contract=contract, labels=labels or None, write_to=write_to, signals=asked)
    with progress_report() as report:
        ran = solve_product(declared, Home(home), look_now(stale_after_days, product), scope, report=report)
    title = f"{TITLES[contract.error.value]} at most {bound:.0%} with {confidence:.0%} confidence, champion version {ran.champion.version}"
    show_thresholds(title, ran.thresholds)
    if ran.thresholds.undecided:
        say(f"not enough data, hence the strictest of the others: {', '.join(ran.thresholds.undecided)}")
    if ran.usual is not None:
        _show_usual(ran.usual)
    say("", snippet(ran.thresholds.risk_threshold, ran.thresholds.segment_thresholds))
    done = "nothing written; --write puts these lines into policy.yaml" if ran.policy_hash is None else f"policy is now {ran.policy_hash}"
    say(f"{done}; MLflow run {ran.run_id}")


def monitor(
    *,
    product: Path = Path("products/onboarding"),
    home: Path = Path(".stillhere"),
    error: AlertError = AlertError.OF_STAYERS,
    bound: float = 0.15,
    since: str = "",
    stale_after_days: int = STALE_AFTER_DAYS,
) -> None:
    """Watch the alert error of decisions whose outcomes are known; ends with 3 where the bound is broken.

    Parameters
    ----------
    product
        Folder with product.yaml and policy.yaml, whose rules are measured too.
    home
        State directory with the raw log and the exported receipts.
    error
        of-stayers or of-alerts: as the thresholds were solved.
    bound
        As the thresholds were solved.
    since
        When the present thresholds came into force, an ISO date or instant (UTC where it names no zone): decisions before it are left
        out. Empty: none is.
    stale_after_days
        A log that ends longer ago is refused; 0: any age will do.
    """
    contract = Contract(error=error, bound=bound)
    ran = monitor_product(load_product(product), Home(home), look_now(stale_after_days, product), contract, since=instant_of(since))
    show(f"{TITLES[contract.error.value]} of {len(ran.decided.rows)} decisions", monitor_table(ran.monitored))
    say(*(f"{title}: {getattr(ran.monitored.figures, name)}" for name, title in TITLES.items()))
    say(f"left out: {', '.join(f'{count} {reason}' for reason, count in ran.decided.left_out.items())}; MLflow run {ran.run_id}")
    if ran.rules:
        show_rules(ran.monitored.figures, ran.rules)
    _show_alarm(ran.monitored)


def _show_usual(usual: Usual) -> None:
    if usual.missing_because:
        say(f"no baselines: {usual.missing_because}")
    else:
        show_baselines(usual.title, usual.baselines)


def _show_alarm(seen: Monitored) -> None:
    if not seen.alarms:
        return
    say(*(f"ALARM {sentence}" for sentence in seen.alarms))
    if seen.proposal is None:
        say(f"no thresholds can be proposed: {seen.no_proposal_because}")
    else:
        show_thresholds("proposal: solved anew on what came since the change", seen.proposal)
        say("", snippet(seen.proposal.risk_threshold, seen.proposal.segment_thresholds))
    raise SystemExit(ALARMED)
