"""One decision in plain words: who, what, why, and every guardrail's verdict."""

from __future__ import annotations

from typing import Any

import orjson
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from serving.cli.carried import carried_lines
from serving.cli.moments import advice, curve_table, delays_line
from serving.cli.terminal import readable_parts

_MISSING = {
    "model_missing": "no model is loaded",
    "features_unavailable": "the user's events could not be read",
    "features_stale": "what is known of the user is older than the policy allows",
    "timeline_newer": "a newer version wrote the user's timeline; upgrade this process",
    "profile_unavailable": "the user's profile could not be read",
    "ledger_unavailable": "past contacts could not be read",
    "user_erased": "the user was erased",
}


def print_story(receipt: bytes, *, console: Console | None = None) -> None:
    """Print what a receipt says."""
    recorded = readable_parts(orjson.loads(receipt))
    (console or Console(highlight=False)).print(story(recorded["output"], causes=recorded["inputs"]["contributions"]))


def story(output: dict[str, Any], *, causes: dict[str, float] | None = None) -> Panel:
    """Tell a decision as a panel.

    Parameters
    ----------
    output
        The decision as the API answers it.
    causes
        Log-odds by cause, where the receipt has them.
    """
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column()
    for name, text in _facts(output, causes):
        facts.add_row(name, escape(text))
    curve = curve_table(output)
    slots: list[RenderableType] = [] if curve is None else [curve, ""]
    body = Group(facts, "", *slots, _verdicts(output["verdicts"]))
    return Panel(body, title=escape(title_of(output)), title_align="left", border_style=colour(output))


def title_of(output: dict[str, Any]) -> str:
    """Who, and what is sent."""
    if output["message"] is None:
        return f"{output['user_id']}: no message ({output['reason']['code']})"
    return f"{output['user_id']}: {output['message']['class']} by {output['message']['channel']}"


def colour(output: dict[str, Any]) -> str:
    """Green where something is sent, yellow where something was missing."""
    if output["degraded"]:
        return "yellow"
    return "green" if output["action"] == "send" else "blue"


def missing(output: dict[str, Any]) -> str:
    """What was missing when this was decided, in words."""
    return "; ".join(_MISSING.get(code, code) for code in output["degraded"])


def _facts(output: dict[str, Any], causes: dict[str, float] | None) -> list[tuple[str, str]]:
    facts = [("decision", output["reason"]["sentence"]), ("risk", _risk(output))]
    if output["cause"] is not None:
        facts.append(("cause", _cause(output["cause"], causes)))
    if output["message"] is not None:
        message = output["message"]
        told, channel = f"{message['title']}\n{message['body']}", f"{message['channel']} ({message['class']})"
        facts += [("message", told), *carried_lines(message), ("channel", channel)]
    if output["moment"] is not None:
        facts.append(("moment", _moment(output)))
    if output["degraded"]:
        facts.append(("degraded", missing(output)))
    facts.append(("decision id", output["decision_id"]))
    return facts


def _risk(output: dict[str, Any]) -> str:
    if output["risk"] is None:
        return "unknown"
    segment = f" for {output['segment']}" if output["segment"] else ""
    return f"{output['risk']:.0%} chance of not coming back; outreach starts at {output['threshold']:.0%}{segment}"


def _cause(cause: dict[str, Any], causes: dict[str, float] | None) -> str:
    share = "" if cause["contribution"] is None else f" ({cause['contribution']:+.2f} log-odds)"
    others = sorted(((value, name) for name, value in (causes or {}).items() if name not in {"base", cause["group"]}), reverse=True)
    beside = ", ".join(f"{name} {value:+.2f}" for value, name in others[:3])
    return f"{cause['group']}{share}. {cause['sentence'] or ''}" + (f" Beside it: {beside}." if beside else "")


def _moment(output: dict[str, Any]) -> str:
    moment = output["moment"]
    return " ".join(filter(None, (f"{moment['sentence']} ({moment['send_at']})", advice(output), delays_line(output))))


def _verdicts(verdicts: list[dict[str, Any]]) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for column in ("arm", "guardrail", "", "in words"):
        table.add_column(column, no_wrap=column != "in words")
    for verdict in verdicts:
        mark = "[green]yes[/]" if verdict["passed"] else "[red]no[/]"
        words = verdict["sentence"]
        if verdict["allowed_from"]:
            words += f" Allowed from {verdict['allowed_from']}."
        table.add_row(escape(verdict["arm"]), escape(verdict["rule"]), mark, escape(words))
    return table
