"""``Idempotency-Key``: the same request again is the same decisions again."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
from concurrent.futures import Executor
from typing import Any

import orjson
from fastapi import Request

from serving.api.context import ApiContext
from serving.api.errors import ApiError
from serving.decision.ids import ENTROPY_BYTES
from serving.ports import Claim, LedgerError, Seed

_log = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")

PARAMETER = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    "description": (
        "1 to 255 visible ASCII characters of the caller's choice. For 24 hours the same key with the same body gives the same bytes, "
        "however often and from however many callers at once; with another body it is a conflict."
    ),
}


async def seed_of(request: Request, payload: Any, context: ApiContext, pool: Executor) -> Seed | None:
    """What the ids of the request's decisions follow from; None without a key.

    Where nobody can say what the key was used for before, the seed is lost: it is decided as if the ledger were away, and nothing is sent.

    Raises
    ------
    ApiError
        ``invalid_request`` for what is no key; ``idempotency_conflict`` where the key came with another body.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if _KEY.fullmatch(key) is None:
        raise ApiError(
            "invalid_request",
            f"{HEADER}: got {len(key)} characters, expected 1 to 255 of visible ASCII",
            field=HEADER,
            what_to_do="send a UUID, the same one with every retry of a request",
        )
    return await asyncio.get_running_loop().run_in_executor(pool, _claimed, key, _fingerprint(payload), context)


def _claimed(key: str, fingerprint: str, context: ApiContext) -> Seed:
    asked = Claim(fingerprint=fingerprint, seed=Seed(now_us=context.now_us(), entropy=os.urandom(ENTROPY_BYTES)))
    try:
        first = context.idempotency_keys.claim(context.product.name, key, asked)
    except LedgerError as exc:
        _log.warning("degraded: %s", exc)
        return Seed(now_us=0, entropy=b"", is_lost=True)
    if first.fingerprint != fingerprint:
        raise ApiError(
            "idempotency_conflict",
            f"{HEADER} {key!r} was used with another body within the last 24 hours",
            field=HEADER,
            what_to_do="use a new key for another request, and the same body with every retry",
        )
    return first.seed


def _fingerprint(payload: Any) -> str:
    """Of the content, not of its spelling: spaces and the order of keys may differ from try to try."""
    try:
        content = orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # half a surrogate pair, lists within lists: nothing that will be decided about
        content = repr(payload).encode(errors="backslashreplace")
    return hashlib.sha256(content).hexdigest()[:32]
