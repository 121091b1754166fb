"""Plays the live users against the running service, over HTTP as a product's backend would."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson

from serving.cli.demo.chance import left_to_chance
from serving.cli.demo.personas import Persona, fails_again, personas, stand_ins
from serving.cli.processes import ProcessError
from serving.decision.policy import Policy

_TIMELY_S = 60.0
_POLL_S = 0.05
_BACKLOG = re.compile(r"^stillhere_stream_backlog(?:\{[^}]*\})? (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What happened to one user, and what was decided."""

    headline: str
    answer: bytes  # as POST /v1/decisions answered it
    receipt: bytes
    chance: str = ""  # what the policy would have done, where chance decided instead


def play(api_url: str, policy: Policy) -> list[Played]:
    """Send everyone's events, ask for everyone's decision; then let the first one fail once more and ask again.

    Where chance decides about somebody, that is told, and the same happens to somebody else until the policy itself decides.
    """
    with httpx.Client(base_url=api_url, timeout=30.0) as client:
        everyone = personas()
        _send(client, [item for persona in everyone for item in persona.items(datetime.now(UTC))])
        asked = [_decide_of_its_own(client, persona, policy) for persona in everyone]
        (helped, _), *_ = reversed(asked[0])
        _send(client, [fails_again(helped, datetime.now(UTC))])
        again = _decide(client, helped, "Moments after the help was offered, a fourth sign-in fails.", policy)
    return [*(played for of_one in asked for _, played in of_one), again]


def first_of_its_own(played: Sequence[Played]) -> Played:
    """The first decision in which chance had no part, of which more is shown; the first of all where there is none."""
    return next((one for one in played if not one.chance), played[0])


def _decide_of_its_own(client: httpx.Client, persona: Persona, policy: Policy) -> list[tuple[Persona, Played]]:
    """Everybody whom the story happened to: one, or more where chance decided about the first."""
    found: list[tuple[Persona, Played]] = []
    for person in (persona, *stand_ins(persona)):
        if found:
            _send(client, list(person.items(datetime.now(UTC))))
        found.append((person, _decide(client, person, person.headline, policy)))
        if not found[-1][1].chance:
            break
    return found


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


def _decide(client: httpx.Client, persona: Persona, headline: str, policy: Policy) -> Played:
    answer = _checked(client.post("/v1/decisions", json={"user_id": persona.user_id})).content
    receipt = _checked(client.get(f"/v1/decisions/{orjson.loads(answer)['decision_id']}")).content
    return Played(headline=headline, answer=answer, receipt=receipt, chance=left_to_chance(receipt, policy))


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_error:
        raise ProcessError(f"{response.request.method} {response.request.url} answered {response.status_code}: {response.text[:300]}")
    return response
