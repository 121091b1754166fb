"""Drift as a table, a plot and one page of Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from training.drift.compare import Drift
from training.drift.psi import MAJOR, MINOR
from training.drift.trigger import Reason
from training.thresholds.report import markdown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = 25


def drift_table(drift: Drift, *, most: int | None = None) -> list[dict[str, str]]:
    """One row a test, the largest PSI first; what moved is marked."""
    return [
        {
            "column": each.column,
            "tested": each.kind.value,
            "PSI": f"{each.psi:.3f}",
            "size": each.size,
            "p": f"{each.p_value:.2g}",
            "p, all tests": f"{each.adjusted:.2g}",
            "missing then": f"{each.reference_missing:.1%}",
            "missing now": f"{each.current_missing:.1%}",
            "moved": "MOVED" if each.moved else "",
        }
        for each in sorted(drift.columns, key=lambda each: (not each.moved, -each.psi))[:most]
    ]


def drift_metrics(drift: Drift) -> dict[str, float]:
    """Figures of a run: how many moved, and the PSI of each column by test."""
    by_column = {f"psi.{each.column.strip('()')}.{each.kind.value}": each.psi for each in drift.columns}
    return {"drift.moved": float(len(drift.moved)), "drift.tests": float(len(drift.columns))} | by_column


def drift_page(drift: Drift | None, found: Sequence[Reason], notes: Sequence[str]) -> str:
    """One page for people: what to do first, then why."""
    verdict = "\n".join(f"- **{each.why.value}**: {each.sentence}" for each in found)
    head = f"# Drift\n\n{'Train again:' if found else 'No reason to train again.'}\n\n{verdict}\n\n" + "".join(
        f"- {note}\n" for note in notes
    )
    if drift is None:
        return head
    tolerance = drift.tolerance
    return (
        f"{head}\nA column moved where its p value, {len(drift.columns)} tests accounted for ({tolerance.adjustment.value}), is at most"
        f" {tolerance.false_discoveries} and its PSI at least {tolerance.psi_from}. {drift.reference_users} users then,"
        f" {drift.current_users} now, one row each.\n\n{markdown(drift_table(drift))}"
    )


def drift_plot(drift: Drift) -> Figure:
    """PSI of the columns that moved most; what counts as moved is filled."""
    from matplotlib.figure import Figure as NewFigure

    columns = list(drift.columns[:_SHOWN])[::-1]
    figure = NewFigure(figsize=(9, max(3.0, 0.28 * len(columns) + 1.2)), layout="constrained")
    axes = figure.subplots()
    labels = [f"{each.column} ({each.kind.value})" for each in columns]
    axes.barh(labels, [each.psi for each in columns], color=["tab:red" if each.moved else "lightgrey" for each in columns])
    for at, size, line in ((MINOR, "minor", ":"), (MAJOR, "major", "--")):
        axes.axvline(at, color="grey", linestyle=line, label=f"{size} move from {at:g}")
    axes.legend(loc="lower right", fontsize="small")
    axes.set(xlabel="PSI (red: moved beyond chance)", title="Then and now")
    axes.tick_params(axis="y", labelsize=7)
    return figure
