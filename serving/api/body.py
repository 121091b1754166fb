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

    ``NaN``, ``Infinity``, numbers past the range of a float and lone surrogates, which are not JSON but come out of many writers, are
    read as Python reads them, so that one of them costs its own item and not the whole batch.

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
        return _parse_lenient(body, str(exc))


def _parse_lenient(body: bytes, reason: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise _malformed(reason) from None


def _malformed(reason: str) -> ApiError:
    return ApiError("malformed_json", f"the body is not JSON: {reason}", what_to_do="send UTF-8 JSON as /openapi.json describes")


def _too_large(max_bytes: int) -> ApiError:
    return ApiError("body_too_large", f"the body is larger than {max_bytes} bytes", what_to_do="send smaller batches")
