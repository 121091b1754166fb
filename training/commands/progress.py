"""One progress bar per stage, for every command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from training.pipeline import Report


@contextmanager
def progress_report() -> Iterator[Report]:
    """Show one bar per stage while the block runs; yields what the pipeline calls."""
    columns = (TextColumn("{task.description:<34}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks: dict[str, int] = {}

        def report(stage: str, share: float) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=1.0)
            progress.update(progress.task_ids[list(tasks).index(stage)], completed=share)

        yield report
