"""Many receipts replayed: how many come out the same, what differs, and what another policy would have done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from serving.decision.policy import Policy
from serving.replay import Outcome, Replayer, ReplayError, ReplayReport
from serving.use_case.recorded import ReceiptError, read_receipt

_MOST_EXAMPLES = 5
PARTS = ("decision", "score", "features")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One decision that came out otherwise."""

    decision_id: str
    part: str
    differences: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class ReplaySummary:
    """Counts over many replays."""

    receipts: int = 0
    outcomes: dict[str, Counter[str]] = field(default_factory=lambda: {part: Counter() for part in PARTS})
    unreadable: int = 0  # no receipt, or its policy is not in the archive
    other_rules: int = 0  # decisions that differ and were made by another version of the rules than this one
    paths: Counter[str] = field(default_factory=Counter)  # what of the decision differs, by its place in the output
    moves: Counter[tuple[str, str]] = field(default_factory=Counter)  # what was done and what would be, where they differ
    examples: list[Example] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)  # of the first unreadable ones

    @property
    def is_same(self) -> bool:
        """Nothing that could be checked differs, and everything could be read."""
        return not self.unreadable and not any(counts[Outcome.DIFFERENT] for counts in self.outcomes.values())

    def add(self, recorded: dict[str, Any], report: ReplayReport) -> None:
        """Count one replay."""
        self.receipts += 1
        for part in PARTS:
            answer = getattr(report, part)
            self.outcomes[part][answer.outcome.value] += 1
            if answer.outcome is Outcome.DIFFERENT and len(self.examples) < _MOST_EXAMPLES:
                self.examples.append(Example(decision_id=report.decision_id, part=part, differences=answer.differences or (answer.detail,)))
        if report.decision.outcome is Outcome.DIFFERENT:
            self.other_rules += bool(report.decision.detail)
            self.paths.update({difference.partition(":")[0].partition("[")[0] for difference in report.decision.differences})
            before, after = what_was_done(recorded), what_was_done(orjson.loads(report.output))
            if before != after:
                self.moves[before, after] += 1

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "receipts": self.receipts,
            "unreadable": self.unreadable,
            "same": self.is_same,
            **{part: dict(counts) for part, counts in self.outcomes.items()},
            "other_rules": self.other_rules,
            "differs": dict(self.paths.most_common()),
            "moves": [{"from": before, "to": after, "decisions": n} for (before, after), n in self.moves.most_common()],
            "examples": [{"decision_id": e.decision_id, "part": e.part, "differences": list(e.differences)} for e in self.examples],
            "faults": self.faults,
        }


def replay_all(receipts: Iterable[bytes], replayer_of: Callable[[str | None], Replayer], *, policy: Policy | None = None) -> ReplaySummary:
    """Replay every receipt, under the policy that decided or under another.

    One that cannot be replayed is counted and costs no other its answer.

    Parameters
    ----------
    replayer_of
        What replays decisions of a model version; None: of no model.
    """
    summary, replayers = ReplaySummary(), dict[str | None, Replayer]()
    for number, receipt in enumerate(receipts, start=1):
        try:
            content, inputs = read_receipt(receipt)
            version = content["versions"]["model"]
            if version not in replayers:
                replayers[version] = replayer_of(version)
            summary.add(content["output"], replayers[version].replay_read(content, inputs, policy=policy))
        except (ReceiptError, ReplayError) as exc:
            summary.unreadable += 1
            if len(summary.faults) < _MOST_EXAMPLES:
                summary.faults.append(f"number {number}: {exc}")
    return summary


def what_was_done(output: dict[str, Any]) -> str:
    """The decision in a few words.

    Examples
    --------
    >>> what_was_done({"action": "none", "reason": {"code": "no_consent"}, "message": None})
    'none (no_consent)'
    >>> what_was_done({"action": "send", "reason": {"code": "sent_by_x"}, "message": {"id": "hello", "channel": "email"}})
    'send hello by email'
    """
    message = output["message"]
    return (
        f"{output['action']} ({output['reason']['code']})"
        if message is None
        else f"{output['action']} {message['id']} by {message['channel']}"
    )
