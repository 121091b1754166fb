"""Routes that are answered before the framework looks for them."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import Request, Response

from serving.api.direct import DirectRoutes
from serving.api.errors import ApiError, add_error_handlers
from tests.http_client import InProcess

WAIT_S = 30.0


class Spied(DirectRoutes):
    """Counts what comes to the framework."""

    n_routed = 0

    def build_middleware_stack(self) -> Any:
        stack = super().build_middleware_stack()

        async def counting(scope: Any, receive: Any, send: Any) -> None:
            self.n_routed += 1
            await stack(scope, receive, send)

        return counting


@pytest.fixture
def app() -> Spied:
    app = Spied(redirect_slashes=False)
    add_error_handlers(app)

    @app.post("/echo")
    async def echo(request: Request) -> Response:
        body = await request.body()
        if body == b"refuse":
            raise ApiError("overloaded", "too many", what_to_do="come back", headers={"Retry-After": "7"})
        if body == b"break":
            raise RuntimeError("ours")
        return Response(body, media_type="application/json")

    app.answer_directly("POST", "/echo", echo, after_s=WAIT_S)
    return app


def test_the_endpoint_answers_and_nothing_is_routed(app: Spied) -> None:
    answer = InProcess(app).post("/echo", content=b"1")
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"1", "application/json")
    assert app.n_routed == 0


def test_its_refusal_has_the_shape_and_the_headers_of_all(app: Spied) -> None:
    answer = InProcess(app).post("/echo", content=b"refuse")
    assert (answer.status_code, answer.json()["error"]["code"], answer.headers["retry-after"]) == (503, "overloaded", "7")


def test_a_mistake_is_logged_and_answered(app: Spied, caplog: pytest.LogCaptureFixture) -> None:
    answer = InProcess(app).post("/echo", content=b"break")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "POST /echo failed" in caplog.text


@pytest.mark.parametrize(("method", "path", "code"), [("GET", "/echo", "method_not_allowed"), ("POST", "/echo/", "not_found")])
def test_everything_else_is_the_frameworks(app: Spied, method: str, path: str, code: str) -> None:
    answer = InProcess(app).request(method, path)
    assert answer.json()["error"]["code"] == code
    assert app.n_routed == 1


def test_it_stays_in_the_document(app: Spied) -> None:
    assert "post" in InProcess(app).get("/openapi.json").json()["paths"]["/echo"]
