"""``POST /v1/deliveries``: what became of the messages."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import TypeAdapter, ValidationError

from features.core.event import to_us
from serving.api.body import parse_json, read_body
from serving.api.context import ApiContext
from serving.api.document import request_body
from serving.api.errors import ApiError, json_answer
from serving.api.ignored import ignored_part
from serving.api.schemas import DeliveriesTaken, DeliveryIn, ErrorAnswer
from serving.decision.ids import made_us
from serving.ports import Deliveries, LedgerError

_ONE = TypeAdapter(DeliveryIn)
_MAX_ITEMS = 1_000
_EXAMPLE = {"decision_id": "dfdee430d40bd57de-01kjmma2g00000000000000000", "status": "delivered", "at": "2026-03-02T12:00:07Z"}
_FIELDS = frozenset(DeliveryIn.model_fields)


def add_delivery_routes(app: FastAPI, context: ApiContext, pool: Executor) -> None:
    """Add the route by which senders report."""

    @app.post(
        "/v1/deliveries",
        tags=["decisions"],
        summary="Tell what became of a message, or of several",
        description=(
            "A message that was delivered counts under the caps for good, from when it was; one that failed gives its place back. "
            "Telling the same again changes nothing. A delivery that is told late, after its reservation expired or was given back, "
            "counts all the same."
        ),
        responses={
            200: {"model": DeliveriesTaken},
            400: {"model": ErrorAnswer, "description": "The body is not JSON."},
            413: {"model": ErrorAnswer, "description": "Too many bytes or items."},
            422: {"model": ErrorAnswer, "description": "An item is no news of a delivery; nothing was taken."},
            503: {"model": ErrorAnswer, "description": "The ledger cannot be reached; send the news again."},
        },
        openapi_extra=request_body(DeliveryIn, max_items=_MAX_ITEMS, example=_EXAMPLE),
    )
    async def post_deliveries(request: Request) -> Response:
        payload = parse_json(await read_body(request, max_bytes=context.max_body_bytes))
        items = payload if isinstance(payload, list) else [payload]
        if len(items) > _MAX_ITEMS:
            raise ApiError("too_many_items", f"got {len(items)} items, expected at most {_MAX_ITEMS}", what_to_do="send smaller batches")
        news = [_news(item, index) for index, item in enumerate(items)]
        taken = await asyncio.get_running_loop().run_in_executor(pool, _take, context, news)
        return json_answer({"results": taken, **ignored_part((item, _FIELDS) for item in items)})


def _news(item: Any, index: int) -> DeliveryIn:
    try:
        return _ONE.validate_python(item)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_context=False)[0]
        field = ".".join([f"[{index}]", *(str(part) for part in first["loc"])])
        what_to_do = 'send {"decision_id": "...", "status": "delivered", "at": "2026-03-01T12:00:00Z"}; nothing of the request was taken'
        raise ApiError("invalid_request", f"{field}: {first['msg']}", field=field, what_to_do=what_to_do) from exc


def _take(context: ApiContext, news: list[DeliveryIn]) -> list[dict[str, str]]:
    try:
        return [{"decision_id": one.decision_id, "result": _take_one(context.deliveries, context, one)} for one in news]
    except LedgerError as exc:
        raise ApiError("store_unavailable", str(exc), what_to_do="send the same news again later: what was taken already stays so") from exc


def _take_one(deliveries: Deliveries, context: ApiContext, one: DeliveryIn) -> str:
    product = context.product.name
    if one.status == "failed":
        return deliveries.release(product, one.decision_id).value
    now_us = context.now_us()
    told_us = now_us if one.at is None else to_us(one.at)
    delivered_us = min(max(told_us, made_us(one.decision_id) or 0), now_us)  # neither before it was decided nor to come
    return deliveries.confirm(product, one.decision_id, delivered_us=delivered_us).value
