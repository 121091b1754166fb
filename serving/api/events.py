"""``POST /v1/events``: admitted one by one, appended to the stream together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response

from features.core.event import from_us
from features.ingest.admission import ProfileChange, admit_item
from features.ingest.ignored import EVENT, event_fields
from features.ingest.rejection import Rejection
from features.ports import StoreError
from serving.api.body import parse_json, read_body
from serving.api.context import ApiContext
from serving.api.document import request_body
from serving.api.errors import ApiError, json_answer
from serving.api.ignored import ignored_part
from serving.api.schemas import AliasIn, AllRejected, ErrorAnswer, EventIn, EventsAccepted, IdentifyIn
from serving.ports import EventStreamError

_EXAMPLE = {"event_id": "e-1001", "user_id": "ada", "kind": "login", "occurred_at": "2026-03-02T12:00:00Z"}


def add_event_routes(app: FastAPI, context: ApiContext, pool: Executor) -> None:
    """Add the route that takes events in."""

    @app.post(
        "/v1/events",
        status_code=HTTPStatus.ACCEPTED,
        tags=["events"],
        summary="Send one event, profile change or alias, or a batch of them",
        description="Each item is accepted or refused alone. 202: at least one was accepted (or the batch was empty) and is durable.",
        responses={
            202: {"model": EventsAccepted},
            400: {"model": ErrorAnswer, "description": "The body is not JSON."},
            413: {"model": ErrorAnswer, "description": "Too many bytes or items."},
            422: {"model": AllRejected, "description": "Every item was refused."},
            503: {"model": ErrorAnswer, "description": "Nothing was accepted: the stream cannot be reached. Send it again later."},
        },
        openapi_extra=request_body(EventIn, IdentifyIn, AliasIn, max_items=context.max_events, example=_EXAMPLE),
    )
    async def post_events(request: Request) -> Response:
        body = await read_body(request, max_bytes=context.max_body_bytes)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, _take_in, context, parse_json(body))


def _take_in(context: ApiContext, payload: Any) -> Response:
    items = _items(payload, max_events=context.max_events)
    received_us = context.now_us()
    messages, rejected = _admit_all(items, context, received_us)
    _publish(context, messages)
    accepted = len(items) - len(rejected)
    context.metrics.admitted(accepted, [row["code"] for row in rejected])
    ignored = ignored_part((item, event_fields(item) if isinstance(item, dict) else EVENT) for item in items)
    if rejected and not accepted:
        first = rejected[0]
        raise ApiError(
            "all_rejected",
            first["message"],
            field=f"[{first['index']}].{first['field']}" if isinstance(payload, list) else first["field"],
            what_to_do=f"correct the items and send them again; {len(rejected)} of {len(items)} were refused, see `rejected`",
            more={"accepted": 0, "rejected": rejected, **ignored},
        )
    return json_answer({"accepted": accepted, "rejected": rejected, **ignored}, status=HTTPStatus.ACCEPTED)


def _items(payload: Any, *, max_events: int) -> list[Any]:
    items = payload if isinstance(payload, list) else [payload]
    if len(items) > max_events:
        raise ApiError("too_many_items", f"got {len(items)} items, expected at most {max_events}", what_to_do="send smaller batches")
    return items


def _admit_all(items: list[Any], context: ApiContext, received_us: int) -> tuple[list[tuple[str, bytes]], list[dict[str, Any]]]:
    """What goes on to the worker, and what the sender is told was refused; an item of which only a no counts is both."""
    received_at = from_us(received_us)
    judged = [admit_item(item, context.product, received_at) for item in items]
    taken = {index: one.taken if isinstance(one, Rejection) else one for index, one in enumerate(judged)}
    known = {index: one for index, one in taken.items() if one is not None}
    foreseen = dict(zip(known, _foreseen(context, list(known.values())), strict=True))
    messages, rejected = [], []
    for index, (item, one) in enumerate(zip(items, judged, strict=True)):
        if foreseen.get(index) is None and index in known:
            sent = _alone(one.taken) if isinstance(one, Rejection) and one.taken is not None else item
            messages.append((known[index].user_id, stream_body(sent, received_us)))
        rejection = one if isinstance(one, Rejection) else foreseen[index]
        if rejection is not None:
            rejected.append({"index": index, "code": rejection.code, "field": rejection.field, "message": rejection.message})
    return messages, rejected


def _alone(change: ProfileChange) -> dict[str, Any]:
    """The item that says no more than this."""
    stated = {"user_id": change.user_id, "traits": dict(change.attributes), "occurred_at": change.known_at.isoformat()}
    return {"type": "identify", **stated}


def _foreseen(context: ApiContext, admitted: list[Any]) -> Sequence[Rejection | None]:
    if not admitted:
        return []
    try:
        return context.foreseen(admitted)
    except StoreError as exc:
        raise ApiError("store_unavailable", str(exc), what_to_do="send the same events again later; retries are recognised") from exc


def stream_body(item: Mapping[str, Any], received_us: int) -> bytes:
    """Make what the stream carries: the admitted item as it was sent, and when it was received.

    Fields that nobody admitted are left out where they are no JSON (a lone surrogate, an integer past 64 bits).
    """
    try:
        return orjson.dumps({"received_us": received_us, "item": item})
    except orjson.JSONEncodeError:
        return orjson.dumps({"received_us": received_us, "item": {key: value for key, value in item.items() if _is_json({key: value})}})


def _is_json(value: Mapping[str, Any]) -> bool:
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True


def _publish(context: ApiContext, messages: list[tuple[str, bytes]]) -> None:
    if not messages:
        return
    try:
        context.stream.publish(messages)
    except EventStreamError as exc:
        raise ApiError("store_unavailable", str(exc), what_to_do="send the same events again later; retries are recognised") from exc
