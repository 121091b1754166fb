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


def key_of(request: Request) -> str | None:
    """Return the key of the request, None without one; nothing is claimed yet.

    Raises
    ------
    ApiError
        ``invalid_request`` for what is no key, or for more than one.
    """
    keys = request.headers.getlist(HEADER)
    return _checked(keys) if keys else None


async def seed_of(key: str | None, payload: Any, context: ApiContext, pool: Executor) -> Seed | None:
    """What the ids of the request's decisions follow from; None without a key.

    Claims the key, so ask for a body that will be decided about: a refused one leaves its key to the body that corrects it.
    Where nobody can say what the key was used for before, the seed is lost: it is decided as if the ledger were away, and nothing is sent.

    Raises
    ------
    ApiError
        ``idempotency_conflict`` where the key came with another body.
    """
    if key is None:
        return None
    return await asyncio.get_running_loop().run_in_executor(pool, _claimed, key, _fingerprint(payload), context)


def _checked(keys: list[str]) -> str:
    """Return the one key there is; of two nobody could say by which of them a retry is known."""
    key = keys[0].strip(" \t")  # no part of a header's value (RFC 9110, 5.5); the server beneath takes it away in front alone
    if len(keys) > 1:
        got, what_to_do = f"got {len(keys)} such headers, expected one", "send one key a request, the same one with every retry of it"
    elif _KEY.fullmatch(key) is None:
        strange = next((f", {char!a} among them" for char in key if not "!" <= char <= "~"), "")
        got = f"got {len(key)} characters{strange}, expected 1 to 255 of visible ASCII"
        what_to_do = "send a UUID, the same one with every retry of a request"
    else:
        return key
    raise ApiError("invalid_request", f"{HEADER}: {got}", field=HEADER, what_to_do=what_to_do)


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
