"""Builds the app; follow a request from here."""

from __future__ import annotations

import importlib.metadata
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.staticfiles import StaticFiles

from serving.api.body import read_body
from serving.api.context import ApiContext
from serving.api.deadline import Deadline
from serving.api.decisions import add_decision_routes
from serving.api.deliveries import add_delivery_routes
from serving.api.direct import DirectRoutes
from serving.api.document import complete_document
from serving.api.errors import add_error_handlers
from serving.api.events import add_event_routes
from serving.api.gathering import STEPS_AT_ONCE, Gatherer
from serving.api.health import add_health_routes

DESCRIPTION = """
Send events as they happen; ask for a decision about a user when one could be acted on. Every decision says why, and why not.
Every answer that is not a success has the shape of `ErrorAnswer`. Losing Redis or the model never fails a decision: `degraded` names what
was missing, and without Redis nothing is sent.
"""


def build_app(context: ApiContext) -> FastAPI:
    """Build the one public app over what `serving.bootstrap` put together."""
    app = DirectRoutes(
        title="Stillhere",
        summary="Predicts who is about to drop out and decides, within caps, whether and how to help.",
        description=DESCRIPTION,
        version=importlib.metadata.version("stillhere"),
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        redirect_slashes=False,
        separate_input_output_schemas=False,
        docs_url=None,
        redoc_url=None,
    )
    pool = ThreadPoolExecutor(max_workers=context.threads, thread_name_prefix="look_up")
    add_error_handlers(app)
    app.add_middleware(Deadline, after_s=context.longest_s)
    add_event_routes(app, context, pool)
    deciding = ThreadPoolExecutor(max_workers=STEPS_AT_ONCE, thread_name_prefix="decide")
    gatherer = Gatherer(decider=context.decider, now_us=context.now_us, pool=deciding, wait_s=context.wait_s)
    add_decision_routes(app, context, gatherer, pool)
    add_delivery_routes(app, context, pool)
    add_health_routes(app, context, pool)
    if context.empty_route:
        _add_empty_route(app, context)
    complete_document(app)
    _add_page(app)
    return app


def _add_page(app: FastAPI) -> None:
    """Add ``/docs`` with the Swagger UI that BentoML ships: FastAPI's own page loads it from the internet."""
    bentoml = find_spec("bentoml")
    assert bentoml is not None  # a dependency
    assert bentoml.origin is not None  # a package with a file
    app.mount("/docs/assets", StaticFiles(directory=Path(bentoml.origin).parent / "_internal" / "server" / "static_content"))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        assets = "/docs/assets"
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="Stillhere",
            swagger_js_url=f"{assets}/swagger-ui-bundle.js",
            swagger_css_url=f"{assets}/swagger-ui.css",
            swagger_favicon_url="data:,",
        )


def _add_empty_route(app: DirectRoutes, context: ApiContext) -> None:
    """Add what the benchmark holds decisions against: the same server, a body read, nothing done; as any route, and as a direct one."""

    async def empty(request: Request) -> Response:
        await read_body(request, max_bytes=context.max_body_bytes)
        return Response(b"{}", media_type="application/json")

    for path in ("/v1/empty", "/v1/empty/direct"):
        app.post(path, include_in_schema=False)(empty)
    app.answer_directly("POST", "/v1/empty/direct", empty, after_s=context.longest_s)
