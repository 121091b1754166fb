"""What the demo prints of its decisions: each in plain words, its guardrails and its JSON in a few lines, and one of them whole.

JSON stands outside of the panels, and a line of it is wrapped by the terminal alone: what is copied from there is JSON again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import orjson
from rich.console import Console
from rich.panel import Panel

from serving.cli.brief import brief
from serving.cli.demo.play import Played, first_of_its_own

_ESSENTIAL = {"reason": ("code",), "cause": ("group",), "message": ("id", "class", "channel"), "moment": ("send_at",)}


def show(played: Sequence[Played], *, n_same: int, console: Console) -> None:
    """Print all decisions; the first one that chance had no part in also whole."""
    for one in played:
        console.print(panel(one))
        _print_json(f"as JSON: {_json(_essentials(orjson.loads(one.answer)))}", console)
    console.print("One of them whole, as the service answered it (all of them: stillhere demo --json):")
    _print_json(whole(orjson.loads(first_of_its_own(played).answer)), console)
    console.print(f"Replayed from their receipts: {n_same} of {len(played)} decisions came out the same, byte for byte.")


def panel(played: Played) -> Panel:
    """Tell what happened to one user and what was decided, in about a dozen lines."""
    return brief(played.receipt, before={"what happened": played.headline, **({"chance": played.chance} if played.chance else {})})


def whole(output: dict[str, Any]) -> str:
    """A decision as JSON: a key a line, and what stands in a list a line each."""
    return "{" + ",\n ".join(f"{_json(key)}:{_of_lines(value)}" for key, value in output.items()) + "}"


def _of_lines(value: Any) -> str:
    if not isinstance(value, list) or not value:
        return _json(value)
    return "[\n  " + ",\n  ".join(_json(item) for item in value) + "]"


def _print_json(text: str, console: Console) -> None:
    console.print(text, markup=False, soft_wrap=True, style="dim")


def _essentials(output: dict[str, Any]) -> dict[str, Any]:
    """A part of the answer, under the answer's own keys."""
    kept = {"action": output["action"], "risk": output["risk"] and round(output["risk"], 4)}
    for name, keys in _ESSENTIAL.items():
        part = output[name]
        kept[name] = None if part is None else {key: part[key] for key in keys}
    return kept


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ":"))
