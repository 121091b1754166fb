"""Another policy over past decisions: what it would have sent, to whom, and with which chances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from features.core.event import to_us
from serving.carried_contacts import CarriedContacts
from serving.decision.decide import Judgement, Treatment, judged
from serving.decision.output import output_object
from serving.decision.policy import Policy
from serving.decision.values import Inputs
from serving.replay import Replayer, ReplayError
from serving.replay_many import what_was_done
from serving.use_case.recorded import ReceiptError, read_receipt

V = TypeVar("V")
Chances = tuple[Mapping[Treatment, float], Mapping[Treatment, float]]

ACTING = ("send", "stage")
"""A decision of staging counts as what it would have done: that is what staging is for."""
_MOST_NAMED, _MOST_FAULTS = 100, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Redecided:
    """One decision: what was done, and the chances that either policy gives it and the rest, see `compared`."""

    user_id: str
    as_of: str  # ISO 8601
    arm: str  # that was taken, at its moment
    logged: Mapping[str, float]  # chances under the policy that decided
    chances: Mapping[str, float]  # under the other policy


@dataclass(slots=True, kw_only=True)
class Backtest:
    """Counts of what was sent and what would have been; users once each, decisions singly only where their value is asked for."""

    decisions: int = 0
    unreadable: int = 0
    faults: list[str] = field(default_factory=list)  # of the first unreadable ones
    sent_before: int = 0
    sent_after: int = 0
    sent_only_after: int = 0  # decisions
    sent_only_before: int = 0
    by_fallback: int = 0  # of those sent only after: no cause was recorded, since every arm was closed
    moves: Counter[tuple[str, str]] = field(default_factory=Counter)
    counts: dict[str, dict[str, list[int]]] = field(
        default_factory=lambda: {name: {} for name in ("channel", "message", "segment", "trigger")}
    )
    redecided: list[Redecided] | None = field(default_factory=list)  # None: they are not kept
    chances_unknown: int = 0  # decisions that cannot be valued: nobody knows what else the policy that made them could have done
    _contacted: dict[str, list[bool]] = field(default_factory=dict)  # each user: before, after
    _policies: set[str] = field(default_factory=set)
    _alike: dict[Any, Any] = field(default_factory=dict)  # ids and chances are few and stand in many decisions

    @property
    def users(self) -> int:
        """How many different users."""
        return len(self._contacted)

    @property
    def policies(self) -> int:
        """How many different policies decided."""
        return len(self._policies)

    @property
    def newly_contacted(self) -> list[str]:
        """Users to whom something would have been sent and nothing was."""
        return self._users_who(before=False, after=True)

    @property
    def no_longer_contacted(self) -> list[str]:
        """Users to whom something was sent and nothing would have been."""
        return self._users_who(before=True, after=False)

    def _users_who(self, *, before: bool, after: bool) -> list[str]:
        return [user_id for user_id, contacted in self._contacted.items() if contacted == [before, after]]

    def tables(self) -> dict[str, dict[str, tuple[int, int]]]:
        """Sent before and after, by channel, message, segment and trigger; most changed first."""
        return {
            title: {
                name: (before, after)
                for name, (before, after) in sorted(rows.items(), key=lambda row: (-abs(row[1][1] - row[1][0]), row[0]))
            }
            for title, rows in self.counts.items()
        }

    def add(self, before: dict[str, Any], after: dict[str, Any], chances: Chances | None = None, *, lacks_cause: bool = False) -> None:
        """Count one decision: its recorded output, and that of the other policy.

        Parameters
        ----------
        chances
            Of each arm at each moment, under the policy that decided and under the other; None where they are not known.
        lacks_cause
            Nobody asked then why the risk is what it is.
        """
        self.decisions += 1
        self._policies.add(before["versions"]["policy"])
        self._count_sends(before, after, lacks_cause=lacks_cause)
        if what_was_done(before) != what_was_done(after):
            self.moves[what_was_done(before), what_was_done(after)] += 1
        if self.redecided is not None:
            self._keep(self.redecided, before, chances)

    def _count_sends(self, before: dict[str, Any], after: dict[str, Any], *, lacks_cause: bool) -> None:
        was, would = before["action"] in ACTING, after["action"] in ACTING
        self.sent_before += was
        self.sent_after += would
        self.sent_only_before += was and not would
        self.sent_only_after += would and not was
        self.by_fallback += would and not was and lacks_cause
        contacted = self._contacted.setdefault(before["user_id"], [False, False])
        for side, (output, is_sent) in enumerate(((before, was), (after, would))):
            if is_sent:
                contacted[side] = True
                self._count(side, output)

    def _count(self, side: int, output: dict[str, Any]) -> None:
        named = {
            "channel": output["message"]["channel"],
            "message": output["message"]["id"],
            "segment": output["segment"] or "none",
            "trigger": output["trigger"],
        }
        for title, name in named.items():
            self.counts[title].setdefault(name, [0, 0])[side] += 1

    def _keep(self, redecided: list[Redecided], before: dict[str, Any], chances: Chances | None) -> None:
        taken = None if chances is None else _taken(before, chances[0])
        if chances is None or taken is None:
            self.chances_unknown += 1
            return
        logged, other = compared(taken, *chances)
        one = Redecided(
            user_id=self._once(before["user_id"], before["user_id"]),
            as_of=before["as_of"],
            arm=self._once(taken[0], taken[0]),
            logged=self._once(tuple(logged.items()), logged),
            chances=self._once(tuple(other.items()), other),
        )
        redecided.append(one)

    def _once(self, key: Any, value: V) -> V:
        """The value that stood under the key first."""
        first: V = self._alike.setdefault(key, value)
        return first

    def to_json(self) -> dict[str, Any]:
        """Everything but the single decisions as plain values."""
        newly, no_longer = self.newly_contacted, self.no_longer_contacted
        return {
            "decisions": self.decisions,
            "users": self.users,
            "unreadable": self.unreadable,
            "chances_unknown": self.chances_unknown,
            "faults": self.faults,
            "sent": {"before": self.sent_before, "after": self.sent_after},
            "sent_only": {"before": self.sent_only_before, "after": self.sent_only_after, "after_by_fallback": self.by_fallback},
            **{f"by_{title}": {name: list(pair) for name, pair in rows.items()} for title, rows in self.tables().items()},
            "moves": [{"from": before, "to": after, "decisions": n} for (before, after), n in self.moves.most_common()],
            "newly_contacted": {"users": len(newly), "first": newly[:_MOST_NAMED]},
            "no_longer_contacted": {"users": len(no_longer), "first": no_longer[:_MOST_NAMED]},
        }


def compared(taken: Treatment, logged: Mapping[Treatment, float], other: Mapping[Treatment, float]) -> tuple[dict[str, float], ...]:
    """The chances of either policy by what they say of the one that was taken: its arm at its moment stands under the arm's name.

    What became of a user who was written to after six hours says nothing of writing at once: the same arm at another moment is something
    else that could have been done, and at a moment that the policy that decided would never have chosen something that it could not do.

    Examples
    --------
    Six hours were drawn, with now and one hour; the other policy would write now, or after two hours, which never was drawn.

    >>> logged = {("email", 0): 0.5, ("email", 1): 0.2, ("email", 6): 0.2, ("none", None): 0.1}
    >>> other = {("email", 0): 0.75, ("email", 2): 0.25}
    >>> compared(("email", 6), logged, other)[0]
    {'email': 0.2, 'email, at another moment': 0.7, 'none': 0.1}
    >>> compared(("email", 6), logged, other)[1]
    {'email, at a moment that could not be': 0.25, 'email, at another moment': 0.75}
    """
    together: tuple[dict[str, float], ...] = ({}, {})
    for chances, named in zip((logged, other), together, strict=True):
        for treatment, chance in chances.items():
            name = _name_beside(taken, treatment, logged)
            named[name] = named.get(name, 0.0) + chance
    return tuple(dict(sorted(named.items())) for named in together)


def _name_beside(taken: Treatment, treatment: Treatment, logged: Mapping[Treatment, float]) -> str:
    arm = treatment[0]
    if treatment not in logged:
        return f"{arm}, at a moment that could not be" if any(arm == could for could, _ in logged) else arm
    return arm if treatment == taken or arm != taken[0] else f"{arm}, at another moment"


def backtest_policy(receipts: Iterable[bytes], policy: Policy, *, policies: Replayer | None = None, for_value: bool = True) -> Backtest:
    """Decide every receipt again by the policy, on the contacts that it would have made itself so far.

    One that cannot be read is counted and costs no other. What is assumed of contacts is said in
    `serving.carried_contacts.CarriedContacts`. A message whose cause was never asked for falls back to the trigger's own cause, and goes at
    once: contributions and timing are recorded only where an arm was open. What was missing then, and behaviour that was stale by the
    limit of the policy that decided, is so again.

    Parameters
    ----------
    receipts
        In the order of their ``as_of``, those of one user at least (`serving.adapters.receipt_files.receipts_in_order`).
    policies
        Finds the policies that decided: what else they could have done is asked of them. Without it no decision in which an arm was open
        can be valued.
    for_value
        Keep what the estimate of a value needs, some 150 bytes a decision; without it memory grows with users alone.
    """
    found, carried = Backtest(redecided=[] if for_value else None), CarriedContacts(policy=policy)
    for number, receipt in enumerate(receipts, start=1):
        try:
            recorded, inputs = read_receipt(receipt)
        except ReceiptError as exc:
            found.unreadable += 1
            found.faults += [f"number {number}: {exc}"] if len(found.faults) < _MOST_FAULTS else []
            continue
        before, versions = recorded["output"], {**recorded["versions"], "policy": policy.hash}
        lacks_cause = inputs.contributions is None and inputs.risk is not None
        decision, judgement = carried.redecide(inputs, before)
        chances = _chances(inputs, before, judgement, policies) if for_value else None
        found.add(before, output_object(decision, versions), chances, lacks_cause=lacks_cause)
    return found


def _taken(output: dict[str, Any], logged: Mapping[Treatment, float]) -> Treatment | None:
    """What was done, as the chances have it; None where they do not have it, as of a decision by other rules."""
    message, arm, at_us = output["message"], "none", None
    if message is not None and output["moment"] is not None and output["action"] in ACTING:
        arm, at_us = f"{message['class']}/{message['channel']}", to_us(datetime.fromisoformat(output["moment"]["send_at"]))
    return next((one for one in ((arm, at_us), (arm, None)) if one in logged), None)


def _chances(inputs: Inputs, output: dict[str, Any], other: Judgement, policies: Replayer | None) -> Chances | None:
    """Under the policy that decided, which is asked itself: a receipt has the moments of that arm alone that was taken; and the other."""
    if all(arm["name"] == "none" or not arm["propensity"] for arm in output["arms"]):  # as for most users
        return {("none", None): 1.0}, other.chances()
    try:
        decided_by = None if policies is None else policies.policy_of(output["versions"]["policy"], decision_id=inputs.decision_id)
    except ReplayError:
        return None
    if decided_by is None:
        return None
    chances = judged(inputs, decided_by).chances(), other.chances()
    # Nobody asked then when a message would have gone that chance did not send.
    is_curve_missing = decided_by.timing is not None and not decided_by.exploration.draws_delays
    return (_whenever(chances[0]), _whenever(chances[1])) if is_curve_missing else chances


def _whenever(chances: Mapping[Treatment, float]) -> dict[Treatment, float]:
    """Of each arm, whatever its moment."""
    found: dict[Treatment, float] = {}
    for (arm, _), chance in chances.items():
        found[arm, None] = found.get((arm, None), 0.0) + chance
    return found
