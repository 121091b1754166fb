"""What the demo prints of its decisions: each in plain words, its guardrails and its JSON in a few lines, and one of them whole."""

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
    console.print("One of them whole, as the service answered it (all of them: stillhere demo --json):")
    console.print(whole(orjson.loads(first_of_its_own(played).answer)), markup=False)
    console.print(f"Replayed from their receipts: {n_same} of {len(played)} decisions came out the same, byte for byte.")


def panel(played: Played) -> Panel:
    """Tell what happened to one user and what was decided, in about a dozen lines."""
    before = {"what happened": played.headline, **({"chance": played.chance} if played.chance else {})}
    return brief(played.receipt, before=before, after={"as JSON": _json(_essentials(orjson.loads(played.answer)))})


def whole(output: dict[str, Any]) -> str:
    """A decision as JSON, a key a line."""
    return "{" + ",\n ".join(f"{_json(key)}:{_json(value)}" for key, value in output.items()) + "}"


def _essentials(output: dict[str, Any]) -> dict[str, Any]:
    """A part of the answer, under the answer's own keys."""
    kept = {"action": output["action"], "risk": output["risk"] and round(output["risk"], 4)}
    for name, keys in _ESSENTIAL.items():
        part = output[name]
        kept[name] = None if part is None else {key: part[key] for key in keys}
    return kept


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ":"))  # the spaces let a terminal wrap it
