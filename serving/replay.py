"""Replay: make a recorded decision again, and say apart whether decision, score and features come out the same.

Three questions with three answers. The *decision* from the recorded inputs must be the same bytes (under another policy:
the same but for its name and the order of arms and verdicts). The *score* from the recorded features
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
from features.core.timeline_format import NewerTimelineFormatError, TimelineFormatError
from serving.decision.canonical import canonical
from serving.decision.decide import decide
from serving.decision.output import RULES_VERSION, output_json
from serving.decision.policy import Policy
from serving.decision.values import Inputs
from serving.policy_file import policy_from_document
from serving.ports import Ledger, PolicyArchive, Scorer
from serving.use_case.receipt import timeline_hash
from serving.use_case.recorded import ReceiptError, read_receipt

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
    output: bytes  # of the replay; under the policy that decided: equal to the recorded output when the decision is the same
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

        Under another policy the decision may differ, and the differences say what it would have done. The policy's hash is then no part of
        the comparison, nor is the order of arms and verdicts. A message whose cause was never asked for falls back to the trigger's own
        cause: contributions are recorded only where an arm was open.

        Raises
        ------
        ReplayError
            If the bytes are no receipt: it says what of one is missing or of another kind; or as `replay_read`.
        """
        try:
            recorded, inputs = read_receipt(receipt)
        except ReceiptError as exc:
            raise ReplayError(str(exc)) from exc
        return self.replay_read(recorded, inputs, policy=policy)

    def replay_read(self, recorded: Mapping[str, Any], inputs: Inputs, *, policy: Policy | None = None) -> ReplayReport:
        """`replay` of a receipt that `serving.use_case.recorded.read_receipt` has read.

        Raises
        ------
        ReplayError
            If it lacks features of its catalogue; or no policy is given and the archive lacks the one that decided.
        """
        self._require_features(recorded, inputs)
        used = policy or self.policy_of(recorded["versions"]["policy"], decision_id=inputs.decision_id)
        versions = {**recorded["versions"], "policy": used.hash}
        output = output_json(decide(inputs, used), versions)
        return ReplayReport(
            decision_id=inputs.decision_id,
            output=output,
            decision=_decision_part(recorded, output, is_other=used.hash != recorded["versions"]["policy"]),
            score=self._score_part(recorded, inputs),
            features=self._feature_part(recorded, inputs),
        )

    def _require_features(self, recorded: Mapping[str, Any], inputs: Inputs) -> None:
        """Refuse a receipt that lacks features which its own catalogue, the one at hand, has."""
        if not inputs.features or self.program is None or self.program.catalogue.fingerprint != recorded["versions"]["features"]:
            return
        lacking = [name for name in self.program.catalogue.feature_names if name not in inputs.features]
        if lacking:
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            raise ReplayError(
                f"receipt {inputs.decision_id}: inputs.features.{lacking[0]}{more}: found nothing, expected all of the features "
                f"{recorded['versions']['features']}; take it anew from GET /v1/decisions/{inputs.decision_id}"
            )

    def policy_of(self, policy_hash: str, *, decision_id: str) -> Policy:
        """The policy of that hash, from the archive.

        Raises
        ------
        ReplayError
            If it is not there; it names the decision.
        """
        if policy_hash not in self.policies:  # reading one takes as long as many decisions
            document = self.archive.load(policy_hash)
            if document is None:
                raise ReplayError(
                    f"receipt {decision_id}: versions.policy: the archive has no policy {policy_hash}, which made this decision; "
                    "name a policy file to replay against"
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
        hash_, named = timeline_hash(packed), recorded["timeline"]["hash"]
        detail = "" if hash_ == named else f"the stored timeline is {hash_}, the one that was decided on {named}"
        try:
            numbers = vector(packed, inputs.as_of_us, self.program).tolist()
        except NewerTimelineFormatError as exc:
            return _unchecked(str(exc))
        except TimelineFormatError as exc:
            return Part(outcome=Outcome.DIFFERENT, detail=f"the stored timeline cannot be read: {exc}")
        differences = tuple(_different_features(inputs.features, dict(zip(self.program.catalogue.feature_names, numbers, strict=True))))
        return Part(outcome=Outcome.DIFFERENT if differences or detail else Outcome.SAME, detail=detail, differences=differences)


def differences(recorded: Any, replayed: Any, path: str = "", *, in_order: bool = True) -> Iterator[str]:
    """Where two JSON values differ, one line a place; in lists of arms and of verdicts each is compared with the one of its name.

    Parameters
    ----------
    in_order
        Also say where such a list comes in another order.

    Examples
    --------
    >>> list(differences({"action": "none", "codes": [1]}, {"action": "send", "codes": [1, 2]}))
    ['action: "none" -> "send"', 'codes[1]: nothing -> 2']
    >>> email, push = {"name": "email", "open": True}, {"name": "push", "open": False}
    >>> list(differences([email, push], [push, {**email, "open": False}], "arms", in_order=False))
    ['arms[email].open: true -> false']
    """
    if isinstance(recorded, dict) and isinstance(replayed, dict):
        for key in sorted(recorded.keys() | replayed.keys()):
            pair = recorded.get(key, _NOTHING), replayed.get(key, _NOTHING)
            yield from differences(*pair, f"{path}.{key}".lstrip("."), in_order=in_order)
    elif isinstance(recorded, list) and isinstance(replayed, list):
        before, after = _by_place(recorded, replayed)
        for place in dict.fromkeys((*before, *after)):
            yield from differences(before.get(place, _NOTHING), after.get(place, _NOTHING), f"{path}[{place}]", in_order=in_order)
        common = [[place for place in one if place in other] for one, other in ((before, after), (after, before))]
        if in_order and common[0] != common[1]:
            yield f"{path}: in another order"
    elif recorded is _NOTHING or replayed is _NOTHING or canonical(recorded) != canonical(replayed):
        yield f"{path}: {_text(recorded)} -> {_text(replayed)}"


def _by_place(*lists: list[Any]) -> list[dict[str, Any]]:
    """The items of each list by name if all have one and no two the same, else by index."""
    named = [{_name(item): item for item in items} for items in lists]
    if any("" in by_name or len(by_name) < len(items) for by_name, items in zip(named, lists, strict=True)):
        return [{str(index): item for index, item in enumerate(items)} for items in lists]
    return named


def _name(item: Any) -> str:
    """Of an arm, or of a verdict: rule and arm; "" of anything else."""
    if not isinstance(item, dict):
        return ""
    return str(item["name"]) if "name" in item else " ".join(str(item[key]) for key in ("arm", "rule") if key in item)


_POLICIES = 16
"""So many a replayer keeps: each holds what its rules remember."""
_NOTHING = object()
_FIRST_RULES = 1  # of receipts that carry no version


def _text(value: Any) -> str:
    return "nothing" if value is _NOTHING else canonical(value).decode()


def _decision_part(recorded: Mapping[str, Any], replayed: bytes, *, is_other: bool) -> Part:
    """``is_other``: it was replayed under another policy than decided."""
    output, again = recorded["output"], orjson.loads(replayed)
    if canonical(output) == replayed:
        return Part(outcome=Outcome.SAME)
    if is_other:
        output, again = _without_policy(output), _without_policy(again)
    found = tuple(differences(output, again, in_order=not is_other))
    if is_other and not found:
        return Part(outcome=Outcome.SAME)
    rules = recorded.get("rules_version", _FIRST_RULES)
    detail = "" if rules == RULES_VERSION else f"decided by version {rules} of the rules, replayed by {RULES_VERSION}"
    return Part(outcome=Outcome.DIFFERENT, detail=detail, differences=found)


def _without_policy(output: Mapping[str, Any]) -> dict[str, Any]:
    """The same, whatever policy decided."""
    return {**output, "versions": {name: version for name, version in output["versions"].items() if name != "policy"}}


def _unchecked(why: str) -> Part:
    return Part(outcome=Outcome.NOT_CHECKED, detail=why)


def _different_features(recorded: Mapping[str, float], again: Mapping[str, float]) -> Iterator[str]:
    for name, value in again.items():
        if not _equal(recorded[name], value):
            yield f"{name}: {recorded[name]} -> {value}"


def _equal(left: float, right: float) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right))
