"""The decision as the bytes that the API answers, the command line prints and the receipt keeps."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

from serving.decision.canonical import canonical, iso, iso_or_null
from serving.decision.content import carried
from serving.decision.values import Arm, Decision, Delays, SlotWord

RULES_VERSION = 7
"""Raised whenever a release may come to another output from the same policy and inputs; each receipt carries that of its decision.

7: outreach by a rule that asks for no risk answers the rule's own cause first; a trigger or a message that a switch alone kept back says
so. 6: a slot that costs too much says from when it costs less. 5: help that waits for a model says that the policy has it wait. 4: the
message is chosen before its moment, and the moment by a curve of its own; slots have their price. 3: an open arm that is not chosen says
why. 2: ``allowed_from`` and ``ask_again_at`` are the earliest instants. 1: before, and what a receipt without one was decided by.
"""


def output_json(decision: Decision, versions: Mapping[str, str | None]) -> bytes:
    """Canonical JSON: keys sorted, floats in their shortest exact form, instants in ISO 8601 UTC.

    Parameters
    ----------
    decision
        What was decided.
    versions
        Of the model, the policy and the features; None where there was none.
    """
    parts = _other_parts(decision, versions)
    parts["arms"] = orjson.Fragment(b"[%b]" % b",".join([_arm(arm) for arm in decision.arms]))
    parts["verdicts"] = orjson.Fragment(b"[%b]" % b",".join([verdict.json for verdict in decision.verdicts]))
    return canonical(parts)


def output_object(decision: Decision, versions: Mapping[str, str | None]) -> dict[str, Any]:
    """The same as plain values."""
    parts = _other_parts(decision, versions)
    parts["arms"] = [orjson.loads(_arm(arm)) for arm in decision.arms]
    parts["verdicts"] = [orjson.loads(verdict.json) for verdict in decision.verdicts]
    return parts


def _other_parts(decision: Decision, versions: Mapping[str, str | None]) -> dict[str, Any]:
    return {
        "decision_id": decision.decision_id,
        "user_id": decision.user_id,
        "as_of": iso(decision.as_of_us),
        "action": decision.action.value,
        "reason": {"code": decision.code, "sentence": decision.sentence},
        "risk": decision.risk,
        "threshold": decision.threshold,
        "segment": decision.segment,
        "segments": dict(decision.segments),
        "trigger": decision.trigger,
        "severity": decision.severity,
        "cause": _cause(decision),
        "message": _message(decision),
        "moment": _moment(decision),
        "ask_again_at": iso_or_null(decision.ask_again_at_us),
        "experiments": dict(decision.assignments),
        "degraded": [degradation.value for degradation in decision.degraded],
        "versions": dict(versions),
        **({} if decision.delays is None else {"delays": _delays(decision.delays)}),  # where chance chooses no moment, as before
    }


def _cause(decision: Decision) -> dict[str, Any] | None:
    if decision.cause is None:
        return None
    return {"group": decision.cause, "contribution": decision.contribution, "sentence": decision.cause_sentence}


def _message(decision: Decision) -> dict[str, Any] | None:
    if decision.message_class is None:
        return None
    return {
        "id": decision.message_id,
        "class": decision.message_class.value,
        "channel": decision.channel,
        "propensity": decision.message_propensity,
        "matched": decision.matched,
        "title": decision.title,
        "body": decision.body,
        **carried(decision.content, decision.blocks),
    }


def _moment(decision: Decision) -> dict[str, Any] | None:
    if decision.send_at_us is None:
        return None
    return {
        "send_at": iso(decision.send_at_us),
        "expires_at": iso_or_null(decision.expires_at_us),
        "sentence": decision.moment_sentence,
        "advice": decision.advice,
        "curve": [_slot(word) for word in decision.curve],
    }


def _slot(word: SlotWord) -> dict[str, Any]:
    slot = word.slot
    return {
        "at": iso(word.at_us),
        "allowed": word.code == "ok",
        "code": word.code,
        "still_away": slot.still_away,
        "receptive": slot.receptive,
        "expected": slot.expected,
        "low": slot.low,
        "high": slot.high,
    }


def _delays(delays: Delays) -> dict[str, Any]:
    taken = None if delays.taken is None else delays.slots[delays.taken]
    return {
        "drawn": delays.is_drawn,
        "delay_s": None if taken is None else taken.delay_us / 1e6,
        "propensity": None if taken is None else taken.propensity,
        "chance_of_each": delays.chance_of_each,
        "slots": [
            {"delay_s": slot.delay_us / 1e6, "at": iso(slot.at_us), "code": slot.code, "own": slot.is_own, "propensity": slot.propensity}
            for slot in delays.slots
        ],
    }


@lru_cache(maxsize=1024, typed=True)  # an arm is closed for few reasons, and most have the chance 0 or 1
def _arm(arm: Arm) -> bytes:
    return canonical(
        {
            "name": arm.name,
            "open": arm.open,
            "blocked_by": arm.blocked_by,
            "propensity": arm.propensity,
            "allowed_from": iso_or_null(arm.allowed_from_us),
        }
    )
