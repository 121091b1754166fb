"""What `stillhere decide` prints on a terminal, beyond what the demo prints too (test_demo_show.py)."""

from __future__ import annotations

import io
import re
from datetime import timedelta

import orjson
import pytest
from rich.console import Console

from serving.cli.brief import brief
from serving.cli.story import print_story


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


def explained(receipt):
    file = io.StringIO()
    print_story(receipt, console=Console(file=file, width=200, highlight=False))
    return file.getvalue()


@pytest.mark.parametrize("said", [printed, explained], ids=["decide", "explain"])
def test_what_a_message_carries_is_said_in_words_and_not_where_it_carries_nothing(locked_out, said):
    text = said(locked_out.answer("ada").receipt)
    assert re.search(r"content +action: Try again", text)
    assert "video_seconds: 30" in text
    assert "to fetch" not in text
    locked_out.happens(locked_out.person("bob"), "login")
    locked_out.happens("bob", "step_skipped", times=2, subject="invite")
    assert re.search(r"to fetch +skipped_steps \(items 5\)", said(locked_out.answer("bob").receipt))
    locked_out.happens(locked_out.person("cyd"), "login", times=12, ago=timedelta(days=10))
    locked_out.scorer.said_contributions = {}
    text = said(locked_out.answer("cyd").receipt)
    assert "Is everything working for you?" in text
    assert not re.search(r"\b(content|to fetch) ", text)
