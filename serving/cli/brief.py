"""One decision in about a dozen lines: what, why, and every guardrail by name; `stillhere explain` has every verdict in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from serving.cli.carried import carried_lines
from serving.cli.moments import curve_line, delays_line
from serving.cli.story import colour, missing, title_of
from serving.cli.terminal import readable_parts

_EVERYONE = "*"
_LARGEST_CAUSES = 3
_NOTHING: Mapping[str, str] = {}


def brief(receipt: bytes, *, before: Mapping[str, str] = _NOTHING) -> Panel:
    """Tell what a receipt says, and say nothing twice.

    Parameters
    ----------
    before
        Lines of the caller's own, by their label.
    """
    recorded = readable_parts(orjson.loads(receipt))
    output = recorded["output"]
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column()
    for label, words in (*before.items(), *_facts(output, recorded["inputs"]["contributions"])):
        facts.add_row(escape(label), escape(words))
    return Panel(
        facts,
        title=escape(title_of(output)),
        title_align="left",
        subtitle=output["decision_id"],
        subtitle_align="left",
        border_style=colour(output),
    )


def _facts(output: dict[str, Any], contributions: dict[str, float] | None) -> Iterator[tuple[str, str]]:
    yield "decision", output["reason"]["sentence"]
    yield "risk", _risk(output, contributions)
    if output["message"] is not None:
        yield "message", f'"{output["message"]["title"]}" {output["message"]["body"]}'
        yield from carried_lines(output["message"])
    moment = " ".join(filter(None, (curve_line(output), delays_line(output))))
    if moment:
        yield "moment", moment
    if output["ask_again_at"] is not None:
        yield "ask again", f"at {output['ask_again_at']}"
    if output["degraded"]:
        yield "degraded", missing(output)
    yield from _guardrails(output)


def _risk(output: dict[str, Any], contributions: dict[str, float] | None) -> str:
    if output["risk"] is None:
        return "unknown"
    segment = f" ({output['segment']})" if output["segment"] else ""
    text = f"{output['risk']:.0%} chance of not coming back; outreach starts at {output['threshold']:.0%}{segment}"
    if output["cause"] is None:
        return text
    causes = sorted(((value, name) for name, value in (contributions or {}).items() if name != "base"), reverse=True)
    return text + f". In log-odds: {', '.join(f'{name} {value:+.2f}' for value, name in causes[:_LARGEST_CAUSES])}"


def _guardrails(output: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Arm, and its verdicts: those that stop it with their sentence, unless the decision has said it, then the others by name."""
    verdicts = output["verdicts"]
    for arm in dict.fromkeys(verdict["arm"] for verdict in verdicts):
        of_arm = [verdict for verdict in verdicts if verdict["arm"] == arm]
        stopped = [_stopped(verdict, said=output["reason"]["sentence"]) for verdict in of_arm if not verdict["passed"]]
        passed = ", ".join(verdict["rule"] for verdict in of_arm if verdict["passed"])
        parts = [f"no: {', '.join(stopped)}"] * bool(stopped) + [f"yes: {passed}"] * bool(passed)
        yield "guardrails" if arm == _EVERYONE else arm, "; ".join(parts)


def _stopped(verdict: dict[str, Any], *, said: str) -> str:
    rule: str = verdict["rule"]
    return rule if verdict["sentence"] == said else f"{rule} ({verdict['sentence'].removesuffix('.')})"
