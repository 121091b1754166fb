"""A corpus of decisions that any rewrite of `decide`, in any language, must pass. Each file's name says what it shows."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import pytest

from serving.decision.decide import decide, needs_explanation
from serving.decision.output import output_json
from serving.decision.record import inputs_from_json, inputs_to_json
from serving.decision.sentences import REFUSED
from serving.decision.timing import BETTER_SLOT, NO_BETTER_TIME, NOT_ENOUGH_DATA, NOTHING_ALLOWED
from serving.policy_file import policy_document, policy_from_document

HERE = Path(__file__).parent
CASES = sorted((HERE / "decisions").glob("*.json"))
POLICIES = {file.stem: policy_from_document(orjson.dumps(json.loads(file.read_text()))) for file in (HERE / "policies").glob("*.json")}


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_the_decision_is_the_recorded_one(file):
    case = orjson.loads(file.read_bytes())
    inputs, policy = inputs_from_json(case["inputs"]), POLICIES[case["policy"]]
    output = output_json(decide(inputs, policy), case["versions"])
    assert orjson.loads(output) == case["output"]
    assert output == orjson.dumps(case["output"], option=orjson.OPT_SORT_KEYS)
    assert needs_explanation(inputs, policy) is case["needs_explanation"]


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_the_record_of_inputs_goes_there_and_back(file):
    recorded = orjson.loads(file.read_bytes())["inputs"]
    assert inputs_to_json(inputs_from_json(recorded)) == recorded


NAMED_BY_POLICIES = ("sent_by_", "staged_by_", "held_by_")


def test_every_reason_code_has_its_case():
    seen = {_reason(file) for file in CASES} | {arm["blocked_by"] for file in CASES for arm in _output(file)["arms"] if arm["blocked_by"]}
    assert {code for code in seen if not code.startswith(NAMED_BY_POLICIES)} == set(REFUSED)


def test_every_word_of_advice_has_its_case():
    advice = {moment["advice"] for file in CASES if (moment := _output(file)["moment"]) is not None}
    assert advice == {None, BETTER_SLOT, NO_BETTER_TIME, NOT_ENOUGH_DATA, NOTHING_ALLOWED}


def test_every_trigger_of_the_small_policy_sends_in_some_case():
    sent = {_reason(file).removeprefix("sent_by_") for file in CASES if _reason(file).startswith("sent_by_")}
    assert sent == {trigger.name for trigger in POLICIES["small"].triggers}


def test_every_guardrail_holds_back_in_some_case():
    held = {_reason(file).removeprefix("held_by_") for file in CASES if _reason(file).startswith("held_by_")}
    assert held == {guardrail.name for guardrail in POLICIES["full"].guardrails}


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_document_goes_there_and_back(name):
    policy = POLICIES[name]
    assert policy_from_document(policy_document(policy)) == policy


def _reason(file):
    return _output(file)["reason"]["code"]


def _output(file):
    return orjson.loads(file.read_bytes())["output"]
