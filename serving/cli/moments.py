"""When, for people: the benefit curve of a decision, slot by slot, and what chance had to choose from for its moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from rich.markup import escape
from rich.table import Table

_MINUTE = timedelta(minutes=1)
_ADVICE = {
    "better_slot": "A later slot is expected to help clearly more.",
    "no_better_time_than_now": "No later slot is expected to help clearly more.",
    "not_enough_data": "Whether waiting would help more is not known: no trial has shown it for this message.",
    "no_allowed_slot": "None of the slots is allowed; it goes as soon as it may.",
}
_CAPTION = (
    "away: chance of not being back by then. usual: the hour, for this user; 1x is average. benefit: what it takes off the risk [90 %]."
)


def advice(output: dict[str, Any]) -> str | None:
    """What the curve says, in words; None where there is none."""
    moment = output["moment"]
    return None if moment is None or moment["advice"] is None else _ADVICE[moment["advice"]]


def curve_line(output: dict[str, Any]) -> str | None:
    """Advice and curve in a line or two; None where there is no curve.

    Examples
    --------
    >>> at = ["2026-03-02T08:00:00Z", "2026-03-02T14:00:00Z"]
    >>> slots = [{"at": at[0], "still_away": 1.0, "expected": None}, {"at": at[1], "still_away": 0.94, "expected": None}]
    >>> curve_line({"as_of": at[0], "moment": {"advice": "no_allowed_slot", "curve": slots}})
    'None of the slots is allowed; it goes as soon as it may. Still away: now 100%, after 6h 94%.'
    """
    said = advice(output)
    if said is None:
        return None
    slots = [(_after(slot["at"], output), slot) for slot in output["moment"]["curve"]]
    away = ", ".join([f"{after} {slot['still_away']:.0%}" for after, slot in slots])
    helps = ", ".join([f"{after} {slot['expected']:+.3f}" for after, slot in slots if slot["expected"] is not None])
    return f"{said} Still away: {away}." + (f" Takes away of the risk: {helps}." if helps else "")


def curve_table(output: dict[str, Any]) -> Table | None:
    """Every candidate slot, what is expected of it, and why it is allowed or not; None where there is no curve."""
    if advice(output) is None:
        return None
    table = Table(box=None, padding=(0, 1), header_style="dim", caption=_CAPTION, caption_justify="left")
    for column in ("slot", "at (UTC)", "away", "usual", "benefit", "allowed"):
        table.add_column(column, no_wrap=True)
    for slot in output["moment"]["curve"]:
        mark = "[green]yes[/]" if slot["allowed"] else f"[red]no[/] ({escape(slot['code'])})"
        usual = f"{slot['receptive']:.1f}x"
        table.add_row(
            _after(slot["at"], output),
            f"{datetime.fromisoformat(slot['at']):%m-%d %H:%M}",
            f"{slot['still_away']:.0%}",
            usual,
            _expected(slot),
            mark,
        )
    return table


def delays_line(output: dict[str, Any]) -> str | None:
    """What chance had to choose from for the moment; None where the policy leaves no moment to chance."""
    delays = output.get("delays")
    if delays is None:
        return None
    who = "Chance chose among" if delays["drawn"] else "Left to the policy; chance could have chosen among"
    return f"{who} {', '.join(_delays(delays, output))}."


def _delays(delays: dict[str, Any], output: dict[str, Any]) -> Iterator[str]:
    for slot in delays["slots"]:
        facts = [f"{slot['propensity']:.0%}" if slot["code"] == "ok" else slot["code"], *["the policy's own"] * slot["own"]]
        yield f"{_after(slot['at'], output)} ({', '.join(facts)})"


def _expected(slot: dict[str, Any]) -> str:
    return "not known" if slot["expected"] is None else f"{slot['expected']:+.2f} [{slot['low']:+.2f}, {slot['high']:+.2f}]"


def _after(at: str, output: dict[str, Any]) -> str:
    """How long after as_of, to the minute: ``now``, ``after 6h``, ``after 8h 23m``."""
    hours, minutes = divmod(round((datetime.fromisoformat(at) - datetime.fromisoformat(output["as_of"])) / _MINUTE), 60)
    parts = [f"{hours}h"] * bool(hours) + [f"{minutes}m"] * bool(minutes)
    return f"after {' '.join(parts)}" if parts else "now"
