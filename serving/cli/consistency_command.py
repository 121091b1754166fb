"""``consistency``: whether decisions were made on what the raw log says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from serving.cli.options import HERE, Place
from serving.cli.terminal import print_json, say

if TYPE_CHECKING:
    from serving.consistency import ConsistencyReport, Spread

_US_PER_S = 1_000_000


def consistency(
    *,
    settle_s: Annotated[
        float, Parameter(help="Leave out decisions younger than this: their events may not be in the log yet.", validator=Number(gte=0))
    ] = 10.0,
    json: Annotated[bool, Parameter(help="Print everything as JSON.", negative=())] = False,
    place: Place = HERE,
) -> int:
    """Recompute the features of every past decision from the raw log, and count where they differ.

    Mismatch: both are numbers, and not the same. Missing: the decision lacked one. Extra: the decision had one too many. Events that had
    been received and were not merged yet (lag), and the age of the newest known event (freshness), are said apart: they are no
    inconsistency. The exit code is 1 where a value differs for another reason than lag.

    Example: `stillhere consistency --product products/onboarding`
    """
    from serving import bootstrap
    from serving.cli.decide import opened

    with opened(place) as installation:
        report = bootstrap.check_consistency(installation, not_after_us=bootstrap.now_us() - int(settle_s * _US_PER_S))
    if json:
        print_json(as_json(report))
    else:
        say(as_text(report))
    return 0 if report.is_consistent else 1


def as_json(report: ConsistencyReport) -> str:
    """Everything, as one line of JSON."""
    from dataclasses import asdict

    import orjson

    return orjson.dumps({"consistent": report.is_consistent, **asdict(report)}).decode() + "\n"


def as_text(report: ConsistencyReport) -> str:
    """Say it in a few lines, features that differ first."""
    skipped = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in report.skipped.items())
    total = report.total
    lines = [
        f"{report.checked:,} of {report.receipts:,} decisions checked" + (f" (not: {skipped})" if skipped else ""),
        f"{total.values:,} values: {total.mismatch:,} mismatch, {total.missing:,} missing, {total.extra:,} extra",
    ]
    if report.lagging:
        lines.append(f"lag: {report.lagging_values:,} values of {report.lagging:,} decisions; events not merged yet {_spread(report.lag)}")
    lines.append(f"freshness: newest known event {_spread(report.freshness)}")
    worst = sorted(report.by_feature.items(), key=lambda item: -item[1].differing)
    lines += [f"  {name}: {c.mismatch:,} mismatch, {c.missing:,} missing, {c.extra:,} extra" for name, c in worst if c.differing]
    for example in report.examples:
        lines += [f"  {example.decision_id} of {example.user_id}", *(f"    {line}" for line in example.features)]
    return "\n".join(lines) + "\n"


def _spread(spread: Spread) -> str:
    if spread.p50_s is None or spread.p95_s is None or spread.max_s is None:
        return "none"
    return f"p50 {spread.p50_s:,.1f} s, p95 {spread.p95_s:,.1f} s, max {spread.max_s:,.1f} s old"
