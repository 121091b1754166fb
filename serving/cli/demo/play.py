"""Plays the live users against the running service, over HTTP as a product's backend would."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson

from serving.cli.demo.personas import Persona, fails_again, personas
from serving.cli.processes import ProcessError

_TIMELY_S = 60.0
_POLL_S = 0.05
_BACKLOG = re.compile(r"^stillhere_stream_backlog(?:\{[^}]*\})? (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What happened to one user, and what was decided."""

    headline: str
    answer: bytes  # as POST /v1/decisions answered it
    receipt: bytes


def play(api_url: str) -> list[Played]:
    """Send everyone's events, ask for everyone's decision; then let the first one fail once more and ask again."""
    with httpx.Client(base_url=api_url, timeout=30.0) as client:
        everyone = personas()
        _send(client, [item for persona in everyone for item in persona.items(datetime.now(UTC))])
        played = [_decide(client, persona, persona.headline) for persona in everyone]
        _send(client, [fails_again(everyone[0], datetime.now(UTC))])
        played.append(_decide(client, everyone[0], "Moments after the help was offered, a fourth sign-in fails."))
    return played


def _send(client: httpx.Client, items: list[dict[str, Any]]) -> None:
    """Send, and wait until the worker has put all of it into the timelines."""
    answer = _checked(client.post("/v1/events", content=orjson.dumps(items))).json()
    if answer["rejected"]:
        raise ProcessError(f"the service refused events of the demo: {answer['rejected'][0]['message']}")
    deadline = time.monotonic() + _TIMELY_S
    while backlog(client) != 0:
        if time.monotonic() > deadline:
            raise ProcessError(f"the worker did not take up the events within {_TIMELY_S:g} s; see logs/worker.log in the state directory")
        time.sleep(_POLL_S)


def backlog(client: httpx.Client) -> float:
    """Read from /metrics how many accepted events are not yet in a timeline."""
    found = _BACKLOG.search(_checked(client.get("/metrics")).text)
    if found is None:
        raise ProcessError("the service's /metrics has no stillhere_stream_backlog")
    return float(found[1])


def _decide(client: httpx.Client, persona: Persona, headline: str) -> Played:
    answer = _checked(client.post("/v1/decisions", json={"user_id": persona.user_id})).content
    receipt = _checked(client.get(f"/v1/decisions/{orjson.loads(answer)['decision_id']}")).content
    return Played(headline=headline, answer=answer, receipt=receipt)


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_error:
        raise ProcessError(f"{response.request.method} {response.request.url} answered {response.status_code}: {response.text[:300]}")
    return response
