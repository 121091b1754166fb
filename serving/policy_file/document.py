"""A policy as canonical bytes that need neither ``policy.yaml`` nor ``product.yaml``: what receipts refer to by hash."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from typing import Any

import orjson
from pydantic import TypeAdapter

from serving.decision.policy import Policy

_NO_DELAYS: dict[str, Any] = {"delay_share": 0.0, "delays": ()}
_CARRIED = ("content", "blocks")


def policy_document(policy: Policy) -> bytes:
    """Canonical JSON of the whole policy but its hash: keys sorted, durations in ISO 8601.

    Delays that chance draws, content and blocks are named only where there are any, so that a policy without them keeps the hash that it
    had before.
    """
    content = _adapter().dump_python(policy, mode="json", exclude={"hash"})
    if policy.exploration == replace(policy.exploration, **_NO_DELAYS):
        for name in _NO_DELAYS:
            del content["exploration"][name]
    for message in content["messages"]:
        for name in [name for name in _CARRIED if not message[name]]:
            del message[name]
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def policy_from_document(document: bytes) -> Policy:
    """The inverse of `policy_document`.

    Raises
    ------
    pydantic.ValidationError
        If the bytes are no policy document.
    """
    return _adapter().validate_json(orjson.dumps({**orjson.loads(document), "hash": document_hash(document)}))


def with_hash(policy: Policy) -> Policy:
    """The policy under the hash of its own content."""
    return replace(policy, hash=document_hash(policy_document(policy)))


def document_hash(document: bytes) -> str:
    """16 hex digits of SHA-256: a policy's name in receipts, answers and the archive."""
    return hashlib.sha256(document).hexdigest()[:16]


@cache
def _adapter() -> TypeAdapter[Policy]:
    return TypeAdapter(Policy)
