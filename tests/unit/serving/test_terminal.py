"""What people read on a terminal holds no control characters of anybody's name; what programs read holds what was stored."""

from __future__ import annotations

import io
import re

import orjson
import pytest
from rich.console import Console

from serving.cli.brief import brief
from serving.cli.replay_command import as_text
from serving.cli.story import print_story
from serving.cli.terminal import cell, print_json, readable, say, warn
from serving.replay_many import Example, ReplaySummary
from tests.serving_world import ROOT

EVIL = "A\x1b]0;pwned\x07\x1b[2J\x00\x9b2J\x7f\r"
SHOWN = "A\\x1b]0;pwned\\x07\\x1b[2J\\x00\\x9b2J\\x7f\\x0d"
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
RECEIPTS = sorted((ROOT / "tests" / "golden" / "receipts" / "decisions").glob("*.json"))


def test_control_characters_are_shown_and_lines_and_tabs_stay():
    assert readable(f"{EVIL}\tB\nß €") == f"{SHOWN}\tB\nß €"
    assert cell("ada\tbob\n") == "ada\\x09bob\\x0a"
    every = "".join(map(chr, range(0x100)))
    assert not CONTROL.search(readable(every).replace("\t", ""))
    assert [one for one in every if readable(one) == one] == [one for one in every if one in "\t\n" or not CONTROL.match(one)]


def poisoned(value):
    """The same receipt, each free text of it with an escape in it."""
    if isinstance(value, dict):
        return {key: f"{part}{EVIL}" if key in FREE and isinstance(part, str) else poisoned(part) for key, part in value.items()}
    return [poisoned(part) for part in value] if isinstance(value, list) else value


FREE = {"user_id", "title", "body", "sentence", "channel", "segment", "arm", "rule", "group", "image_url", "action_text"}


def receipts():
    for file in RECEIPTS:
        receipt = orjson.loads(file.read_bytes())["receipt"]
        receipt = orjson.loads(receipt) if isinstance(receipt, str) else receipt
        if (message := receipt["output"]["message"]) is not None:
            message.update(content={"action_text": "Go on"}, blocks={"reviews": {"image_url": "x"}})
        yield orjson.dumps(poisoned(receipt))


@pytest.mark.parametrize("tell", [lambda receipt, to: to.print(brief(receipt)), lambda receipt, to: print_story(receipt, console=to)])
def test_no_receipt_brings_a_control_character_onto_the_terminal(tell):
    told = []
    for receipt in receipts():
        file = io.StringIO()
        tell(receipt, Console(file=file, width=400, force_terminal=False))
        told.append(file.getvalue())
    assert any("Go on" in one and SHOWN in one for one in told)
    assert not any(CONTROL.search(one) for one in told)


def test_differences_of_a_replay_are_shown(capsys):
    summary = ReplaySummary(receipts=1)
    summary.examples.append(Example(decision_id="d", part="decision", differences=(f"message.title: {EVIL}",)))
    say(as_text(summary))
    out, _ = capsys.readouterr()
    assert f"message.title: {SHOWN}" in out
    assert not CONTROL.search(out)


def test_warnings_are_shown_and_json_stays_as_it_is(capsys):
    warn(f"no {EVIL}")
    print_json('{"title":"\x7f\x9b"}')
    out, err = capsys.readouterr()
    assert (out, err) == ('{"title":"\x7f\x9b"}\n', f"stillhere: no {SHOWN}\n")


def test_only_one_module_of_the_command_line_writes_texts():
    """Bytes that programs read go their own way (`sys.stdout.buffer`)."""
    writes = re.compile(r"sys\.std(out|err)\.write|(?<!\.)\bprint\(")
    assert {file.name for file in (ROOT / "serving" / "cli").rglob("*.py") if writes.search(file.read_text())} == {"terminal.py"}
