"""What `stillhere decide` prints on a terminal, beyond what the demo prints too (test_demo_show.py)."""

from __future__ import annotations

import io
from datetime import timedelta

import orjson
import pytest
from rich.console import Console

from serving.cli.brief import brief


def printed(receipt):
    file = io.StringIO()
    Console(file=file, width=200, highlight=False).print(brief(receipt))
    return file.getvalue()


@pytest.fixture
def locked_out(world):
    world.person("ada")
    world.happens("ada", "login_failed", times=3, ago=timedelta(seconds=60))
    return world


def test_when_to_ask_again_is_said_where_time_alone_is_in_the_way(locked_out):
    first, again = locked_out.answer("ada"), locked_out.answer("ada")
    assert "ask again" not in printed(first.receipt)
    ask_again_at = orjson.loads(again.output)["ask_again_at"]
    assert ask_again_at is not None
    assert f"ask again       at {ask_again_at}" in printed(again.receipt)


def test_what_was_missing_is_said_in_words(locked_out):
    assert "degraded" not in printed(locked_out.answer("ada").receipt)
    locked_out.service = locked_out.service_with(locked_out.service.policy, scorer=None)
    text = printed(locked_out.answer("ada").receipt)
    assert "degraded        no model is loaded" in text
    assert "risk            unknown" in text
