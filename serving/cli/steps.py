"""Says what is being done, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

Share = Callable[[int, int], None]
"""``share(done, total)``."""


@dataclass(slots=True)
class Steps:
    """Prints one line a step on stderr, with its seconds; a bar while it lasts where stderr is a terminal.

    Examples
    --------
    >>> steps = Steps(console=Console(quiet=True))
    >>> with steps.step("simulating"):
    ...     pass
    >>> [name for name, _ in steps.took]
    ['simulating']
    """

    console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))
    took: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[Share]:
        """Time a step; yields what it may call to say how far it is."""
        started = time.perf_counter()
        columns = (SpinnerColumn(), TextColumn("{task.description:<44}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as progress:
            bar = progress.add_task(name, total=None)
            yield lambda done, total: progress.update(bar, completed=done, total=total)
        self.done(name, time.perf_counter() - started)

    def done(self, name: str, seconds: float) -> None:
        """Print the line of a step that was timed elsewhere."""
        self.took.append((name, seconds))
        self.console.print(f"  {name:<44} [bold]{seconds:6.1f} s[/]")

    def total_s(self) -> float:
        """Seconds of all steps together."""
        return sum(seconds for _, seconds in self.took)
