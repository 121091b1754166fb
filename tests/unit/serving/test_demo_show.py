"""What the demo prints: everything that a decision says, in few lines, and nothing that breaks a terminal."""

from __future__ import annotations

import io
import json
import math
import re
from datetime import timedelta

import orjson
import pytest
from rich.console import Console

from serving.cli.demo.play import Played
from serving.cli.demo.show import _essentials, panel, show, whole


@pytest.fixture
def played(world):
    """Somebody who is sent an email, somebody who has not consented, and somebody about whom nothing is known."""
    world.person("ada")
    world.happens("ada", "login", times=12, ago=timedelta(days=10))
    world.person("bob", consent=False)
    world.scorer.said_contributions = {"base": -1.0, "silence": 1.234, "[bold]markup": 0.5}
    answers = [world.answer(user_id) for user_id in ("ada", "bob", "nobody")]
    return [Played(headline=f"Number [{number}].", answer=one.output, receipt=one.receipt) for number, one in enumerate(answers)]


def printed(thing, width=100):
    file = io.StringIO()
    Console(file=file, width=width, highlight=False).print(thing)
    return file.getvalue()


def words(text):
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", text).split())


def test_every_verdict_of_every_arm_is_there(played):
    for one in played:
        output, text = orjson.loads(one.answer), words(printed(panel(one)))
        for verdict in output["verdicts"]:
            label = "guardrails" if verdict["arm"] == "*" else verdict["arm"]
            said = re.search(rf"{re.escape(label)} (.*?)(?= \w+/\w+ (?:yes|no):| {output['decision_id']})", text)[1]
            stopped, _, passed = said.partition("yes: ")
            assert verdict["rule"] in (passed if verdict["passed"] else stopped)
        assert output["reason"]["sentence"] in text
        assert text.count(output["reason"]["sentence"]) == 1


def test_it_says_what_was_decided_and_why(played):
    text = words(printed(panel(played[0])))
    assert "ada: outreach by email" in text
    assert "Number [0]." in text
    assert "In log-odds: silence +1.23, [bold]markup +0.50" in text
    output = orjson.loads(played[0].answer)
    assert f'"{output["message"]["title"]}"' in text
    essentials = _essentials(output)
    assert essentials["message"] == {"id": output["message"]["id"], "class": "outreach", "channel": "email"}
    assert essentials["moment"] == {"send_at": output["moment"]["send_at"]}


def test_a_decision_whole_is_the_answer_itself(played):
    for one in played:
        assert json.loads(whole(orjson.loads(one.answer))) == orjson.loads(one.answer)


def shown(played, width):
    file = io.StringIO()
    show(played, n_same=3, console=Console(file=file, width=width, highlight=False))
    return file.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
def test_json_can_be_copied_from_a_terminal_of_any_width(played, width):
    """No line of it is broken by us, and nothing is put between its lines: a terminal that wraps gives back what it was given."""
    text = shown(played, width)
    essentials = re.findall(r"^as JSON: (\{.*\})$", text, re.MULTILINE)
    assert [json.loads(one) for one in essentials] == [_essentials(orjson.loads(one.answer)) for one in played]
    whole_one = text[text.rindex('\n{"') : text.rindex("}\n") + 1]
    assert json.loads(whole_one) == orjson.loads(played[0].answer)


@pytest.mark.parametrize("width", [80, 100, 120])
def test_nobody_has_to_scroll_far(played, width):
    lines = shown(played, width).splitlines()
    is_json = [line.lstrip().startswith(('{"', '"', "as JSON: ")) for line in lines]
    assert max(len(line) for line, json_too in zip(lines, is_json, strict=True) if not json_too) <= width
    rows = sum(max(1, math.ceil(len(line) / width)) for line in lines)  # on a terminal
    assert rows <= 16 * len(played) + 165 * 80 // width
