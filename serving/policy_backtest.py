"""Another policy over past decisions: what it would have sent, to whom, and with which chances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from serving.decision.decide import decide
from serving.decision.output import output_object
from serving.decision.policy import Policy
from serving.decision.record import inputs_from_json
from serving.replay_many import what_was_done

ACTING = ("send", "stage")
"""A decision of staging counts as what it would have done: that is what staging is for."""
_MOST_NAMED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Redecided:
    """One decision: the arm that was taken, and the chances that either policy gives each arm."""

    decision_id: str
    user_id: str
    as_of: str  # ISO 8601
    arm: str  # that was taken
    logged: dict[str, float]  # chance of each arm under the policy that decided
    chances: dict[str, float]  # under the other policy


@dataclass(slots=True, kw_only=True)
class Backtest:
    """Counts of what was sent and what would have been."""

    decisions: int = 0
    unreadable: int = 0
    sent_before: int = 0
    sent_after: int = 0
    moves: Counter[tuple[str, str]] = field(default_factory=Counter)
    counts: dict[str, dict[str, list[int]]] = field(
        default_factory=lambda: {name: {} for name in ("channel", "message", "segment", "trigger")}
    )
    newly_contacted: list[str] = field(default_factory=list)  # users, the first hundred
    redecided: list[Redecided] = field(default_factory=list)
    _users: set[str] = field(default_factory=set)
    _policies: set[str] = field(default_factory=set)

    @property
    def users(self) -> int:
        """How many different users."""
        return len(self._users)

    @property
    def policies(self) -> int:
        """How many different policies decided."""
        return len(self._policies)

    def tables(self) -> dict[str, dict[str, tuple[int, int]]]:
        """Sent before and after, by channel, message, segment and trigger; most changed first."""
        return {
            title: {
                name: (before, after)
                for name, (before, after) in sorted(rows.items(), key=lambda row: (-abs(row[1][1] - row[1][0]), row[0]))
            }
            for title, rows in self.counts.items()
        }

    def add(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        """Count one decision: its recorded output, and that of the other policy."""
        self.decisions += 1
        self._users.add(before["user_id"])
        self._policies.add(before["versions"]["policy"])
        was, would = before["action"] in ACTING, after["action"] in ACTING
        self.sent_before += was
        self.sent_after += would
        if what_was_done(before) != what_was_done(after):
            self.moves[what_was_done(before), what_was_done(after)] += 1
        if would and not was and len(self.newly_contacted) < _MOST_NAMED:
            self.newly_contacted.append(before["user_id"])
        for side, output in enumerate((before, after)):
            if output["action"] in ACTING:
                self._count(side, output)
        self.redecided.append(
            Redecided(
                decision_id=before["decision_id"],
                user_id=before["user_id"],
                as_of=before["as_of"],
                arm=_arm_of(before),
                logged={arm["name"]: arm["propensity"] for arm in before["arms"]},
                chances={arm["name"]: arm["propensity"] for arm in after["arms"]},
            )
        )

    def _count(self, side: int, output: dict[str, Any]) -> None:
        named = {
            "channel": output["message"]["channel"],
            "message": output["message"]["id"],
            "segment": output["segment"] or "none",
            "trigger": output["trigger"],
        }
        for title, name in named.items():
            self.counts[title].setdefault(name, [0, 0])[side] += 1

    def to_json(self) -> dict[str, Any]:
        """Everything but the single decisions as plain values."""
        return {
            "decisions": self.decisions,
            "users": self.users,
            "unreadable": self.unreadable,
            "sent": {"before": self.sent_before, "after": self.sent_after},
            **{f"by_{title}": {name: list(pair) for name, pair in rows.items()} for title, rows in self.tables().items()},
            "moves": [{"from": before, "to": after, "decisions": n} for (before, after), n in self.moves.most_common()],
            "newly_contacted": self.newly_contacted,
        }


def backtest_policy(receipts: Iterable[bytes], policy: Policy) -> Backtest:
    """Decide every receipt again by the policy; one that cannot be read is counted and costs no other.

    A message whose cause was never asked for then falls back to the trigger's own cause: contributions are recorded only where an arm was
    open.
    """
    found = Backtest()
    for receipt in receipts:
        try:
            recorded = orjson.loads(receipt)
            inputs, before = inputs_from_json(recorded["inputs"]), recorded["output"]
            versions = {**recorded["versions"], "policy": policy.hash}
            found.add(before, output_object(decide(inputs, policy), versions))
        except (ValueError, KeyError, TypeError):
            found.unreadable += 1
    return found


def _arm_of(output: dict[str, Any]) -> str:
    message = output["message"]
    return "none" if message is None or output["action"] not in ACTING else f"{message['class']}/{message['channel']}"
