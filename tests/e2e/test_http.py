"""Every public route over the shipped memory twins: what comes back for good input, and for each kind of bad input."""

from __future__ import annotations

import json
from datetime import timedelta

import orjson
import pytest
from prometheus_client import CollectorRegistry

from features.core.event import to_us
from features.ports import StoredTimeline
from serving.adapters.idempotency import MemoryIdempotencyKeys
from serving.adapters.memory_event_stream import MemoryEventStream
from serving.api.app import build_app
from serving.api.context import ApiContext
from serving.api.metrics import Metrics
from serving.api.schemas import DecisionOut, ErrorAnswer
from serving.ports import EventStreamError, LedgerError
from serving.worker import Worker
from tests.certain import certain_policy
from tests.formats.other import as_version
from tests.http_client import InProcess
from tests.serving_world import NOON, PATIENCE_S, FixedScorer, World


class Site:
    """A product served from memory: HTTP in front, a worker that runs when told to."""

    def __init__(self, product, **changes) -> None:
        policy = certain_policy(product)
        self.world = World(product, policy, scorer=changes.pop("scorer", FixedScorer(said_risk=0.2)))
        self.stream = changes.pop("stream", None) or MemoryEventStream()
        parts = {
            "product": product,
            "decider": self.world.service,
            "stream": self.stream,
            "deliveries": self.world.ledger,
            "idempotency_keys": MemoryIdempotencyKeys(),
            "receipt": lambda decision_id: self.world.ledger.receipt(product.name, decision_id),
            "metrics": Metrics(CollectorRegistry()),
            "now_us": lambda: to_us(self.world.now),
            "checks": lambda: {"redis": "ok", "model": "ok"},
            "wait_s": PATIENCE_S,
        }
        self.http = InProcess(build_app(ApiContext(**{**parts, **changes})))

    def work(self) -> None:
        world = self.world
        stores = {"timelines": world.timelines, "profiles": world.profiles}
        worker = Worker(
            product=world.product, stream=self.stream, raw_log=Swallows(), exporter=None, now_us=lambda: to_us(world.now), **stores
        )
        worker.step(block_ms=0)
        worker.finish()


class Swallows:
    def append(self, events) -> None:
        pass


@pytest.fixture
def site(onboarding):
    return Site(onboarding)


def login_failed(number=1, user_id="ada", **changes):
    occurred_at = (NOON - timedelta(seconds=number)).isoformat()
    return {"event_id": f"e{number}", "user_id": user_id, "kind": "login_failed", "occurred_at": occurred_at, **changes}


def form_failed(number):
    return login_failed(number, kind="form_failed", subject="payout", value=2)


def skipped(user_id):
    """Somebody who signed in and skipped two steps of the setup."""
    yield identify(user_id)
    yield login_failed(10, user_id, kind="login")
    yield from (
        login_failed(10 + number, user_id, kind="step_skipped", subject=subject) for number, subject in ((1, "invite"), (2, "import"))
    )


def identify(user_id="ada", **traits):
    agreed = {"consent": True, "in_app_opt_in": True, "email_opt_in": True, "timezone": "UTC"}
    return {"type": "identify", "user_id": user_id, "occurred_at": NOON.isoformat(), "traits": {**agreed, **traits}}


def error_of(response, status, code):
    """The answer has the one error shape."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert error["code"] == code
    assert error["message"]
    assert error["what_to_do"]
    assert error.keys() <= {"code", "message", "what_to_do", "field"}
    return error


def test_from_three_failed_sign_ins_to_help_on_the_spot_and_its_receipt(site):
    sent = site.http.post("/v1/events", [identify(), *(login_failed(number) for number in (1, 2, 3))])
    assert (sent.status_code, sent.json()) == (202, {"accepted": 4, "rejected": []})
    site.work()
    decided = site.http.post("/v1/decisions", {"user_id": "ada"})
    decision = decided.json()
    assert decided.status_code == 200
    assert (decision["action"], decision["message"]["id"], decision["trigger"]) == ("send", "secure_reset", "repeated_login_failures")
    receipt = site.http.get(f"/v1/decisions/{decision['decision_id']}")
    assert receipt.status_code == 200
    assert orjson.dumps(receipt.json()["output"], option=orjson.OPT_SORT_KEYS) == decided.content


def test_answer_receipt_and_outbox_have_the_same_content_and_blocks_and_they_are_as_the_document_says(site):
    site.http.post("/v1/events", [identify(missing_fields="date of birth"), *(form_failed(number) for number in (1, 2)), *skipped("bob")])
    site.work()
    decided = site.http.post("/v1/decisions", [{"user_id": "ada"}, {"user_id": "bob"}]).json()
    recorded = [site.http.get(f"/v1/decisions/{one['decision_id']}").json()["output"]["message"] for one in decided]
    orders = {order["user_id"]: order for order in map(orjson.loads, site.world.ledger.outbox("onboarding"))}
    handed_over = [orders["ada"], orders["bob"]]
    messages = [one["message"] for one in decided]
    for carried in (messages, recorded, handed_over):
        assert carried[0]["content"]["checklist"] == "date of birth"
        assert "blocks" not in carried[0]
        assert carried[1]["blocks"] == {"skipped_steps": {"items": 5}}
    assert [one["content"] for one in messages] == [one["content"] for one in recorded] == [one["content"] for one in handed_over]
    for one in decided:
        DecisionOut.model_validate(one)


def test_a_message_that_carries_nothing_has_no_such_keys_anywhere(site):
    site.world.scorer.said_risk = 0.9
    site.world.happens(site.world.person("ada"), "login", times=12, ago=timedelta(days=9))
    decided = site.http.post("/v1/decisions", {"user_id": "ada"}).json()
    (order,) = map(orjson.loads, site.world.ledger.outbox("onboarding"))
    assert decided["message"]["id"] == "checking_in"
    assert not {"content", "blocks"} & (decided["message"].keys() | order.keys())


def test_one_event_alone(site):
    assert site.http.post("/v1/events", login_failed()).json() == {"accepted": 1, "rejected": []}


def test_an_empty_batch_is_accepted(site):
    assert site.http.post("/v1/events", []).json() == {"accepted": 0, "rejected": []}
    assert site.http.post("/v1/decisions", []).json() == []


@pytest.mark.parametrize(
    ("bad", "code", "field"),
    [
        (3, "malformed", ""),
        (login_failed(kind="nonsense"), "unknown_kind", "kind"),
        (login_failed(occurred_at="2026-03-02T11:00:00"), "naive_timestamp", "occurred_at"),
        (login_failed(occurred_at="2026-03-02T12:06:00Z"), "future_timestamp", "occurred_at"),
        (login_failed(occurred_at="yesterday"), "bad_timestamp", "occurred_at"),
        ({name: value for name, value in login_failed().items() if name != "user_id"}, "missing_user", "user_id"),
        (login_failed(user_id="x" * 129), "user_id_too_long", "user_id"),
        (login_failed(event_id="x" * 129), "event_id_too_long", "event_id"),
        (login_failed(value=float("nan")), "bad_value", "value"),
        (login_failed(kind="key_action", value=float("nan")), "bad_value", "value"),
        (login_failed(kind="key_action", value=2**70), "bad_value", "value"),
        (login_failed(kind="key_action", value=True), "bad_value", "value"),
        (identify(plan=3), "bad_attribute", "traits.plan"),
        (identify(shoe_size=43.0), "unknown_attribute", "traits.shoe_size"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_bad_input_costs_itself_and_nothing_else(site, bad, code, field):
    batch = json.dumps([login_failed(1), bad, login_failed(2)])  # writes NaN as many senders do
    response = site.http.post("/v1/events", content=batch)
    assert response.status_code == 202
    answer = response.json()
    assert answer["accepted"] == 2
    ((rejected),) = answer["rejected"]
    assert (rejected["index"], rejected["code"], rejected["field"]) == (1, code, field)
    assert rejected["message"]
    site.work()
    assert site.world.decide("ada")["degraded"] == []
    alone = site.http.post("/v1/events", content=json.dumps(bad))
    assert error_of(alone, 422, "all_rejected")["field"] == field
    assert alone.json()["accepted"] == 0


def test_one_timeline_of_a_newer_version_in_a_list_degrades_its_user_alone(site):
    site.http.post("/v1/events", [login_failed(user_id=user_id) for user_id in ("ada", "bob", "cyd")])
    site.work()
    newer = as_version(site.world.timelines.read(["bob"])[0].packed, 3)
    site.world.timelines._rows["bob"] = StoredTimeline(packed=newer, version_us=1)
    answers = site.http.post("/v1/decisions", [{"user_id": user_id} for user_id in ("ada", "bob", "cyd")]).json()
    assert [answer["degraded"] for answer in answers] == [[], ["features_unavailable", "timeline_newer"], []]
    assert (
        answers[1]["reason"]["sentence"] == "The timeline of user 'bob' was written by a newer version of Stillhere: upgrade this process."
    )


@pytest.mark.parametrize("path", ["/v1/events", "/v1/decisions"])
@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[NaN"])
def test_what_is_not_json_is_refused_as_a_whole(site, path, body):
    error_of(site.http.post(path, content=body), 400, "malformed_json")


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[" * 100_000 + b"NaN"])
def test_json_that_is_too_deep_is_refused_and_the_service_goes_on(site, body):
    error_of(site.http.post("/v1/events", content=body), 400, "malformed_json")
    assert site.http.get("/healthz").status_code == 200


@pytest.mark.parametrize("odd", [b'"\\ud800"', b"1e999", b"99999999999999999999", b"NaN"])
def test_what_json_writers_get_wrong_costs_its_own_item(site, odd):
    good = orjson.dumps(login_failed())
    bad = good[:-1] + b', "session_id": ' + odd + b"}"
    ignored = good[:-1] + b', "unheard_of": ' + odd + b"}"
    answer = site.http.post("/v1/events", content=b"[" + b",".join((good, bad, ignored)) + b"]")
    assert answer.status_code == 202
    assert (answer.json()["accepted"], [row["index"] for row in answer.json()["rejected"]]) == (2, [1])


@pytest.mark.parametrize("path", ["/v1/events", "/v1/decisions"])
def test_a_body_beyond_the_limit_is_refused(onboarding, path):
    site = Site(onboarding, max_body_bytes=1_000)
    error_of(site.http.post(path, content=b" " * 1_001), 413, "body_too_large")

    async def in_pieces():
        for _ in range(11):
            yield b" " * 100

    error_of(site.http.post(path, content=in_pieces()), 413, "body_too_large")


def test_too_many_items_are_refused(onboarding):
    site = Site(onboarding, max_events=2, max_decisions=2)
    error_of(site.http.post("/v1/events", [login_failed(number) for number in (1, 2, 3)]), 413, "too_many_items")
    error_of(site.http.post("/v1/decisions", [{"user_id": "ada"}] * 3), 413, "too_many_items")
    assert site.stream.backlog() == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "user_id"),
        ("ada", ""),
        (None, ""),
        ({"user_id": 3}, "user_id"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": " "}, "user_id"),
        ({"user_id": "a\0b"}, "user_id"),
        ({"user_id": "x" * 129}, "user_id"),
        ([{"user_id": None}, {"user_id": ""}], "[0].user_id"),
        ([{"user_id": "a\0b"}, 3], "[0].user_id"),
        ([3], "[0]"),
    ],
)
def test_a_decision_needs_a_user(site, body, field):
    assert error_of(site.http.post("/v1/decisions", content=json.dumps(body)), 422, "invalid_request").get("field", "") == field


@pytest.mark.parametrize(("bad", "field"), [({"user_id": ""}, "[1].user_id"), ({"user_id": "a\0b"}, "[1].user_id"), (3, "[1]")])
def test_one_bad_item_costs_no_other_its_decision(site, bad, field):
    response = site.http.post("/v1/decisions", [{"user_id": "zed"}, bad, {"user_id": "ada"}])
    assert response.status_code == 200
    zed, refused, ada = response.json()
    assert (zed["user_id"], ada["user_id"]) == ("zed", "ada")
    assert (refused.keys(), refused["error"]["code"], refused["error"]["field"]) == ({"error"}, "invalid_request", field)
    assert 'stillhere_decisions_total{action="none",code="no_consent"} 2.0' in site.http.get("/metrics").text
    ErrorAnswer.model_validate(refused)


def test_several_users_are_answered_in_their_order(site):
    users = ["ben", "ada", "ben"]
    answers = site.http.post("/v1/decisions", [{"user_id": user} for user in users]).json()
    assert [answer["user_id"] for answer in answers] == users


def test_an_unknown_user_gets_a_reason(site):
    decision = site.http.post("/v1/decisions", {"user_id": "nobody"}).json()
    assert decision["action"] == "none"
    assert decision["reason"]["code"]
    assert decision["degraded"] == []


def test_without_a_model_assists_still_go_out(onboarding):
    site = Site(onboarding, scorer=None)
    site.http.post("/v1/events", [identify(), *(login_failed(number) for number in (1, 2, 3))])
    site.work()
    decision = site.http.post("/v1/decisions", {"user_id": "ada"}).json()
    assert decision["degraded"] == ["model_missing"]
    assert (decision["action"], decision["message"]["class"], decision["risk"]) == ("send", "assist", None)


class AwayStream(MemoryEventStream):
    def publish(self, messages) -> None:
        raise EventStreamError("could not publish: Redis is away")

    def backlog(self) -> int:
        raise EventStreamError("could not read")


def test_events_are_refused_when_they_cannot_be_kept(onboarding):
    site = Site(onboarding, stream=AwayStream())
    error_of(site.http.post("/v1/events", [login_failed()]), 503, "store_unavailable")
    assert site.http.post("/v1/events", [login_failed(kind="nonsense")]).status_code == 422  # says what is wrong all the same
    assert "stillhere_stream_backlog -1.0" in site.http.get("/metrics").text


def test_a_receipt_that_cannot_be_read_is_not_a_missing_one(onboarding):
    def away(decision_id):
        raise LedgerError("Redis is away")

    error_of(Site(onboarding, receipt=away).http.get("/v1/decisions/d1"), 503, "store_unavailable")


@pytest.mark.parametrize("decision_id", ["d0123456789abcdef-01hqxkz8000000000000000000", "nonsense", "%00", "a b"])
def test_an_unknown_decision_is_404(site, decision_id):
    error_of(site.http.get(f"/v1/decisions/{decision_id}"), 404, "decision_not_found")


def test_a_decision_id_that_no_decision_can_have_is_422(site):
    error_of(site.http.get(f"/v1/decisions/{'x' * 129}"), 422, "invalid_request")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/v1", 404, "not_found"),
        ("POST", "/v1/events/", 404, "not_found"),
        ("GET", "/v1/events", 405, "method_not_allowed"),
        ("DELETE", "/v1/decisions", 405, "method_not_allowed"),
        ("POST", "/healthz", 405, "method_not_allowed"),
    ],
)
def test_what_is_not_there_has_the_error_shape_too(site, method, path, status, code):
    error_of(site.http.request(method, path), status, code)


def test_a_mistake_of_ours_has_the_error_shape_and_says_nothing_secret(onboarding):
    class Broken:
        def decide_many(self, user_ids, *, now_us):
            raise ZeroDivisionError("the password is 1234")

    response = Site(onboarding, decider=Broken()).http.post("/v1/decisions", {"user_id": "ada"})
    error_of(response, 500, "internal_error")
    assert "1234" not in response.text


def test_health_and_readiness(onboarding):
    site = Site(onboarding)
    assert (site.http.get("/healthz").json(), site.http.get("/livez").json()) == ({"status": "ok"}, {"status": "ok"})
    assert site.http.get("/readyz").json() == {"status": "ready", "product": "onboarding", "checks": {"redis": "ok", "model": "ok"}}
    degraded = Site(onboarding, checks=lambda: {"redis": "ok", "model": "missing"}).http.get("/readyz")
    assert (degraded.status_code, degraded.json()["status"]) == (200, "degraded")
    error_of(Site(onboarding, checks=lambda: {"redis": "unreachable (TimeoutError)"}).http.get("/readyz"), 503, "not_ready")


def test_metrics_count_what_happened(site):
    site.http.post("/v1/events", [login_failed(), login_failed(kind="nonsense")])
    site.http.post("/v1/decisions", [{"user_id": "ada"}, {"user_id": "ben"}])
    figures = site.http.get("/metrics").text
    assert 'stillhere_decisions_total{action="none",code="no_consent"} 2.0' in figures
    assert "stillhere_events_accepted_total 1.0" in figures
    assert 'stillhere_events_rejected_total{code="unknown_kind"} 1.0' in figures
    assert "stillhere_stream_backlog 1.0" in figures
    assert 'stillhere_request_seconds_count{route="decisions"} 1.0' in figures


def test_the_empty_route_is_there_for_benchmarks_only(onboarding):
    assert Site(onboarding).http.post("/v1/empty").status_code == 404
    assert Site(onboarding, empty_route=True).http.post("/v1/empty", {"user_id": "ada"}).json() == {}
