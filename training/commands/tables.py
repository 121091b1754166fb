"""Rows of text as a table on the console."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

_WIDE = 200
"""Where no terminal wraps lines, none is cut."""
_SHARE_OF_NAMES = 3
_LEGIBLE = 100
"""Sentences run no further, however wide the terminal."""


def show(title: str, rows: Sequence[dict[str, str]], *, legend: str = "") -> None:
    """Print rows that all have the same keys.

    Parameters
    ----------
    legend
        What the headings mean: printed under the table. On a narrow terminal cells are folded, the names of the first column last of all.
    """
    terminal = Console()
    console = terminal if terminal.is_terminal else Console(width=_WIDE)
    table = Table(title=title, title_justify="left")
    for place, name in enumerate(rows[0] if rows else ()):
        width = max(len(name), *(len(row[name]) for row in rows))
        table.add_column(name, overflow="fold", no_wrap=place == 0 and width <= console.width // _SHARE_OF_NAMES)
    for row in rows:
        table.add_row(*row.values())
    console.print(table)
    if legend:
        console.print(textwrap.fill(legend, min(console.width, _LEGIBLE)), style="dim", highlight=False, markup=False)


def say(*sentences: str) -> None:
    """Print lines that are wrapped by the terminal alone, so that they can be copied."""
    for sentence in sentences:
        Console().print(sentence, highlight=False, soft_wrap=True, markup=False)
