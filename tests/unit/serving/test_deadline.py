"""A request that takes too long is answered in the one error shape; what has begun to be answered is not answered twice."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import FastAPI
from starlette.responses import StreamingResponse

from serving.api.deadline import Deadline
from tests.http_client import InProcess


@pytest.fixture
def http():
    app = FastAPI()
    app.add_middleware(Deadline, after_s=0.05)

    @app.get("/never")
    async def never():
        await asyncio.Event().wait()

    @app.get("/at-once")
    async def at_once():
        return {"done": True}

    @app.get("/own")
    async def own():
        raise TimeoutError("of the app's own")

    @app.get("/begun")
    async def begun():
        async def parts():
            yield b"begun"
            await asyncio.Event().wait()

        return StreamingResponse(parts())

    return InProcess(app)


def test_what_never_comes_is_told_in_time(http):
    answer = http.get("/never")
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timed_out")


def test_what_comes_in_time_is_as_it_was(http):
    assert http.get("/at-once").json() == {"done": True}


def test_a_timeout_of_the_apps_own_is_a_mistake_of_ours(http):
    assert http.get("/own").status_code == 500


def test_what_has_begun_is_not_answered_again(http):
    assert http.get("/begun").status_code == 200
