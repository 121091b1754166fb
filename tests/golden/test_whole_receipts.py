"""Whole receipts replay: decision to the same bytes, features exactly, score within 1e-9; and replay notices what was changed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from features.core.layout import OCCURRED
from features.core.timeline import pack, unpack
from models.bundle import load_bundle
from serving.cli.replay_command import as_text
from serving.decision.canonical import canonical
from serving.policy_file import policy_document, policy_from_document
from serving.policy_file.document import document_hash
from serving.replay import SCORE_TOLERANCE, Outcome
from serving.replay_many import replay_all
from serving.use_case.receipt import timeline_hash
from tests.formats.other import as_version
from tests.golden.small_trees import BASE_LOG_ODDS, INTERCEPT, SLOPE, TREES, VERSION, raw_score, write_small_trees
from tests.golden.whole_receipts import CASES, FILES, POLICY, WholeReceipt, decided, read, replayer
from tests.golden.whole_receipts import product as golden_product

SAME, DIFFERENT, NOT_CHECKED = Outcome.SAME, Outcome.DIFFERENT, Outcome.NOT_CHECKED
EXPLAINED = [file for file in FILES if read(file).content["inputs"]["contributions"] is not None]


@pytest.fixture(scope="module")
def product():
    return golden_product()


@pytest.fixture(scope="module")
def scorer(product, tmp_path_factory):
    return load_bundle(write_small_trees(product, tmp_path_factory.mktemp("bundle")), product)


def named(file):
    return file.stem


def whole(name):
    return read(next(file for file in FILES if file.stem == name))


def outcomes(report):
    return report.decision.outcome, report.score.outcome, report.features.outcome


def test_there_is_a_receipt_of_every_case():
    assert {file.stem for file in FILES} == set(CASES)


def test_the_policy_that_decided_is_kept_under_the_hash_that_receipts_name():
    assert {read(file).content["versions"]["policy"] for file in FILES} == {document_hash(POLICY.read_bytes())}
    assert policy_from_document(policy_document(policy_from_document(POLICY.read_bytes()))).triggers


@pytest.mark.parametrize("file", FILES, ids=named)
def test_decision_score_and_features_replay(file, product, scorer):
    kept = read(file)
    report = replayer(kept, scorer, product).replay(kept.receipt)
    has_risk = kept.content["output"]["risk"] is not None
    assert outcomes(report) == (SAME, SAME if has_risk else NOT_CHECKED, SAME)
    assert report.output == canonical(kept.content["output"])
    assert (report.features.detail, report.features.differences) == ("", ())


@pytest.mark.parametrize("file", FILES, ids=named)
def test_the_service_of_today_writes_the_same_receipt(file, product, scorer):
    """Also what replay takes as given: which risk, which causes, which timeline. The policy's name alone may be another by now."""
    arrange, has_model = CASES[file.stem]
    kept, today = read(file), decided(arrange, scorer if has_model else None, product)
    assert today.timeline == kept.timeline
    (today_rest, today_floats), (kept_rest, kept_floats) = parted(today.content), parted(kept.content)
    assert today_rest == kept_rest
    assert today_floats == pytest.approx(kept_floats, abs=SCORE_TOLERANCE)  # machines may differ in the last bit of exp


def parted(receipt):
    """All of a receipt but the policy's name, and apart from it the numbers of the model."""
    inputs, output = receipt["inputs"], receipt["output"]
    for versions in (receipt["versions"], output["versions"]):
        del versions["policy"]
    floats = {"risk": inputs.pop("risk"), "shown": output.pop("risk"), **(inputs.pop("contributions") or {})}
    if output["cause"]:
        floats["of the cause"] = output["cause"].pop("contribution")
    return receipt, floats


@pytest.mark.parametrize("file", FILES, ids=named)
def test_the_timeline_is_the_one_that_the_receipt_names(file):
    kept, said = read(file), read(file).content["timeline"]
    timeline = unpack(kept.timeline)
    assert (timeline_hash(kept.timeline), timeline.n_events) == (said["hash"], said["n_events"])
    assert (timeline.newest_known_us, timeline.coverage_start_us) == (said["newest_known_us"], said["coverage_start_us"])


@pytest.mark.parametrize("file", [file for file in FILES if read(file).content["output"]["risk"] is not None], ids=named)
def test_the_score_is_what_the_trees_give_on_paper(file):
    inputs = read(file).content["inputs"]
    features = {name: math.nan if value is None else value for name, value in inputs["features"].items()}
    odds = SLOPE * raw_score(features, inputs["profile"].get("seats")) + INTERCEPT
    assert inputs["risk"] == pytest.approx(1.0 / (1.0 + math.exp(-odds)), abs=SCORE_TOLERANCE)


@pytest.mark.parametrize("file", EXPLAINED, ids=named)
def test_attributions_come_out_again_and_add_up_to_the_score(file, product, scorer):
    inputs = read(file).content["inputs"]
    features = {name: math.nan if value is None else value for name, value in inputs["features"].items()}
    row = np.array([features[name] for name in product.catalogue.feature_names])
    again = scorer.contributions(row, inputs["profile"])
    assert again == pytest.approx(inputs["contributions"], abs=SCORE_TOLERANCE)
    assert sum(again.values()) == pytest.approx(raw_score(features, inputs["profile"].get("seats")), abs=SCORE_TOLERANCE)
    assert again["base"] == pytest.approx(BASE_LOG_ODDS, abs=SCORE_TOLERANCE)


def test_the_cause_is_the_actionable_one_that_adds_most():
    output = whole("failed_sign_ins_of_the_week_weigh_less_than_silence").content
    added = output["inputs"]["contributions"]
    assert added["silence"] > added["login_friction"] > 0.0
    assert output["output"]["cause"] == {
        "group": "silence",
        "contribution": added["silence"],
        "sentence": "The product has not been used for a while.",
    }


@pytest.mark.parametrize("place", [0, 3, 9, 40, -1])
def test_a_byte_of_the_timeline_that_was_changed_is_noticed(place, product, scorer):
    kept = whole("silence_brings_an_email_about_it")
    changed = bytearray(kept.timeline)
    changed[place] ^= 1
    report = replayer(WholeReceipt(receipt=kept.receipt, timeline=bytes(changed)), scorer, product).replay(kept.receipt)
    assert outcomes(report) == (SAME, SAME, DIFFERENT)
    assert report.features.detail.startswith("the stored timeline cannot be read: ")
    assert not report.is_same


def test_another_timeline_under_the_name_of_the_one_that_was_decided_on_is_noticed(product, scorer):
    """Whole and readable, one second earlier: the checksum has nothing against it."""
    kept = whole("silence_brings_an_email_about_it")
    timeline = unpack(kept.timeline)
    timeline.events[OCCURRED, -1] -= 1_000_000
    other = pack(timeline)
    report = replayer(WholeReceipt(receipt=kept.receipt, timeline=other), scorer, product).replay(kept.receipt)
    assert outcomes(report) == (SAME, SAME, DIFFERENT)
    assert report.features.differences == ("seconds_since_last_login: 950400.0 -> 950401.0",)
    assert (
        report.features.detail
        == f"the stored timeline is {timeline_hash(other)}, the one that was decided on {timeline_hash(kept.timeline)}"
    )


def test_a_timeline_of_a_newer_release_is_nothing_that_differs(product, scorer):
    kept = whole("silence_brings_an_email_about_it")
    newer = WholeReceipt(receipt=kept.receipt, timeline=as_version(kept.timeline, 3))
    report = replayer(newer, scorer, product).replay(kept.receipt)
    assert outcomes(report) == (SAME, SAME, NOT_CHECKED)
    assert "upgrade this process" in report.features.detail


def changed_leaf(product, folder, by):
    """The same trees under the same version, but for the leaf that eleven days of silence lead to."""
    text = TREES.replace("leaf_value=0.4 -1.6 0.7 1.3", f"leaf_value=0.4 -1.6 0.7 {1.3 + by!r}")
    assert text != TREES
    return load_bundle(write_small_trees(product, folder, model_text=text), product)


@pytest.mark.parametrize(("by", "outcome"), [(1e-6, DIFFERENT), (0.1, DIFFERENT), (1e-10, SAME)])
def test_a_leaf_that_was_changed_is_noticed_beyond_the_tolerance(by, outcome, product, tmp_path):
    kept = whole("silence_brings_an_email_about_it")
    scorer = changed_leaf(product, tmp_path, by)
    assert scorer.version == VERSION  # it says that it is the model that scored
    report = replayer(kept, scorer, product).replay(kept.receipt)
    assert outcomes(report) == (SAME, outcome, SAME)
    assert report.score.detail.endswith("allowed 1e-09")


def test_a_leaf_that_nobody_was_led_to_changes_nothing(product, tmp_path):
    kept = whole("who_was_here_yesterday_is_left_alone")
    assert replayer(kept, changed_leaf(product, tmp_path, 0.1), product).replay(kept.receipt).score.outcome is SAME


def test_many_are_counted_and_what_differs_is_printed(product, scorer, tmp_path):
    texts = []
    for model in (scorer, changed_leaf(product, tmp_path, 0.1)):
        kept = whole("silence_brings_an_email_about_it")
        found = replay_all([kept.receipt] * 3, lambda _, model=model, kept=kept: replayer(kept, model, product))
        texts.append(as_text(found))
    assert "  score: 3 same, 0 different, 0 not checked\n  features: 3 same, 0 different, 0 not checked" in texts[0]
    assert "  decision: 3 same, 0 different, 0 not checked\n  score: 0 same, 3 different, 0 not checked" in texts[1]
    assert ", score:\n  differs by 0.016, allowed 1e-09" in texts[1]
