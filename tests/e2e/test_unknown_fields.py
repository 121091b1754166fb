"""What a request says beyond what the service knows is ignored, and never without a word where it could be lost."""

from __future__ import annotations

import json

import pytest

from serving.api.schemas import AllRejected, DeliveriesTaken, EventsAccepted
from tests.e2e.test_http import Site, identify, login_failed


@pytest.fixture
def site(onboarding):
    return Site(onboarding)


def test_a_misspelt_optional_field_is_named_with_the_one_that_was_meant(site):
    answer = site.http.post("/v1/events", [login_failed(1), login_failed(2, sesion_id="s1"), login_failed(3, sesion_id="s1")])
    assert (answer.status_code, answer.json()["accepted"], answer.json()["rejected"]) == (202, 3, [])
    message = "sesion_id: no such field, ignored; did you mean session_id?"
    assert answer.json()["ignored"] == [{"field": "sesion_id", "items": 2, "index": 1, "message": message}]
    EventsAccepted.model_validate_json(answer.content)
    (ignored,) = site.http.post("/v1/events", identify() | {"anonymus_id": "web-7"}).json()["ignored"]
    assert ignored["message"].endswith("did you mean anonymous_id?")


def test_a_misspelt_required_field_is_named_beside_the_refusal(site):
    event = login_failed()
    event["occured_at"] = event.pop("occurred_at")
    answer = site.http.post("/v1/events", event)
    assert (answer.status_code, answer.json()["rejected"][0]["code"]) == (422, "missing_timestamp")
    assert [row["message"] for row in answer.json()["ignored"]] == ["occured_at: no such field, ignored; did you mean occurred_at?"]
    AllRejected.model_validate_json(answer.content)


def test_what_a_newer_or_another_sender_adds_costs_nothing(site):
    extended = login_failed() | {"context": {"ip": "::1"}, "integrations": {}}
    answer = site.http.post("/v1/events", extended).json()
    assert (answer["accepted"], [row["field"] for row in answer["ignored"]]) == (1, ["context", "integrations"])
    assert all("mean" not in row["message"] for row in answer["ignored"])
    site.work()
    assert site.http.post("/v1/decisions", {"user_id": "ada", "campaign": "spring"}).status_code == 200


def test_the_fields_of_each_type_are_its_own(site):
    alias = {"type": "alias", "previous_id": "web-7", "user_id": "ada", "occurred_at": login_failed()["occurred_at"]}
    answer = site.http.post(
        "/v1/events", [login_failed(), identify(), alias, alias | {"traits": {}}, identify() | {"kind": "login"}]
    ).json()
    assert [(row["field"], row["index"]) for row in answer["ignored"]] == [("traits", 3), ("kind", 4)]


def test_no_request_makes_a_long_answer(site):
    odd = login_failed() | {f"field_{number}": 1 for number in range(1_000)}
    assert len(site.http.post("/v1/events", odd).json()["ignored"]) == 20
    batch = json.dumps([login_failed() | {"x" * 100_000: 1}, login_failed() | {"\ud800": 1, "": 1}, 7])
    answer = site.http.post("/v1/events", content=batch)
    assert answer.status_code == 202
    assert len(answer.content) < 2_000
    assert len(answer.json()["ignored"]) == 3


def test_a_delivery_that_misspells_its_instant_is_told(site):
    news = {"decision_id": "d", "status": "failed", "att": "2026-03-01T12:00:00Z"}
    answer = site.http.post("/v1/deliveries", [news])
    assert answer.json()["results"] == [{"decision_id": "d", "result": "unknown"}]
    assert [(row["field"], row["items"]) for row in answer.json()["ignored"]] == [("att", 1)]
    DeliveriesTaken.model_validate_json(answer.content)
    del news["att"]
    assert site.http.post("/v1/deliveries", news).json().keys() == {"results"}


def test_the_document_says_so(site):
    schemas = site.http.get("/openapi.json").json()["components"]["schemas"]
    for name in ("EventIn", "IdentifyIn", "AliasIn", "DeliveryIn", "DecisionIn"):
        assert schemas[name]["additionalProperties"] is True
        assert "ignored" in schemas[name]["description"]
    for name in ("EventsAccepted", "AllRejected", "DeliveriesTaken"):
        assert schemas[name]["properties"]["ignored"]["items"] == {"$ref": "#/components/schemas/IgnoredField"}
        assert "ignored" not in schemas[name]["required"]
