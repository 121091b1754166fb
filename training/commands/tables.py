"""Rows of text as a table on the console."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

_WIDE = 200
"""Where no terminal wraps lines, none is cut."""


def show(title: str, rows: Sequence[dict[str, str]]) -> None:
    """Print rows that all have the same keys."""
    table = Table(title=title, title_justify="left")
    for name in rows[0] if rows else ():
        table.add_column(name)
    for row in rows:
        table.add_row(*row.values())
    console = Console()
    (console if console.is_terminal else Console(width=_WIDE)).print(table)


def say(*sentences: str) -> None:
    """Print lines that are wrapped by the terminal alone, so that they can be copied."""
    for sentence in sentences:
        Console().print(sentence, highlight=False, soft_wrap=True, markup=False)
