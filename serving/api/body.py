"""Reads a JSON body within its limit; what is not JSON is refused before anyone looks at it."""

from __future__ import annotations

import json
from typing import Any

import orjson
from fastapi import Request
from starlette.requests import ClientDisconnect

from serving.api.errors import ApiError


async def read_body(request: Request, *, max_bytes: int) -> bytes:
    """Read the whole body.

    Raises
    ------
    ApiError
        ``body_too_large`` as soon as the limit is passed; the rest is not read.
    """
    if int(request.headers.get("content-length") or 0) > max_bytes:
        raise _too_large(max_bytes)
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > max_bytes:
                raise _too_large(max_bytes)
            chunks.append(chunk)
    except ClientDisconnect:
        raise ApiError("bad_request", "the connection closed before the body was complete", what_to_do="send it again") from None
    return b"".join(chunks)


def parse_json(body: bytes) -> Any:
    """Parse the value that the body states.

    ``NaN`` and ``Infinity``, which are not JSON but come out of many writers, are read as floats, so that one such number costs its own
    item and not the whole batch.

    Raises
    ------
    ApiError
        ``malformed_json``, with the position.

    Examples
    --------
    >>> parse_json(b'[{"value": NaN}, {"value": 3}]')
    [{'value': nan}, {'value': 3}]
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        if b"NaN" in body or b"Infinity" in body:
            return _parse_lenient(body)
        raise _malformed(str(exc)) from None


def _parse_lenient(body: bytes) -> Any:
    try:
        value = json.loads(body)
        orjson.dumps(value)  # refuses lone surrogates, which no store can hold
    except (ValueError, RecursionError, orjson.JSONEncodeError) as exc:
        raise _malformed(str(exc)) from None
    return value


def _malformed(reason: str) -> ApiError:
    return ApiError("malformed_json", f"the body is not JSON: {reason}", what_to_do="send UTF-8 JSON as /openapi.json describes")


def _too_large(max_bytes: int) -> ApiError:
    return ApiError("body_too_large", f"the body is larger than {max_bytes} bytes", what_to_do="send smaller batches")
