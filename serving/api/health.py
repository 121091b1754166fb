"""Whether the process lives, whether it can serve, and its figures."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor

from fastapi import FastAPI, Response

from serving.api.context import ApiContext
from serving.api.errors import ApiError, json_answer
from serving.api.schemas import ErrorAnswer, Health, Readiness
from serving.ports import EventStreamError

OK = "ok"
MISSING = "missing"  # served without it, degraded
KEPT = "kept: "  # served with the last good one, degraded; why follows


def add_health_routes(app: FastAPI, context: ApiContext, pool: Executor) -> None:
    """Add /healthz (/livez), /readyz and /metrics."""

    @app.get("/healthz", tags=["operations"], summary="The process answers", responses={200: {"model": Health}})
    @app.get("/livez", tags=["operations"], summary="The process answers: /healthz by another name", responses={200: {"model": Health}})
    async def healthz() -> Response:
        return json_answer({"status": "ok"})

    @app.get(
        "/readyz",
        tags=["operations"],
        summary="Whether requests can be served",
        description=(
            "200 also when degraded: without a model, decisions are still answered; where a new policy or model cannot be used, the last "
            "good one goes on, and `kept: ` says why. 503 without Redis, and where it refuses to write."
        ),
        responses={200: {"model": Readiness}, 503: {"model": ErrorAnswer, "description": "Something without which nothing works is down."}},
    )
    async def readyz() -> Response:
        checks = await asyncio.get_running_loop().run_in_executor(pool, context.checks)
        degraded = [name for name, state in checks.items() if state == MISSING or state.startswith(KEPT)]
        down = [f"{name} is {state}" for name, state in checks.items() if state != OK and name not in degraded]
        if down:
            raise ApiError("not_ready", "; ".join(down), what_to_do="wait, or look at the service's log")
        return json_answer({"status": "degraded" if degraded else "ready", "product": context.product.name, "checks": checks})

    @app.get(
        "/metrics",
        tags=["operations"],
        summary="Figures for Prometheus",
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
        response_class=Response,
    )
    async def metrics() -> Response:
        content = await asyncio.get_running_loop().run_in_executor(pool, _exposition, context)
        return Response(content, media_type="text/plain; version=0.0.4; charset=utf-8")


def _exposition(context: ApiContext) -> bytes:
    try:
        context.metrics.backlog(context.stream.backlog())
    except EventStreamError:
        context.metrics.backlog(-1)  # unknown: a figure of the past would look like health
    return context.metrics.exposition()
