"""How every benchmark reports: a table for people and benchmarks/out/NAME.json for machines.

>>> rows = [row("duckdb ratio", 101.3, "times", reference="one DuckDB query", at_least=30)]
>>> rows[0]["bound"], rows[0]["holds"]
('>= 30', True)
"""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

OUT = Path(__file__).parent / "out"
KEYS = ("figure", "value", "unit", "reference", "bound", "holds")


def row(
    figure: str, value: float, unit: str = "", *, reference: str = "", at_least: float | None = None, at_most: float | None = None
) -> dict[str, Any]:
    """One figure; without a bound it informs and always holds. A value that is not a number holds no bound."""
    bounds = [f">= {at_least:g}"] if at_least is not None else []
    bounds += [f"<= {at_most:g}"] if at_most is not None else []
    holds = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    return dict(zip(KEYS, (figure, value, unit, reference, " and ".join(bounds) or None, holds), strict=True))


def write(name: str, rows: Sequence[Mapping[str, Any]], *, notes: Sequence[str] = ()) -> bool:
    """Print the rows and write them to ``benchmarks/out/<name>.json``; True if every bound holds."""
    table = Table(title=name, title_justify="left")
    for key in KEYS:
        table.add_column(key, justify="right" if key == "value" else "left")
    for each in rows:
        table.add_row(*(_text(each.get(key)) for key in KEYS))
    console = Console(width=max(Console().width, 120))
    console.print(table)
    for note in notes:
        console.print(f"  {note}", highlight=False)
    holds = all(each.get("holds", True) for each in rows)
    console.print(
        f"  {os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}", highlight=False
    )
    OUT.mkdir(exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps([{key: _plain(each.get(key)) for key in KEYS} for each in rows], indent=1) + "\n")
    return holds


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def _plain(value: object) -> object:
    """Numbers of numpy as numbers of JSON; NaN, which JSON has not, as null."""
    item = getattr(value, "item", None)
    plain = item() if item is not None else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain
