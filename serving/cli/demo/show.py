"""What the demo prints of its decisions: each in plain words, its guardrails and its JSON in a few lines, and one of them whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from serving.cli.demo.play import Played
from serving.cli.story import colour, title_of

_EVERYONE = "*"
_LARGEST_CAUSES = 3
_ESSENTIAL = {"reason": ("code",), "cause": ("group",), "message": ("id", "class", "channel"), "moment": ("send_at",)}


def show(played: Sequence[Played], *, n_same: int, console: Console) -> None:
    """Print all decisions; the first one also whole."""
    for one in played:
        console.print(panel(one))
    console.print("The first of them whole, as the service answered it (all of them: stillhere demo --json):")
    console.print(whole(orjson.loads(played[0].answer)), markup=False)
    console.print(f"Replayed from their receipts: {n_same} of {len(played)} decisions came out the same, byte for byte.")


def panel(played: Played) -> Panel:
    """Tell one decision in about a dozen lines, and say nothing twice."""
    receipt = orjson.loads(played.receipt)
    output, contributions = receipt["output"], receipt["inputs"]["contributions"]
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column()
    facts.add_row("what happened", escape(played.headline))
    facts.add_row("decision", escape(output["reason"]["sentence"]))
    facts.add_row("risk", escape(_risk(output, contributions)))
    if output["message"] is not None:
        facts.add_row("message", escape(f'"{output["message"]["title"]}" {output["message"]["body"]}'))
    for arm, words in _guardrails(output):
        facts.add_row(arm, escape(words))
    facts.add_row("as JSON", escape(_json(_essentials(output))), style="dim")
    return Panel(
        facts,
        title=escape(title_of(output)),
        title_align="left",
        subtitle=output["decision_id"],
        subtitle_align="left",
        border_style=colour(output),
    )


def whole(output: dict[str, Any]) -> str:
    """A decision as JSON, a key a line."""
    return "{" + ",\n ".join(f"{_json(key)}:{_json(value)}" for key, value in output.items()) + "}"


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


def _essentials(output: dict[str, Any]) -> dict[str, Any]:
    """A part of the answer, under the answer's own keys."""
    kept = {"action": output["action"], "risk": output["risk"] and round(output["risk"], 4)}
    for name, keys in _ESSENTIAL.items():
        part = output[name]
        kept[name] = None if part is None else {key: part[key] for key in keys}
    return kept


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ":"))  # the spaces let a terminal wrap it
