"""``shadow``: what the challenger would change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from serving.cli.options import HERE, Place
from serving.cli.terminal import print_json, say

if TYPE_CHECKING:
    from serving.shadow_summary import ShadowSummary

_NOTHING = """\
no exported decision was scored by a challenger yet. Give a version the alias `shadow` in MLflow; what a running service decides from
then on is scored by it when the receipts are exported, some seconds later
"""


def shadow(*, json: Annotated[bool, Parameter(help="Print everything as JSON.", negative=())] = False, place: Place = HERE) -> None:
    """Compare the challenger (MLflow's alias `shadow`) with the champion on the decisions that both scored.

    It decides nothing: it scores the numbers that receipts hold when they are exported. Said are the difference of the risks, whether both
    put the users in the same order, and how many would have been on the other side of the threshold.

    Example: `stillhere shadow --product products/onboarding`
    """
    from features.declarations.product_file import load_product
    from serving.adapters.receipt_files import exported_scores
    from serving.shadow_summary import shadow_summary

    settings = place.existing()
    name = load_product(settings.product_folder).name
    summaries = shadow_summary(exported_scores(settings.home.receipts_dir(name)))
    if json:
        print_json(as_json(summaries))
    else:
        say(as_text(summaries))


def as_json(summaries: list[ShadowSummary]) -> str:
    """Everything, as one line of JSON."""
    from dataclasses import asdict

    import orjson

    return orjson.dumps([asdict(summary) for summary in summaries]).decode() + "\n"


def as_text(summaries: list[ShadowSummary]) -> str:
    """Say it in a few lines, a paragraph for each pair of models."""
    return "".join(_paragraph(summary) for summary in summaries) or _NOTHING


def _paragraph(summary: ShadowSummary) -> str:
    return (
        f"{summary.shadow} beside {summary.champion}, {summary.n_decisions:,} decisions\n"
        f"  risk: {summary.mean_difference:+.4f} on average, rank correlation {summary.rank_correlation:.3f}\n"
        f"  at or above the threshold: {summary.champion_share_above:.1%} -> {summary.shadow_share_above:.1%}; "
        f"{summary.share_crossing:.1%} would be on the other side\n"
    )
