"""The receipt: everything that one decision depended on, as canonical JSON; and the order that goes to the outbox."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import orjson

from serving.decision.canonical import canonical, iso
from serving.decision.content import carried
from serving.decision.output import RULES_VERSION
from serving.decision.record import inputs_to_object
from serving.decision.values import Action, Decision, Inputs
from serving.use_case.knowledge import Known

SCHEMA_VERSION = 1
"""Raised whenever a field of the receipt changes its meaning."""


def receipt_json(known: Known, inputs: Inputs, output: bytes, *, hash_: str, product: str, versions: Mapping[str, str | None]) -> bytes:
    """Canonical JSON: the inputs as they went into `decide`, what they were computed from, and the very output.

    ``freshness_us`` is as_of minus the newest known event: what we did not know for how long; null when no event is known.
    """
    receipt = {
        "schema_version": SCHEMA_VERSION,
        "rules_version": RULES_VERSION,
        "decision_id": inputs.decision_id,
        "product": product,
        "inputs": inputs_to_object(inputs),
        "timeline": {
            "hash": hash_,
            "n_events": known.n_events,
            "newest_known_us": known.newest_known_us,
            "coverage_start_us": known.coverage_start_us,
            "freshness_us": known.as_of_us - known.newest_known_us if known.newest_known_us else None,
        },
        "versions": dict(versions),
        "output": orjson.Fragment(output),
    }
    return canonical(receipt)


def output_of(receipt: bytes) -> bytes:
    """The output that a receipt recorded, in the bytes in which it was answered."""
    return canonical(orjson.loads(receipt)["output"])


def timeline_hash(packed: bytes) -> str:
    """16 hex digits that name a version of a timeline.

    Examples
    --------
    >>> timeline_hash(b"")
    'e3b0c44298fc1c14'
    """
    return hashlib.sha256(packed).hexdigest()[:16]


def delivery_order(decision: Decision) -> bytes:
    """What a sender needs to deliver the message; b"" when there is none."""
    if decision.action is not Action.SEND or decision.send_at_us is None or decision.message_class is None:
        return b""
    return canonical(
        {
            "decision_id": decision.decision_id,
            "user_id": decision.user_id,
            "channel": decision.channel,
            "class": decision.message_class.value,
            "message_id": decision.message_id,
            "title": decision.title,
            "body": decision.body,
            **carried(decision.content, decision.blocks),
            "send_at": iso(decision.send_at_us),
            "expires_at": None if decision.expires_at_us is None else iso(decision.expires_at_us),
        }
    )
