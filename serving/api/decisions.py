"""``POST /v1/decisions`` and ``GET /v1/decisions/{decision_id}``."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import Path, Request, Response
from pydantic import TypeAdapter, ValidationError

from serving.api.body import parse_json, read_body
from serving.api.context import ApiContext
from serving.api.direct import DirectRoutes
from serving.api.document import request_body
from serving.api.errors import ApiError
from serving.api.gathering import Gatherer
from serving.api.idempotency import PARAMETER, key_of, seed_of
from serving.api.schemas import DecisionIn, DecisionOut, ErrorAnswer, ReceiptOut
from serving.ports import DamagedReceiptError, LedgerError, Seed

_ONE = TypeAdapter(DecisionIn)


def add_decision_routes(app: DirectRoutes, context: ApiContext, gatherer: Gatherer, pool: Executor) -> None:
    """Add the routes that decide and that look decisions up."""

    @app.post(
        "/v1/decisions",
        tags=["decisions"],
        summary="Decide about one user, or about several",
        description=(
            "Decided at the moment of the call, within the caps, and remembered. The answer to one user is a decision; to a list it is a "
            "list in its order, in which an item that is no user is answered by an error in its place. Never fails for want of Redis or a "
            "model: `degraded` says what was missing."
        ),
        responses={
            200: {"model": DecisionOut | list[DecisionOut | ErrorAnswer]},
            400: {"model": ErrorAnswer, "description": "The body is not JSON."},
            409: {"model": ErrorAnswer, "description": "The idempotency key was used with another body."},
            413: {"model": ErrorAnswer, "description": "Too many bytes or items."},
            422: {"model": ErrorAnswer, "description": "Not a user, or a user id that cannot be one; of a list, every item."},
            503: {
                "model": ErrorAnswer,
                "description": "Too many wait; nothing was decided. `Retry-After` says when to ask again.",
            },
        },
        openapi_extra={**request_body(DecisionIn, max_items=context.max_decisions, example={"user_id": "ada"}), "parameters": [PARAMETER]},
    )
    async def post_decisions(request: Request) -> Response:
        body = await read_body(request, max_bytes=context.max_body_bytes)
        started = time.perf_counter()
        payload, key = parse_json(body), key_of(request)
        decide = _about_many(context, payload) if isinstance(payload, list) else _about_one(payload)
        content = await decide(context, gatherer, await seed_of(key, payload, context, pool))
        context.metrics.answered("decisions", time.perf_counter() - started)
        return Response(content, media_type="application/json")

    app.answer_directly("POST", "/v1/decisions", post_decisions, after_s=context.longest_s)

    @app.get(
        "/v1/decisions/{decision_id}",
        tags=["decisions"],
        summary="The receipt of a decision",
        description="Everything the decision depended on, and its output.",
        responses={
            200: {"model": ReceiptOut},
            404: {"model": ErrorAnswer, "description": "No decision has this id."},
            422: {"model": ErrorAnswer, "description": "No decision id can look like this."},
            503: {"model": ErrorAnswer, "description": "The ledger cannot be reached."},
        },
    )
    async def get_decision(decision_id: Annotated[str, Path(min_length=1, max_length=128)]) -> Response:
        loop = asyncio.get_running_loop()
        receipt = await loop.run_in_executor(pool, _receipt, context, decision_id)
        return Response(receipt, media_type="application/json")


_Decide = Callable[[ApiContext, Gatherer, Seed | None], Awaitable[bytes]]
"""What a body that passed its checks asks for."""


def _about_one(payload: Any) -> _Decide:
    asked = _asked(payload)
    if isinstance(asked, ApiError):
        raise asked
    return partial(_decide_one, asked.user_id)


def _about_many(context: ApiContext, payload: list[Any]) -> _Decide:
    if len(payload) > context.max_decisions:
        raise ApiError(
            "too_many_items", f"got {len(payload)} users, expected at most {context.max_decisions}", what_to_do="send smaller batches"
        )
    asked = [_asked(item, at=f"[{index}]") for index, item in enumerate(payload)]
    errors = [item for item in asked if isinstance(item, ApiError)]
    if errors and len(errors) == len(asked):
        raise errors[0]
    return partial(_decide_many, asked)


async def _decide_one(user_id: str, context: ApiContext, gatherer: Gatherer, seed: Seed | None) -> bytes:
    (answer,) = await gatherer.decide((user_id,), (seed,))
    context.metrics.decided(*answer.labels)
    return answer.output


async def _decide_many(asked: list[DecisionIn | ApiError], context: ApiContext, gatherer: Gatherer, seed: Seed | None) -> bytes:
    """Answer each item in its place: the bad ones by an error, the good ones by their decision."""
    good = [(place, item.user_id) for place, item in enumerate(asked) if isinstance(item, DecisionIn)]
    seeds = [None if seed is None else seed.of_place(place) for place, _ in good]
    answers = await gatherer.decide([user_id for _, user_id in good], seeds)
    for labels, n in Counter(answer.labels for answer in answers).items():
        context.metrics.decided(*labels, n=n)
    outputs = (answer.output for answer in answers)
    return b"[" + b",".join(orjson.dumps(item.content()) if isinstance(item, ApiError) else next(outputs) for item in asked) + b"]"


def _asked(item: Any, *, at: str = "") -> DecisionIn | ApiError:
    """Whom one item asks about, or what is wrong with it; ``at`` is its place in the body."""
    try:
        asked = _ONE.validate_python(item)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_context=False)[0]
        field = ".".join([*([at] if at else []), *(str(part) for part in first["loc"])])
        message = f"{field or 'body'}: {first['msg']}"
        return ApiError("invalid_request", message, field=field or None, what_to_do='send {"user_id": "..."} or a list of them')
    if "\0" in asked.user_id or asked.user_id.isspace():
        return ApiError(
            "invalid_request",
            f"user_id: got {asked.user_id!r}, expected text that is not blank and holds no NUL",
            field=f"{at}.user_id" if at else "user_id",
            what_to_do="send the id that the events carry",
        )
    return asked


def _receipt(context: ApiContext, decision_id: str) -> bytes:
    try:
        receipt = context.receipt(decision_id)
    except DamagedReceiptError as exc:
        raise ApiError("receipt_damaged", str(exc), what_to_do="trying again does not help; tell who runs the service") from exc
    except LedgerError as exc:
        raise ApiError("store_unavailable", str(exc), what_to_do="ask again later") from exc
    if receipt is None:
        raise ApiError(
            "decision_not_found", f"no decision has the id {decision_id!r}", what_to_do="use a decision_id that POST /v1/decisions answered"
        )
    return receipt
