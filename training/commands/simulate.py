"""``simulate``: the log of a made-up product, and with it, where asked for, a randomised trial of messages."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from features.declarations.product_file import load_product
from training.commands.progress import progress_report
from training.errors import SimulationError
from training.planted import Design, Effects, Timing
from training.simulate import SimulatedWorld
from training.simulate import simulate as write_log
from training.tracking import joined_run
from training.trial_files import TrialFiles, simulate_trial


def simulate(  # noqa: PLR0913 - one for each parameter of the command line
    *,
    product: Path = Path("products/onboarding"),
    folder: Path = Path("simulated"),
    users: int = 2_000,
    seed: int = 0,
    days: int = 63,
    end: str = "2025-06-02",
    trial: str = "",
    timing: Timing = Timing.NONE,
    decisions: int = 1,
    truth: bool = False,
) -> None:
    """Write the log of simulated users (events.jsonl.gz, profiles.csv), as `stillhere import` reads it, and on demand a randomised trial.

    Parameters
    ----------
    product
        Folder with product.yaml; it must declare the kinds of event of products/onboarding.
    folder
        Where the files go.
    users
        How many people.
    seed
        The same seed, end and numbers give the same bytes.
    days
        How long people have been signing up before the end; with a trial, before the people of the trial join: so many others, who are not
        in it, make the log long enough to train on. Of a trial, 0 leaves them out.
    end
        ISO date or instant (UTC where it names no zone) at which the log ends; "now": the clock's.
    trial
        Name of a Parquet file in the folder for the decisions of a trial, with their propensities and outcomes; empty: no trial.
    timing
        What the delay of a message changes, for the trial: nothing, how much help is left, or that and the hour, with or against people's
        habit.
    decisions
        Most decisions about one person of the trial, one horizon apart.
    truth
        Add the columns of the trial that nobody could know: causes and P(dropout) under every action and delay.
    """
    declared, until = load_product(product), _instant(end)
    with joined_run("simulate"), progress_report() as report:

        def told(done: int, total: int) -> None:
            report("simulating", done / total)

        if trial:
            planted, design = Effects(timing=timing), Design(n_decisions=decisions)
            written = simulate_trial(
                declared,
                folder / trial,
                n_users=users,
                seed=seed,
                end=until,
                effects=planted,
                design=design,
                truth=truth,
                days_before=days,
                progress=told,
            )
        else:
            world = write_log(declared, folder, n_users=users, seed=seed, end=until, days=days, progress=told)
    console = Console()
    if trial:
        _print_trial(console, written)
    else:
        _print_log(console, world)


def _instant(text: str) -> datetime:
    if text == "now":
        return datetime.now(UTC)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as exc:
        raise SimulationError(f"end: got {text!r}, expected an ISO date or instant, or now; write --end 2025-06-02") from exc
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _print_log(console: Console, world: SimulatedWorld) -> None:
    console.print(f"{len(world.user_ids):,} users, {world.n_events:,} events, until {world.end:%Y-%m-%d %H:%M} UTC", highlight=False)
    _print_files(console, world.events_file, world.profiles_file)


def _print_trial(console: Console, written: TrialFiles) -> None:
    trial = written.trial
    rows = trial.frame.rows
    sent = trial.action > 0
    console.print(
        f"{rows['user_id'].nunique():,} users, {written.n_events:,} events, {len(rows):,} decisions, until {written.end:%Y-%m-%d} UTC",
        highlight=False,
    )
    if written.n_before:
        console.print(f"  and {written.n_before:,} people who joined before, in the log alone: a training needs them", highlight=False)
    dropped = trial.frame.outcomes
    console.print(f"  dropped out within {trial.frame.horizon.days} days: {dropped[sent].mean():.1%} of those written to,", highlight=False)
    console.print(f"  {dropped[~sent].mean():.1%} of the others (the messages were drawn at random)", highlight=False)
    _print_files(console, written.events_file, written.profiles_file, written.trial_file)


def _print_files(console: Console, *files: Path) -> None:
    for file in files:
        console.print(f"  {file}", highlight=False, soft_wrap=True)
