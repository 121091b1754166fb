"""A service that compiles first answers whoever asks meanwhile, and then is the service."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event

import pytest
from starlette.responses import PlainTextResponse

from serving.api.compiling import CompilingFirst
from tests.http_client import InProcess


@dataclass
class Built:
    app: object = field(default_factory=lambda: PlainTextResponse("served"))
    closed: int = 0

    def close(self):
        self.closed += 1


class Slow:
    """Builds when it is told to."""

    def __init__(self, fault=None):
        self.may_end, self.fault, self.built = Event(), fault, Built()

    def __call__(self):
        assert self.may_end.wait(60)
        if self.fault:
            raise self.fault
        return self.built


def finished(app, slow):
    slow.may_end.set()
    app.wait()
    return InProcess(app)


@pytest.fixture
def start():
    """Start an app; ended with the test, as a service ends it."""
    started = []

    def start_one(slow):
        started.append(app := CompilingFirst(slow))
        app.start()
        return app

    yield start_one
    for app in started:
        app.close()


@pytest.mark.parametrize(("method", "path"), [("GET", "/readyz"), ("POST", "/v1/decisions"), ("POST", "/v1/events"), ("GET", "/metrics")])
def test_who_asks_meanwhile_is_told_what_is_waited_for(start, method, path):
    slow = Slow()
    app = start(slow)
    answer = InProcess(app).request(method, path)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (503, "not_ready")
    assert error["message"] == "compiling the feature kernel (once, about a minute)"
    assert error["what_to_do"] == "wait, and ask again"
    assert finished(app, slow).request(method, path).text == "served"


@pytest.mark.parametrize("path", ["/healthz", "/livez"])
def test_it_lives_meanwhile(start, path):
    slow = Slow()
    app = start(slow)
    assert InProcess(app).get(path).json() == {"status": "ok"}
    assert finished(app, slow).get(path).text == "served"


def test_what_was_built_is_closed_with_it_and_nothing_where_nothing_was(start):
    slow = Slow()
    app = start(slow)
    app.close()
    assert slow.built.closed == 0
    finished(app, slow)
    app.close()
    assert slow.built.closed == 1


@pytest.mark.parametrize("path", ["/readyz", "/v1/decisions", "/healthz", "/livez"])
def test_what_could_not_be_built_is_said_for_as_long_as_somebody_asks_and_it_is_not_called_alive(start, path):
    slow = Slow(fault=ValueError("policy.yaml: caps: found nothing"))
    app = start(slow)
    answer = finished(app, slow).get(path)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (503, "not_ready")
    assert error["message"] == "the service could not be built: policy.yaml: caps: found nothing"
