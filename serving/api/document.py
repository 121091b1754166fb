"""Completes the OpenAPI 3.1 document: bodies that are read item by item are described by their types all the same."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from serving.api.schemas import AliasIn, DecisionIn, DeliveryIn, EventIn, IdentifyIn

_REF = "#/components/schemas/{model}"
_BODIES = (EventIn, IdentifyIn, AliasIn, DecisionIn, DeliveryIn)


def request_body(*item: type[BaseModel], max_items: int, example: dict[str, Any]) -> dict[str, Any]:
    """Describe a body that is one item, such as the example, or a list of at most ``max_items``."""
    refs = [{"$ref": _REF.format(model=model.__name__)} for model in item]
    one = refs[0] if len(refs) == 1 else {"anyOf": refs}
    many = {"type": "array", "items": one, "maxItems": max_items}
    examples = {"one": {"value": example}, "several": {"value": [example]}}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": {"anyOf": [*refs, many]}, "examples": examples}}}}


def _add_what_any_request_may_get(operation: dict[str, Any]) -> None:
    """Mistakes of ours, requests that take too long, and when to come back after a 503."""
    answers = operation["responses"]
    for status, what in (("500", "A mistake of the service, logged."), ("504", "It took too long; it may have been done.")):
        answers[status] = {"description": what, "content": {"application/json": {"schema": {"$ref": _REF.format(model="ErrorAnswer")}}}}
    if "503" in answers:
        header = {"description": "Seconds after which to ask again, where it is known.", "schema": {"type": "integer"}}
        answers["503"]["headers"] = {"Retry-After": header}


def complete_document(app: FastAPI) -> None:
    """Add the bodies' types to the document, once."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            _, definitions = models_json_schema([(model, "validation") for model in _BODIES], ref_template=_REF)
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas.update(definitions["$defs"])
            for path in document["paths"].values():
                for operation in path.values():
                    _add_what_any_request_may_get(operation)
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend its document
