"""The OpenAPI document is complete, and what the service answers is what the document says."""

from __future__ import annotations

import re

import pytest

from serving.api.schemas import DecisionOut, ErrorAnswer, EventsAccepted, ReceiptOut
from tests.e2e.test_http import Site, identify, login_failed

PATHS = {"/v1/events", "/v1/decisions", "/v1/decisions/{decision_id}", "/healthz", "/readyz", "/metrics"}


@pytest.fixture(scope="module")
def document(onboarding):
    return Site(onboarding).http.get("/openapi.json").json()


def test_it_is_3_1_and_has_every_public_path(document):
    assert document["openapi"].startswith("3.1")
    assert document["paths"].keys() == PATHS


def test_every_reference_leads_somewhere(document):
    schemas = document["components"]["schemas"]
    names = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert names - schemas.keys() == set()
    assert schemas.keys() - names == set()


def test_every_body_and_every_answer_has_a_type(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], path
            if method == "post":
                assert operation["requestBody"]["content"]["application/json"]["schema"], path
            for status, answer in operation["responses"].items():
                schema = next(iter(answer["content"].values()))["schema"]
                assert schema, (path, status)
                if int(status) >= 400:
                    assert schema["$ref"].rsplit("/", 1)[1] in {"ErrorAnswer", "AllRejected"}, (path, status)


def test_answers_are_what_the_document_says(onboarding):
    site = Site(onboarding)
    EventsAccepted.model_validate_json(site.http.post("/v1/events", [identify(), *map(login_failed, (1, 2, 3)), 7]).content)
    site.work()
    for user_id in ("ada", "nobody"):
        decided = DecisionOut.model_validate_json(site.http.post("/v1/decisions", {"user_id": user_id}).content)
        receipt = ReceiptOut.model_validate_json(site.http.get(f"/v1/decisions/{decided.decision_id}").content)
        assert receipt.output == decided
    ErrorAnswer.model_validate_json(site.http.get("/nowhere").content)
