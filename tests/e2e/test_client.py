"""The client against the real app: what it makes of answers, and what it tries again."""

from __future__ import annotations

import socketserver
import threading
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from _bentoml_impl.worker.service import main as service_worker

from serving.client import Client, Decision, StillhereError
from tests.e2e.test_http import Site, login_failed
from tests.serving_world import FixedScorer


@pytest.fixture
def site(onboarding):
    return Site(onboarding, scorer=FixedScorer(said_risk=0.9, said_contributions={"silence": 1.0}))


class Through(httpx.BaseTransport):
    """Carries requests to the app in this process; loses answers, or stands in for them, as told."""

    def __init__(self, site, *, lost=0, instead=()):
        self.site, self.lost, self.instead, self.sent = site, lost, list(instead), []

    def handle_request(self, request):
        self.sent.append(request)
        if self.instead:
            return self.instead.pop(0)
        headers = {name: value for name, value in request.headers.items() if name != "content-length"}
        answer = self.site.http.request(request.method, request.url.path, content=request.read(), headers=headers)
        if self.lost:
            self.lost -= 1
            raise httpx.ReadTimeout("the answer got lost")
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


def client(site, *, waits=None, **how):
    transport = Through(site, **how)
    return Client(url="http://stillhere", transport=transport, sleep=(waits if waits is not None else []).append), transport


def leaving(site):
    site.world.person("ada")
    site.world.happens("ada", "login", times=12, ago=timedelta(days=10))
    return "ada"


def test_a_decision_says_what_to_send_when_and_why(site):
    asks, _ = client(site)
    decision = asks.decide(leaving(site))
    assert (decision.action, decision.is_sent, decision.reason) == ("send", True, "sent_by_high_risk")
    assert (decision.message.channel, decision.message.send_at) == ("email", datetime(2026, 3, 2, 12, tzinfo=UTC))
    assert asks.receipt(decision.decision_id)["output"] == decision.raw
    assert asks.delivered(decision.decision_id, at=datetime(2026, 3, 2, 12, tzinfo=UTC)) == "known"
    assert asks.failed("nonsense") == "unknown"


def test_a_message_has_the_content_and_the_blocks_of_its_answer_and_none_where_it_has_none(site):
    asks, _ = client(site)
    site.world.happens(site.world.person("bob"), "login")
    site.world.happens("bob", "step_skipped", times=2, subject="invite")
    message = asks.decide("bob").message
    assert (message.id, message.content["action"]) == ("finish_setup", "Show me the steps")
    assert message.blocks == {"skipped_steps": {"items": 5}}
    plain = asks.decide(leaving(site)).message
    assert (plain.content, plain.blocks) == ({}, {})
    assert len({message, plain}) == 2  # as before it carried anything, it can be counted and looked up


def test_an_answer_that_got_lost_is_asked_for_again_and_is_the_same_decision(site):
    waits = []
    asks, transport = client(site, lost=2, waits=waits)
    decision = asks.decide(leaving(site))
    assert len({request.headers["Idempotency-Key"] for request in transport.sent}) == 1
    assert (len(transport.sent), waits) == (3, [0.1, 0.2])
    assert decision.is_sent
    assert len(site.world.ledger.outbox("onboarding")) == 1


class Hasty(socketserver.ThreadingTCPServer):
    """Answers each connection's first request, keeps the connection, and closes it on the second, as one that was idle too long."""

    daemon_threads, block_on_close = True, False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Once)
        self.keys = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Once(socketserver.StreamRequestHandler):
    def handle(self):
        self._read()
        answer = b'{"accepted":1,"rejected":[]}' if self.server.keys[-1] is None else b'{"decision_id":"d"}'
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))
        self._read()

    def _read(self):
        """One request; at the end of the connection, nothing."""
        headers = iter(self.rfile.readline, b"\r\n")
        named = dict(line.decode().strip().lower().partition(":")[::2] for line in headers if line) if self.rfile.peek(1) else {}
        if named:
            self.rfile.read(int(named["content-length"]))
            self.server.keys.append(named.get("idempotency-key"))


@pytest.fixture
def hasty():
    with Hasty() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_kept_connection_that_the_service_closes_costs_a_try_and_nothing_else(hasty):
    waits = []
    with Client(url=hasty.url, sleep=waits.append, timeout_s=10) as asks:
        assert asks.send([{}]).accepted == 1
        assert asks.send([{}]).accepted == 1
    assert (waits, hasty.keys) == ([0.1], [None] * 3)


def test_a_request_that_such_a_connection_lost_is_sent_again_under_its_key(hasty):
    waits = []
    with Client(url=hasty.url, sleep=waits.append, timeout_s=10) as asks:
        asks.send([{}])
        assert asks._post("/v1/decisions", {"user_id": "ada"}, key="k1") == {"decision_id": "d"}
    assert (waits, [key.strip() for key in hasty.keys[1:]]) == ([0.1], ["k1", "k1"])


def test_connections_are_let_go_of_before_the_service_does(hasty):
    keep_alive_s = next(option.default for option in service_worker.params if option.name == "timeout_keep_alive")
    assert Client(url=hasty.url).idle_s <= keep_alive_s / 2
    waits = []
    with Client(url=hasty.url, idle_s=0, sleep=waits.append, timeout_s=10) as asks:
        assert [asks.send([{}]).accepted for _ in range(3)] == [1, 1, 1]
    assert waits == []


def test_a_service_that_is_full_is_asked_again_when_it_says(site):
    waits = []
    full = httpx.Response(
        503, headers={"Retry-After": "1"}, json={"error": {"code": "overloaded", "message": "full", "what_to_do": "wait"}}
    )
    asks, _ = client(site, instead=[full], waits=waits)
    assert asks.decide("ada").action == "none"
    assert waits == [1.0]


def test_what_stays_unreachable_or_full_is_an_error_with_its_code(site):
    asks, _ = client(site, lost=9)
    with pytest.raises(StillhereError, match="the answer got lost") as unreachable:
        asks.decide("ada")
    assert (unreachable.value.code, unreachable.value.status) == ("unreachable", None)
    gateway = [httpx.Response(502, text="<html>") for _ in range(3)]
    asks, _ = client(site, instead=gateway)
    with pytest.raises(StillhereError) as odd:
        asks.decide("ada")
    assert (odd.value.code, odd.value.status) == ("unexpected_answer", 502)


def test_bad_items_of_a_list_have_their_errors_in_their_places_and_are_not_tried_again(site):
    asks, transport = client(site)
    good, bad = asks.decide_many(["ada", " "])
    assert isinstance(good, Decision)
    assert (bad.code, bad.field) == ("invalid_request", "[1].user_id")
    assert len(transport.sent) == 1


def test_events_are_accepted_or_refused_one_by_one(site):
    asks, _ = client(site)
    accepted = asks.send([login_failed(), {"kind": "nonsense"}])
    assert (accepted.accepted, [one["index"] for one in accepted.rejected]) == (1, [1])
    with pytest.raises(StillhereError) as nothing:
        asks.send([{"kind": "nonsense"}])
    assert (nothing.value.code, nothing.value.status) == ("all_rejected", 422)
    with pytest.raises(StillhereError) as unknown:
        asks.receipt("d0123456789abcdef-01hqxkz8000000000000000000")
    assert unknown.value.code == "decision_not_found"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        *((status, body) for status in (403, 502) for body in (b'{"error": "no route"}', b'{"error": {"reason": 7}}', b"[]", b"null", b"")),
        *((200, body) for body in (b"<html>", b"")),
    ],
)
def test_what_a_proxy_answers_in_its_own_shape_is_an_error_like_any_other(site, status, body):
    asks, _ = client(site, instead=[httpx.Response(status, content=body) for _ in range(3)])
    with pytest.raises(StillhereError) as refused:
        asks.decide(leaving(site))
    assert (refused.value.code, refused.value.status) == ("unexpected_answer", status)


@pytest.mark.parametrize("body", [b"[]", b"{}", b'[{"ok": true}, {"ok": true}]', b'"hello"', b"[null, null]"])
def test_a_list_is_answered_by_as_many_decisions_or_it_is_no_answer_of_ours(site, body):
    asks, _ = client(site, instead=[httpx.Response(200, content=body)])
    with pytest.raises(StillhereError, match="no list of 2 decisions") as odd:
        asks.decide_many(["ada", "bob"])
    assert odd.value.code == "unexpected_answer"
