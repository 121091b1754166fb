from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from features.core.event import Event, from_us, to_us
from features.core.product import Collection, Product
from features.ingest.admission import ProfileChange
from features.ingest.collection import RefusedEvent, Told
from features.ingest.rejection import Rejection
from features.ingest.stream_message import read_message, told_by

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LOGIN = {"event_id": "e", "user_id": "ada", "kind": "login", "occurred_at": NOON.isoformat()}


def body_of(item: Any, received_us: object = to_us(NOON) + 7) -> bytes:
    return orjson.dumps({"received_us": received_us, "item": item})


def test_an_event_keeps_the_instant_it_was_accepted(onboarding: Product) -> None:
    event = read_message(body_of(LOGIN), onboarding)
    assert isinstance(event, Event)
    assert event.received_at == from_us(to_us(NOON) + 7)
    assert told_by(body_of(LOGIN), event) is event


@pytest.mark.parametrize("body", [b"?", b"[]", b"{}", b'{"received_us": 1}', body_of(LOGIN, "noon"), body_of(LOGIN, 10**18)])
def test_what_is_no_message_of_ours_is_malformed_and_nobodys(onboarding: Product, body: bytes) -> None:
    refused = read_message(body, onboarding)
    assert isinstance(refused, Rejection)
    assert refused.code == "malformed"


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ({**LOGIN, "kind": "gone"}, RefusedEvent(user_id="ada")),
        ({**LOGIN, "type": "page"}, RefusedEvent(user_id="ada")),
        ({**LOGIN, "type": ["event"]}, RefusedEvent(user_id="ada")),
        ({"type": "identify", "user_id": "ada"}, None),
        ({"type": "alias", "user_id": "ada"}, None),
        ({**LOGIN, "user_id": ""}, None),
        ({"kind": "login"}, None),
        ([], None),
        (None, None),
    ],
)
def test_what_is_refused_as_an_event_of_somebody_is_theirs(onboarding: Product, item: Any, told: Told) -> None:
    refused = read_message(body_of(item), onboarding)
    assert isinstance(refused, Rejection)
    assert told_by(body_of(item), refused) == told


def test_of_a_refused_answer_the_no_in_it_is_told(onboarding: Product) -> None:
    asking = replace(onboarding, collection=Collection(attribute="consent", unless_said=True))
    item = {"type": "identify", "user_id": "ada", "occurred_at": NOON.isoformat(), "traits": {"consent": False, "gone": 1}}
    refused = read_message(body_of(item), asking)
    assert isinstance(refused, Rejection)
    told = told_by(body_of(item), refused)
    assert isinstance(told, ProfileChange)
    assert (told.user_id, told.attributes) == ("ada", {"consent": False})


def test_an_answer_tells_what_it_says(onboarding: Product) -> None:
    item = {"type": "identify", "user_id": "ada", "occurred_at": NOON.isoformat(), "traits": {"consent": False}}
    change = read_message(body_of(item), onboarding)
    assert isinstance(change, ProfileChange)
    assert told_by(body_of(item), change) is change
