"""One progress bar per stage, for every command; a line per stage where nobody looks at a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from training.pipeline import Report


@contextmanager
def progress_report() -> Iterator[Report]:
    """Show each stage while the block runs; yields what the pipeline calls."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(console)
        return
    columns = (TextColumn("{task.description:<34}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, int] = {}

        def report(stage: str, share: float) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=1.0)
            progress.update(progress.task_ids[list(tasks).index(stage)], completed=share)

        yield report


def _lines(console: Console) -> Report:
    """Print a stage when it begins and, with its seconds, when it is done."""
    began: dict[str, float] = {}
    done: set[str] = set()

    def report(stage: str, share: float) -> None:
        if stage not in began:
            began[stage] = time.monotonic()
            if share < 1.0:
                console.print(f"  {stage} ...", highlight=False)
        if share >= 1.0 and stage not in done:
            done.add(stage)
            console.print(f"  {stage:<34} {time.monotonic() - began[stage]:6.1f} s", highlight=False)

    return report
