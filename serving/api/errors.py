"""One error shape for every answer that is not a success, and the one table from error codes to HTTP statuses."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

_log = logging.getLogger(__name__)

STATUS_OF_CODE = {
    "malformed_json": HTTPStatus.BAD_REQUEST,
    "not_found": HTTPStatus.NOT_FOUND,
    "decision_not_found": HTTPStatus.NOT_FOUND,
    "idempotency_conflict": HTTPStatus.CONFLICT,
    "method_not_allowed": HTTPStatus.METHOD_NOT_ALLOWED,
    "body_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "too_many_items": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "invalid_request": HTTPStatus.UNPROCESSABLE_ENTITY,
    "all_rejected": HTTPStatus.UNPROCESSABLE_ENTITY,
    "bad_request": HTTPStatus.BAD_REQUEST,
    "receipt_damaged": HTTPStatus.INTERNAL_SERVER_ERROR,
    "internal_error": HTTPStatus.INTERNAL_SERVER_ERROR,
    "store_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "overloaded": HTTPStatus.SERVICE_UNAVAILABLE,
    "not_ready": HTTPStatus.SERVICE_UNAVAILABLE,
    "timed_out": HTTPStatus.GATEWAY_TIMEOUT,
}


class ApiError(Exception):
    """A request that cannot be served; becomes an answer in the error shape.

    Parameters
    ----------
    code
        A key of `STATUS_OF_CODE`: stable, for programs.
    message
        What, got, expected; for people.
    what_to_do
        The next step of the caller.
    field
        Where in the body, as ``[3].user_id``; None when the whole request is meant.
    more
        Further members of the answer, beside ``error``.
    headers
        Of the answer: when to come back.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        what_to_do: str,
        field: str | None = None,
        more: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.what_to_do = what_to_do
        self.field = field
        self.more = more or {}
        self.headers = dict(headers or {})

    def answer(self) -> Response:
        """Make the HTTP answer."""
        answer = json_answer(self.content(), status=STATUS_OF_CODE[self.code])
        answer.headers.update(self.headers)
        return answer

    def content(self) -> dict[str, Any]:
        """Make the answer's body; also what stands for one bad item in a list of answers."""
        error = {"code": self.code, "message": self.message, "what_to_do": self.what_to_do}
        if self.field is not None:
            error["field"] = self.field
        return {"error": error, **self.more}


def json_answer(content: Any, *, status: int = HTTPStatus.OK) -> Response:
    """Answer in JSON."""
    return Response(orjson.dumps(content), status_code=int(status), media_type="application/json")


def surprised(request: Request, error: Exception) -> Response:
    """Log a mistake of ours, and answer that there was one."""
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return ApiError("internal_error", "the service made a mistake; it is logged", what_to_do="retry, and report it if it stays").answer()


def add_error_handlers(app: FastAPI) -> None:
    """Put every error of the app, also those of the framework, into the one shape."""

    async def on_api_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        return error.answer()

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _of_framework(request, error)

    async def on_invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        return ApiError("invalid_request", f"{field}: {first['msg']}", field=field, what_to_do="see /openapi.json").answer()

    async def on_surprise(request: Request, error: Exception) -> Response:
        return surprised(request, error)

    app.add_exception_handler(ApiError, on_api_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(Exception, on_surprise)


def _of_framework(request: Request, error: HTTPException) -> Response:
    path = request.url.path
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            answer = ApiError("not_found", f"there is nothing at {path}", what_to_do="see /openapi.json for the paths").answer()
        case HTTPStatus.METHOD_NOT_ALLOWED:
            answer = ApiError(
                "method_not_allowed", f"{request.method} is not allowed at {path}", what_to_do="see /openapi.json for the methods"
            ).answer()
        case _:
            answer = ApiError("bad_request", str(error.detail), what_to_do="see /openapi.json").answer()
            answer.status_code = error.status_code
    answer.headers.update(error.headers or {})
    return answer
