"""Thresholds and monitors as rows for tables, figures for MLflow, and one page of Markdown."""

from __future__ import annotations

import math
from typing import Any

from training.thresholds.alert_error import AlertFigures, Share
from training.thresholds.monitor import Monitored, Watched
from training.thresholds.policy_text import snippet
from training.thresholds.solve import Basis, Thresholds

_SHARES = ("of_stayers", "of_alerts", "alerted", "recall")
TITLES = {"of_stayers": "FP/(FP+TN)", "of_alerts": "FP/alerts", "alerted": "share alerted", "recall": "recall"}


def threshold_table(solved: Thresholds) -> list[dict[str, str]]:
    """One row for each segment, one for users in none, one for everybody with the thresholds applied."""
    rows = [
        {
            "segment": each.segment,
            "threshold": f"{each.threshold:.3f}",
            "rests on": each.basis.value,
            "error at most": "-" if each.basis is Basis.NOT_ENOUGH else f"{each.upper:.1%}",
            "own weight": f"{each.own_weight:.0%}",
            **_shares(each.figures),
        }
        for each in solved.segments
    ]
    whole = {"segment": "(everybody alike)", "threshold": f"{solved.risk_threshold:.3f}", "rests on": Basis.OWN.value}
    rows.append(whole | {"error at most": f"{solved.whole_upper:.1%}", "own weight": "100%"} | _shares(solved.whole))
    if solved.segments:
        applied = {"segment": "(all, as above)", "threshold": "by segment", "rests on": "", "error at most": "", "own weight": ""}
        rows.append(applied | _shares(solved.applied))
    return rows


def threshold_metrics(solved: Thresholds) -> dict[str, float]:
    """Figures of a run: ``whole.of_stayers`` with ``_low`` and ``_high``, likewise applied and by segment."""
    parts = {"whole": solved.whole, "applied": solved.applied} | {f"segment.{each.segment}": each.figures for each in solved.segments}
    metrics = {"whole.threshold": solved.risk_threshold, "whole.error_at_most": solved.whole_upper}
    metrics |= {f"segment.{each.segment}.threshold": each.threshold for each in solved.segments}
    metrics |= {f"segment.{each.segment}.error_at_most": each.upper for each in solved.segments}
    for name, figures in parts.items():
        metrics |= figure_metrics(name, figures)
    return metrics


def figure_metrics(prefix: str, figures: AlertFigures) -> dict[str, float]:
    """Both errors, share alerted and recall, with their bounds; what has no rows is left out."""
    shares: dict[str, Share] = {name: getattr(figures, name) for name in _SHARES}
    found = {f"{prefix}.{name}": share.value for name, share in shares.items()}
    found |= {f"{prefix}.{name}_low": share.low for name, share in shares.items()}
    found |= {f"{prefix}.{name}_high": share.high for name, share in shares.items()}
    return {name: value for name, value in found.items() if not math.isnan(value)}


def threshold_page(solved: Thresholds) -> str:
    """One page for people: what is promised, the table, the lines for policy.yaml, what is not known."""
    contract = solved.contract
    title = TITLES[contract.error.value]
    undecided = f"\nNot enough data, hence the strictest of the thresholds: {', '.join(solved.undecided)}.\n" if solved.undecided else ""
    return (
        f"# Alert thresholds\n\nPromised: {title} at most {contract.bound:.0%}, with {contract.confidence:.0%} confidence for all rows"
        f" of the table together. Intervals: 95 %, users counted.\n\n{markdown(threshold_table(solved))}\n{undecided}\n"
        f"```yaml\n{snippet(solved.risk_threshold, solved.segment_thresholds)}```\n"
    )


def monitor_table(seen: Monitored) -> list[dict[str, str]]:
    """One row for each monitor."""
    return [
        {
            "who": each.name,
            "users": str(each.users),
            "error so far": "-" if not each.users or math.isnan(each.watch.estimate[-1]) else f"{each.watch.estimate[-1]:.1%}",
            "valid at every look": "-" if not each.users else f"{each.watch.low[-1]:.0%} to {each.watch.high[-1]:.0%}",
            "bound": f"{seen.contract.bound:.0%}",
            "state": _state(each, seen.contract.bound),
        }
        for each in seen.watched
    ]


def monitor_page(seen: Monitored) -> str:
    """One page for people: alarms first."""
    alarms = "\n".join(f"- **{sentence}**" for sentence in seen.alarms) or "No alarm."
    proposal = "" if seen.proposal is None else "\n## Proposal: solve anew\n\n" + threshold_page(seen.proposal)
    if seen.no_proposal_because:
        proposal = f"\nNo thresholds can be proposed: {seen.no_proposal_because}\n"
    overall = markdown([{"all decisions": title, "value": str(getattr(seen.figures, name))} for name, title in TITLES.items()])
    return f"# Alert error in operation\n\n{alarms}\n\n{markdown(monitor_table(seen))}\n{overall}{proposal}"


def markdown(rows: list[dict[str, str]]) -> str:
    """Rows as a Markdown table.

    Examples
    --------
    >>> print(markdown([{"a": "1", "b": "2"}]), end="")
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    if not rows:
        return ""
    head = f"| {' | '.join(rows[0])} |\n|{'---|' * len(rows[0])}\n"
    return head + "".join(f"| {' | '.join(row.values())} |\n" for row in rows)


def _state(each: Watched, bound: float) -> str:
    if each.broken:
        return "BROKEN"
    return "shown to hold" if each.users and each.watch.high[-1] <= bound else "not broken"


def _shares(figures: AlertFigures) -> dict[str, Any]:
    return {TITLES[name]: str(getattr(figures, name)) for name in _SHARES}
