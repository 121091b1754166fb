"""The OpenAPI document is complete, and what the service answers is what the document says."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from serving.api.schemas import DecisionOut, ErrorAnswer, EventsAccepted, ReceiptOut
from tests.e2e.test_http import Site, identify, login_failed
from tests.serving_world import NOON, ROOT

PATHS = {"/v1/events", "/v1/deliveries", "/v1/decisions", "/v1/decisions/{decision_id}", "/healthz", "/livez", "/readyz", "/metrics"}


@pytest.fixture(scope="module")
def document(onboarding):
    return Site(onboarding).http.get("/openapi.json").json()


def test_it_is_3_1_and_has_every_public_path(document):
    assert document["openapi"].startswith("3.1")
    assert document["paths"].keys() == PATHS


def test_it_states_the_version_of_the_project(document):
    assert document["info"]["version"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_every_reference_leads_somewhere(document):
    schemas = document["components"]["schemas"]
    names = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert names - schemas.keys() == set()
    assert schemas.keys() - names == set()


def test_every_body_and_every_answer_has_a_type(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], path
            assert operation["tags"], path
            if method == "post":
                assert operation["requestBody"]["content"]["application/json"]["schema"], path
            for status, answer in operation["responses"].items():
                schema = next(iter(answer["content"].values()))["schema"]
                assert schema, (path, status)
                if int(status) >= 400:
                    assert schema["$ref"].rsplit("/", 1)[1] in {"ErrorAnswer", "AllRejected"}, (path, status)


def test_every_request_may_meet_a_mistake_or_take_too_long_and_a_503_says_when_to_come_back(document):
    for methods in document["paths"].values():
        for operation in methods.values():
            assert {"500", "504"} <= operation["responses"].keys()
            assert "503" not in operation["responses"] or "Retry-After" in operation["responses"]["503"]["headers"]


@pytest.mark.parametrize("path", ["/v1/events", "/v1/decisions", "/v1/deliveries"])
@pytest.mark.parametrize("example", ["one", "several"])
def test_the_examples_of_bodies_are_accepted(document, onboarding, path, example):
    body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"][example]["value"]
    assert Site(onboarding).http.post(path, body).status_code in (200, 202)


def test_answers_are_what_the_document_says(onboarding):
    site = Site(onboarding)
    EventsAccepted.model_validate_json(site.http.post("/v1/events", [identify(), *map(login_failed, (1, 2, 3)), 7]).content)
    site.work()
    for user_id in ("ada", "nobody"):
        decided = DecisionOut.model_validate_json(site.http.post("/v1/decisions", {"user_id": user_id}).content)
        receipt = ReceiptOut.model_validate_json(site.http.get(f"/v1/decisions/{decided.decision_id}").content)
        assert receipt.output == decided
    ErrorAnswer.model_validate_json(site.http.get("/nowhere").content)


def test_the_example_of_an_event_is_accepted(document, onboarding):
    fields = document["components"]["schemas"]["EventIn"]["properties"]
    event = {name: field["examples"][0] for name, field in fields.items() if "examples" in field}
    assert event.keys() == {"event_id", "user_id", "kind"}
    sent = Site(onboarding).http.post("/v1/events", event | {"occurred_at": NOON.isoformat(), "subject": None, "value": None})
    assert (sent.status_code, sent.json()["rejected"]) == (202, [])


def test_the_decision_that_the_readme_shows_is_one_of_this_service():
    (sample,) = re.findall(r"```json\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert json.loads(sample).keys() == {name for name, field in DecisionOut.model_fields.items() if field.is_required()}
    assert DecisionOut.model_validate_json(sample).message is not None


def test_the_page_for_people_is_served_with_everything_it_loads_and_asks_no_other_host(onboarding):
    http = Site(onboarding).http
    page = http.get("/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert re.findall(r"(?:https?:)?//[\w.]+", page.text) == []
    loaded = re.findall(r'(?:src|href)="(/[^"]+)"', page.text) + re.findall(r"url: '([^']+)'", page.text)
    assert {path.rpartition("/")[2] for path in loaded} == {"swagger-ui-bundle.js", "swagger-ui.css", "openapi.json"}
    for path in loaded:
        assert http.get(path).status_code == 200, path
    assert "text/css" in http.get("/docs/assets/swagger-ui.css").headers["content-type"]
    assert http.get("/docs/assets/../../__init__.py").status_code == 404
