"""Replay: make a recorded decision again, and say apart whether decision, score and features come out the same.

Three questions with three answers. The *decision* from the recorded inputs must be the same bytes. The *score* from the recorded features
must agree within 1e-9 under the same model. The *features* from the stored timeline must be equal, NaN with NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import orjson

from features.core.kernel import vector
from features.core.program import Program
from serving.decision.canonical import canonical
from serving.decision.decide import decide
from serving.decision.output import RULES_VERSION, output_json
from serving.decision.policy import Policy
from serving.decision.record import inputs_from_json
from serving.decision.values import Inputs
from serving.policy_file import policy_from_document
from serving.ports import Ledger, PolicyArchive, Scorer

SCORE_TOLERANCE = 1e-9
"""How far a re-computed risk may lie from the recorded one."""


class ReplayError(Exception):
    """The receipt cannot be replayed; it is no receipt, or the policy that decided is not in the archive."""


class Outcome(StrEnum):
    """What one part of a replay came to."""

    SAME = "same"
    DIFFERENT = "different"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One question's answer."""

    outcome: Outcome
    detail: str = ""  # why it was not checked, or by how much it differs
    differences: tuple[str, ...] = ()  # "path: recorded -> replayed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """Three answers and the bytes that came out."""

    decision_id: str
    output: bytes  # of the replay; equal to the recorded output when the decision is the same
    decision: Part
    score: Part
    features: Part

    @property
    def is_same(self) -> bool:
        """Nothing that could be checked differs."""
        return Outcome.DIFFERENT not in (self.decision.outcome, self.score.outcome, self.features.outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayer:
    """Replays receipts with what is at hand; a part for which something is missing is reported as not checked."""

    archive: PolicyArchive
    ledger: Ledger | None = None  # for the stored timeline
    scorer: Scorer | None = None
    program: Program | None = None
    policies: dict[str, Policy] = field(default_factory=dict, repr=False, compare=False)  # by hash, those that receipts named so far

    def replay(self, receipt: bytes, *, policy: Policy | None = None) -> ReplayReport:
        """Replay one receipt, under the policy that decided or under another.

        Under another policy the decision may differ, and the differences say what it would have done. A message whose cause was never
        asked for then falls back to the trigger's own cause: contributions are recorded only where an arm was open.

        Raises
        ------
        ReplayError
            If the bytes are no receipt, or no policy is given and the archive lacks the one that decided.
        """
        recorded, inputs = _read(receipt)
        used = policy or self._policy(recorded["versions"]["policy"])
        versions = {**recorded["versions"], "policy": used.hash}
        output = output_json(decide(inputs, used), versions)
        return ReplayReport(
            decision_id=inputs.decision_id,
            output=output,
            decision=_decision_part(canonical(recorded["output"]), output, rules_version=recorded.get("rules_version", _FIRST_RULES)),
            score=self._score_part(recorded, inputs),
            features=self._feature_part(recorded, inputs),
        )

    def _policy(self, policy_hash: str) -> Policy:
        if policy_hash not in self.policies:  # reading one takes as long as many decisions
            document = self.archive.load(policy_hash)
            if document is None:
                raise ReplayError(
                    f"the archive has no policy {policy_hash}, which made this decision; name a policy file to replay against"
                )
            if len(self.policies) == _POLICIES:
                self.policies.clear()
            self.policies[policy_hash] = policy_from_document(document)
        return self.policies[policy_hash]

    def _score_part(self, recorded: Mapping[str, Any], inputs: Inputs) -> Part:
        if inputs.risk is None or not inputs.features:
            return _unchecked("the decision had no risk")
        if self.scorer is None or self.scorer.version != recorded["versions"]["model"]:
            at_hand = "none" if self.scorer is None else self.scorer.version
            return _unchecked(f"the model at hand is {at_hand}, the one that scored is {recorded['versions']['model']}")
        if self.program is None or self.program.catalogue.fingerprint != recorded["versions"]["features"]:
            return _unchecked(f"the features at hand are not {recorded['versions']['features']}")
        # A receipt's keys are sorted; the model wants the catalogue's order.
        row = np.array([[inputs.features[name] for name in self.program.catalogue.feature_names]])
        again = float(self.scorer.risk(row, [{**inputs.profile, **inputs.ages}])[0])
        difference = abs(again - inputs.risk)
        outcome = Outcome.SAME if difference <= SCORE_TOLERANCE else Outcome.DIFFERENT
        return Part(outcome=outcome, detail=f"differs by {difference:.3g}, allowed {SCORE_TOLERANCE:g}")

    def _feature_part(self, recorded: Mapping[str, Any], inputs: Inputs) -> Part:
        if not inputs.features:
            return _unchecked("the decision had no features")
        if self.program is None or self.program.catalogue.fingerprint != recorded["versions"]["features"]:
            return _unchecked(f"the features at hand are not {recorded['versions']['features']}")
        packed = None if self.ledger is None else self.ledger.timeline(recorded["product"], inputs.user_id, recorded["timeline"]["hash"])
        if packed is None:
            return _unchecked("the timeline is not in the ledger")
        names = self.program.catalogue.feature_names
        again = dict(zip(names, vector(packed, inputs.as_of_us, self.program).tolist(), strict=True))
        differences = tuple(
            f"{name}: {inputs.features[name]} -> {again[name]}" for name in names if not _equal(inputs.features[name], again[name])
        )
        return Part(outcome=Outcome.DIFFERENT if differences else Outcome.SAME, differences=differences)


def differences(recorded: Any, replayed: Any, path: str = "") -> Iterator[str]:
    """Where two JSON values differ, one line a place.

    Examples
    --------
    >>> list(differences({"action": "none", "arms": [1]}, {"action": "send", "arms": [1, 2]}))
    ['action: "none" -> "send"', 'arms[1]: nothing -> 2']
    """
    if isinstance(recorded, dict) and isinstance(replayed, dict):
        for key in sorted(recorded.keys() | replayed.keys()):
            yield from differences(recorded.get(key, _NOTHING), replayed.get(key, _NOTHING), f"{path}.{key}".lstrip("."))
    elif isinstance(recorded, list) and isinstance(replayed, list):
        for index in range(max(len(recorded), len(replayed))):
            pair = [items[index] if index < len(items) else _NOTHING for items in (recorded, replayed)]
            yield from differences(pair[0], pair[1], f"{path}[{index}]")
    elif recorded is _NOTHING or replayed is _NOTHING or canonical(recorded) != canonical(replayed):
        yield f"{path}: {_text(recorded)} -> {_text(replayed)}"


_POLICIES = 16
"""So many a replayer keeps: each holds what its rules remember."""
_NOTHING = object()
_FIRST_RULES = 1  # of receipts that carry no version


def _text(value: Any) -> str:
    return "nothing" if value is _NOTHING else canonical(value).decode()


def _read(receipt: bytes) -> tuple[dict[str, Any], Inputs]:
    try:
        recorded = orjson.loads(receipt)
        return recorded, inputs_from_json(recorded["inputs"])
    except (ValueError, KeyError, TypeError) as exc:
        raise ReplayError(
            f"this is no receipt ({type(exc).__name__}: {exc}); expected the JSON that GET /v1/decisions/<id> answers"
        ) from exc


def _decision_part(recorded: bytes, replayed: bytes, *, rules_version: int) -> Part:
    if recorded == replayed:
        return Part(outcome=Outcome.SAME)
    detail = "" if rules_version == RULES_VERSION else f"decided by version {rules_version} of the rules, replayed by {RULES_VERSION}"
    found = differences(orjson.loads(recorded), orjson.loads(replayed))
    return Part(outcome=Outcome.DIFFERENT, detail=detail, differences=tuple(found))


def _unchecked(why: str) -> Part:
    return Part(outcome=Outcome.NOT_CHECKED, detail=why)


def _equal(left: float, right: float) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right))
