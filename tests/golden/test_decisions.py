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


def test_every_reason_code_has_its_case():
    assert {_reason(file) for file in CASES if not _reason(file).startswith("sent_by_")} == set(REFUSED)


def test_every_trigger_of_the_small_policy_sends_in_some_case():
    sent = {_reason(file).removeprefix("sent_by_") for file in CASES if _reason(file).startswith("sent_by_")}
    assert sent == {trigger.name for trigger in POLICIES["small"].triggers}


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_document_goes_there_and_back(name):
    policy = POLICIES[name]
    assert policy_from_document(policy_document(policy)) == policy


def _reason(file):
    return orjson.loads(file.read_bytes())["output"]["reason"]["code"]
